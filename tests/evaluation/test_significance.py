"""Paired tests: by hand, against every swap that there is, against sacreBLEU, and as often wrong as they say."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU
from sacrebleu.significance import PairedTest

from storylab.evaluation import significance
from storylab.evaluation.metrics import Bleu, Distinct, standard_metrics
from storylab.evaluation.significance import (
    approximate_randomisation,
    bootstrap_difference,
    compare,
    holm,
    paired_bootstrap,
)
from storylab.stories import read_stories


def mean(totals: np.ndarray) -> np.ndarray:
    return totals[..., 0] / totals[..., 1]


def with_ones(values) -> np.ndarray:
    return np.column_stack([values, np.ones(len(values))])


def every_swap(first: np.ndarray, second: np.ndarray, value) -> float:
    """The share of all ways to swap stories whose difference is as large as the observed one."""
    observed = abs(value(first.sum(axis=0)) - value(second.sum(axis=0)))
    reached = []
    for sides in product([0, 1], repeat=len(first)):
        kept = np.array(sides)[:, None]
        one, other = kept * first + (1 - kept) * second, kept * second + (1 - kept) * first
        reached.append(abs(value(one.sum(axis=0)) - value(other.sum(axis=0))) >= observed - 1e-12)
    return float(np.mean(reached))


@pytest.fixture(scope="module")
def systems(tiny_csv) -> tuple[list[str], list[str], list[str]]:
    """Human continuations, and two copies of them spoilt alike, each by its own draw."""
    human = [story.continuation for story in read_stories(tiny_csv)[:40]]
    random = np.random.default_rng(6)

    def spoil(share: float) -> list[str]:
        return [" ".join("so" if random.random() < share else word for word in text.split()) for text in human]

    return human, spoil(0.5), spoil(0.5)


def test_by_hand():
    # Five stories, each better by 1: only no swap and all swaps reach the difference, 2 of 32 ways, p = 0.0625.
    first, second = with_ones(np.arange(5) + 1.0), with_ones(np.arange(5.0))
    assert every_swap(first, second, mean) == 0.0625
    assert approximate_randomisation(first, second, mean) == pytest.approx(0.0625, abs=0.01)
    found = compare(first, second, mean)
    assert (found.difference, found.low, found.high) == pytest.approx((1.0, 1.0, 1.0))


def test_the_smallest_p_is_never_zero():
    first, second = with_ones(np.ones(60)), with_ones(np.zeros(60))
    assert approximate_randomisation(first, second, mean, trials=999) == 1 / 1000
    assert paired_bootstrap(first, second, mean, resamples=999) == 1 / 1000


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=8))
def test_it_approximates_every_swap(pairs):
    first, second = (with_ones(np.array(side, dtype=float)) for side in zip(*pairs, strict=True))
    exact = every_swap(first, second, mean)
    assert approximate_randomisation(first, second, mean, trials=4000) == pytest.approx(exact, abs=0.04)


def test_it_approximates_every_swap_of_a_metric(systems):
    human, first, second = (texts[:9] for texts in systems)
    metric = Bleu(2)
    rows = [metric.statistics(predictions=texts, references=human) for texts in (first, second)]
    assert approximate_randomisation(*rows, metric.value) == pytest.approx(every_swap(*rows, metric.value), abs=0.02)


def test_sacrebleus_own_test_finds_much_the_same(systems):
    human, first, second = (texts[:15] for texts in systems)
    metric = Bleu(4)
    rows = [metric.statistics(predictions=texts, references=human) for texts in (first, second)]
    found = compare(*rows, metric.value)
    _, scores = PairedTest(
        [("one", first), ("two", second)], {"BLEU": BLEU(force=True)}, [human], test_type="ar", n_samples=10000
    )()
    one, two = scores["BLEU"]
    assert 0.01 < two.p_value < 0.9  # it is a question at all
    assert found.p == pytest.approx(two.p_value, abs=0.03)
    assert found.difference == pytest.approx(one.score - two.score)
    assert found.low < found.difference < found.high


def test_a_system_does_not_differ_from_itself(systems):
    human, told, _ = systems
    columns = {
        "predictions": told,
        "references": human,
        "openings": human,
        "sentences": [4, 3] * 20,
        "finished": [True] * 40,
        "nll": np.random.default_rng(0).normal(150, 20, size=40).tolist(),
        "words": list(range(20, 60)),
    }
    for metric in standard_metrics(training=human[:20]):
        rows = metric.statistics(**columns)
        found = compare(rows, rows.copy(), metric.value, trials=200)
        assert (found.difference, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0), metric.key
        assert paired_bootstrap(rows, rows.copy(), metric.value, resamples=200) == 1.0


def test_sides_may_be_exchanged(systems):
    human, first, second = systems
    metric = Bleu(1)
    one, two = (metric.statistics(predictions=texts, references=human) for texts in (first, second))
    there, back = compare(one, two, metric.value), compare(two, one, metric.value)
    assert there.p == back.p
    assert (there.difference, there.low, there.high) == pytest.approx((-back.difference, -back.high, -back.low))


def test_a_spoilt_system_is_found_out(systems):
    human, spoilt, _ = systems
    for metric in (Bleu(4), Distinct(2)):
        rows = [metric.statistics(predictions=texts, references=human) for texts in (human, spoilt)]
        found = compare(*rows, metric.value)
        assert found.p < 0.01 and found.low > 0
        assert paired_bootstrap(*rows, metric.value, resamples=1000) < 0.01


def test_no_difference_is_found_as_often_as_allowed():
    # Pairs that differ by chance alone: p lies below 0.05 in about one of twenty, 10 of 200 give or take 6.
    random = np.random.default_rng(8)
    for test in (approximate_randomisation, paired_bootstrap):
        p = [test(with_ones(a), with_ones(a + b), mean, 300) for a, b in random.normal(size=(200, 2, 60))]
        assert 3 <= np.sum(np.array(p) < 0.05) <= 19
        assert np.mean(p) == pytest.approx(0.5, abs=0.08)


def test_the_interval_of_a_difference_knows_that_it_is_paired():
    # Both systems follow the story, so that they differ by far less than they vary.
    random = np.random.default_rng(5)
    stories = random.normal(size=300)
    first, second = (with_ones(stories + 0.05 * random.normal(size=300)) for _ in range(2))
    low, high = bootstrap_difference(first, second, mean)
    assert high - low == pytest.approx(2 * 1.96 * 0.05 * np.sqrt(2 / 300), rel=0.15)


def test_stories_that_are_no_pairs_are_refused():
    for test in (compare, approximate_randomisation, paired_bootstrap, bootstrap_difference):
        with pytest.raises(ValueError, match="can't be paired"):
            test(with_ones(np.ones(3)), with_ones(np.ones(4)), mean)


def test_a_metric_without_a_value_has_no_p():
    nothing = lambda totals: totals[..., 0] * np.nan  # noqa: E731
    rows = with_ones(np.ones(3))
    found = compare(rows, rows, nothing, trials=10)
    assert np.isnan([found.difference, found.low, found.high, found.p]).all()


# Holm


def test_holm_by_hand():
    # 0.005 x 4, 0.01 x 3, 0.03 x 2, and 0.04 x 1, which may not be smaller than the one before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


def test_holm_passes_over_what_is_missing():
    corrected = holm([float("nan"), 0.01, 0.04])
    assert np.isnan(corrected[0]) and corrected[1:] == pytest.approx([0.02, 0.04])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_rejects_what_its_steps_reject(p_values):
    # The definition: from the smallest on, reject while p <= 0.05 / (how many are left).
    corrected = holm(p_values)
    rejected = set()
    for left, place in zip(range(len(p_values), 0, -1), np.argsort(p_values, kind="stable"), strict=True):
        if p_values[place] * left > 0.05:
            break
        rejected.add(int(place))
    assert {place for place, p in enumerate(corrected) if p <= 0.05} == rejected
    assert all(before <= after <= 1 for before, after in zip(p_values, corrected, strict=True))


def test_memory_is_bounded_and_changes_nothing(monkeypatch):
    random = np.random.default_rng(7)
    first, second = (with_ones(random.normal(size=30) + shift) for shift in (0.3, 0.0))
    usual = approximate_randomisation(first, second, mean, trials=999)
    for entries in (1, 30 * 7):
        monkeypatch.setattr(significance, "ENTRIES_A_BLOCK", entries)
        assert approximate_randomisation(first, second, mean, trials=999) == usual
