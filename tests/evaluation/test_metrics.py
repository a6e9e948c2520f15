"""What all metrics share: inputs, results, statistics a story, and how they combine."""

import math
import re

import evaluate
import numpy as np
import pytest

from storylab.errors import StoryLabError
from storylab.evaluation.intervals import bootstrap_interval
from storylab.evaluation.metrics import INPUTS, Bleu, Distinct, Length, StoryMetric, standard_metrics
from storylab.stories import read_stories

KEYS = [
    "perplexity_per_word",
    "bleu_1",
    "bleu_2",
    "bleu_3",
    "bleu_4",
    "chrf",
    "rouge_l",
    "distinct_1",
    "distinct_2",
    "distinct_4",
    "self_bleu",
    "repetition_4",
    "four_sentences",
    "length",
    "length_ratio",
    "opening_carried_on",
    "novelty_8",
]


@pytest.fixture(scope="module")
def columns(tiny_csv) -> dict[str, list]:
    """Twenty continuations, told to the openings of twenty others."""
    stories = read_stories(tiny_csv)
    told, asked = stories[:20], stories[20:40]
    random = np.random.default_rng(3)
    return {
        "predictions": [
            " ".join(story.sentences[1 : 3 + number % 3] * (2 if number % 5 == 0 else 1))  # some say all of it twice
            for number, story in enumerate(told)
        ],
        "references": [story.continuation for story in asked],
        "openings": [f"{story.opening} {asked[number].opening}" for number, story in enumerate(told)],
        "sentences": [2 + number % 3 for number in range(20)],
        "finished": [number % 4 > 0 for number in range(20)],
        "nll": random.normal(150, 30, size=20).tolist(),
        "words": random.integers(30, 50, size=20).tolist(),
    }


@pytest.fixture(scope="module")
def metrics(columns) -> list[StoryMetric]:
    """All of them; every second prediction is known from training."""
    return standard_metrics(training=columns["predictions"][::2])


def test_the_standard_metrics_are_those_of_a_report(metrics):
    assert [metric.key for metric in metrics] == KEYS
    assert [metric.key for metric in standard_metrics()] == KEYS[:-1]


def test_what_needs_references_is_left_out_without_them(metrics):
    alone = standard_metrics({"predictions", "openings", "sentences", "finished"})
    assert [metric.key for metric in alone] == [*KEYS[7:14], "opening_carried_on"]


def test_metrics_combine(metrics, columns):
    results = evaluate.combine(metrics).compute(**columns)
    assert [name for name in results if name in KEYS] == KEYS
    for metric in metrics:
        own = {name: columns[name] for name in metric.inputs}
        assert results[metric.key] == metric.compute(**own)[metric.key]
        assert math.isfinite(results[metric.key])


def test_metrics_combine_batch_by_batch(metrics, columns):
    together = evaluate.combine(metrics)
    for start in (0, 8, 16):
        together.add_batch(**{name: column[start : start + 8] for name, column in columns.items()})
    assert together.compute() == evaluate.combine(metrics).compute(**columns)


def test_a_metric_can_be_used_again(columns):
    metric = Length()
    first = metric.compute(predictions=columns["predictions"])
    assert metric.compute(predictions=["One two.", "Three."]) == {"length": 1.5}
    assert metric.compute(predictions=columns["predictions"]) == first


def test_a_value_is_that_of_the_statistics(metrics, columns):
    for metric in metrics:
        statistics = metric.statistics(**columns)
        assert statistics.shape[0] == 20 and statistics.dtype == np.float64
        total = statistics.sum(axis=0)
        assert metric.compute(**{name: columns[name] for name in metric.inputs})[metric.key] == metric.value(total)
        many = metric.value(np.stack([total, 2 * total]))
        assert many.shape == (2,) and many[0] == metric.value(total)


def test_the_order_of_the_stories_does_not_matter(metrics, columns):
    order = np.random.default_rng(0).permutation(20)
    turned = {name: [column[place] for place in order] for name, column in columns.items()}
    for metric in metrics:
        rows = metric.statistics(**columns)
        assert metric.statistics(**turned) == pytest.approx(rows[order])


def test_every_interval_holds_its_value(metrics, columns):
    for metric in metrics:
        rows = metric.statistics(**columns)
        low, high = bootstrap_interval(rows, metric.value)
        assert low < metric.value(rows.sum(axis=0)) < high, metric.key


def test_the_documentation_is_complete(metrics):
    for metric in metrics:
        text = type(metric).__doc__
        for heading in ("Formula", "Unit", "Range", "Direction", "Source"):
            assert f"\n    {heading}: " in text, (metric.key, heading)
        assert re.search(rf"Direction: {metric.better} (is|are) better", text), metric.key
        assert re.sub(r"\d", "n", metric.key) in text or metric.key in text
        assert " ".join(text.split()) == metric.description


def test_nothing_is_written_to_disk(tmp_path, columns):
    folder = tmp_path / "cache"
    Bleu(cache_dir=str(folder)).compute(predictions=columns["predictions"], references=columns["references"])
    assert not folder.exists()


def test_wrong_inputs_are_named(columns):
    with pytest.raises(StoryLabError, match="no stories"):
        Length().compute(predictions=[])
    with pytest.raises(StoryLabError, match="no stories"):
        Length().statistics(predictions=[])
    with pytest.raises(TypeError, match=r"no metric reads reference$"):
        Length().compute(predictions=["One."], reference=["One."])
    with pytest.raises(TypeError, match=r"bleu_2 lacks references$"):
        Bleu(2).statistics(predictions=["One."])
    with pytest.raises(ValueError, match="number of predictions"):
        Bleu(2).compute(predictions=["One.", "Two."], references=["One."])
    with pytest.raises(ValueError, match=r"predictions, references have \[2, 1\] stories"):
        Bleu(2).statistics(predictions=["One.", "Two."], references=["One."])


def test_all_inputs_may_be_given_to_any_metric(columns):
    assert set(columns) == set(INPUTS)
    alone = Distinct(2).statistics(predictions=columns["predictions"])
    assert (Distinct(2).statistics(**columns) == alone).all()
