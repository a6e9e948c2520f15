"""The bootstrap: by hand, by its definition, and as often right as it says."""

import numpy as np
import pytest

from storylab.evaluation import intervals as module
from storylab.evaluation.intervals import bootstrap_interval, percentiles, resampled_totals


def mean(totals: np.ndarray) -> np.ndarray:
    return totals[..., 0] / totals[..., 1]


def with_ones(values) -> np.ndarray:
    return np.column_stack([values, np.ones(len(values))])


def test_two_stories_by_hand():
    # Drawn twice of 0 and 1, both are 0 in a quarter of the resamples and both are 1 in another: the ends are these.
    assert bootstrap_interval(with_ones([0.0, 1.0]), mean) == (0.0, 1.0)


def test_stories_that_are_all_alike_leave_no_doubt():
    assert bootstrap_interval(with_ones([3.0] * 7), mean) == (3.0, 3.0)


def test_it_is_the_bootstrap_of_the_definition():
    random = np.random.default_rng(0)
    rows = np.random.default_rng(9).normal(size=(50, 2)) ** 2
    values = []
    for _ in range(1000):
        chosen = [rows[place] for place in random.integers(50, size=50)]
        values.append(sum(row[0] for row in chosen) / sum(row[1] for row in chosen))
    assert bootstrap_interval(rows, mean) == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])))


def test_it_is_the_same_every_time_and_in_any_unit():
    rows = with_ones(np.random.default_rng(2).normal(size=80))
    first = bootstrap_interval(rows, mean)
    assert bootstrap_interval(rows, mean) == first
    assert bootstrap_interval(rows, lambda totals: 100 * mean(totals)) == pytest.approx(tuple(100 * np.array(first)))


def test_memory_is_bounded_and_changes_nothing(monkeypatch):
    rows = np.random.default_rng(3).normal(size=(37, 3))
    usual = np.concatenate(list(resampled_totals(rows, 100)))
    assert usual.shape == (100, 3)
    for entries in (1, 37 * 7, 37 * 99):
        monkeypatch.setattr(module, "ENTRIES_A_BLOCK", entries)
        blocks = list(resampled_totals(rows, 100))
        assert len(blocks) > 1 and (np.concatenate(blocks) == usual).all()


def test_it_covers_the_truth_about_as_often_as_it_says():
    # Shares of 100 stories, 30% of them true: 95% of the intervals hold 0.3, a little fewer for so few stories.
    random = np.random.default_rng(4)
    ends = [bootstrap_interval(with_ones(random.random(100) < 0.3), mean) for _ in range(200)]
    assert 0.88 <= np.mean([low <= 0.3 <= high for low, high in ends]) <= 0.99


def test_resamples_without_a_value_are_left_out():
    assert percentiles(np.array([np.nan, 1.0, np.nan])) == (1.0, 1.0)
    assert np.isnan(percentiles(np.array([np.nan, np.nan]))).all()
    assert np.isnan(bootstrap_interval(np.zeros((3, 2)), lambda totals: totals[..., 0] * np.nan)).all()


def test_no_stories_are_refused():
    with pytest.raises(ValueError, match="no stories"):
        bootstrap_interval(np.zeros((0, 2)), mean)
