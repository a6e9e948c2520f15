"""What grows with the stories, at two sizes ten apart: reading, variety, tests; and what measures it."""

import csv
import time
import tracemalloc
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from benchmarks import growth
from storylab.evaluation.metrics import Distinct, SelfBleu
from storylab.evaluation.significance import approximate_randomisation
from storylab.stories import Story, fingerprint, read_stories, remove_duplicates

FEW, MANY = 2_000, 20_000
LINEAR = MANY / FEW
ALLOWED = 2.5
"""How much steeper than a line a time may look: caches and whatever else the machine does. A square would be 10."""


@pytest.fixture(scope="module")
def stories(tiny_csv) -> list[Story]:
    return list(islice(growth.endless(read_stories(tiny_csv)), MANY))


@pytest.fixture(scope="module")
def files(stories, tmp_path_factory) -> dict[int, Path]:
    folder = tmp_path_factory.mktemp("growth")
    found = {count: folder / f"{count}.csv" for count in (FEW, MANY)}
    for count, file in found.items():
        growth.write(file, iter(stories[:count]))
    return found


def steepness(work: Callable[[int], object]) -> float:
    """By how much more than the stories the time grows; the better of two runs each."""

    def seconds(count: int) -> float:
        started = time.process_time()
        work(count)
        return time.process_time() - started

    few, many = (min(seconds(count) for _ in range(2)) for count in (FEW, MANY))
    return many / few / LINEAR


def test_reading_grows_with_the_stories(files):
    assert steepness(lambda count: read_stories(files[count])) < ALLOWED


def test_a_million_stories_are_read_in_less_than_two_gigabytes(files):
    tracemalloc.start()
    stories = remove_duplicates(read_stories(files[MANY]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(stories) == MANY
    assert peak / MANY < 2_000


@pytest.mark.parametrize("work", [remove_duplicates, fingerprint])
def test_telling_stories_apart_grows_with_them(stories, work):
    assert steepness(lambda count: work(stories[:count])) < ALLOWED


@pytest.mark.parametrize("metric", [SelfBleu(), Distinct(2)], ids=["self-bleu", "distinct"])
def test_variety_grows_with_the_stories(stories, metric):
    texts = [story.continuation for story in stories]
    assert steepness(lambda count: metric.statistics(predictions=texts[:count])) < ALLOWED


def test_an_interval_and_a_p_value_grow_with_the_stories():
    random = np.random.default_rng(0)
    one, other = (np.column_stack([random.random(MANY), np.ones(MANY)]) for _ in range(2))
    mean = lambda totals: totals[..., 0] / totals[..., 1]  # noqa: E731

    def compare(count: int) -> float:
        return approximate_randomisation(one[:count], other[:count], mean, trials=500)

    assert steepness(compare) < 2 * ALLOWED  # arrays of few stories stay in the nearest cache


def test_stories_are_those_of_the_corpus_and_then_new_ones(tiny_csv, stories, files):
    corpus = read_stories(tiny_csv)
    assert stories[: len(corpus)] == corpus
    assert len(remove_duplicates(stories)) == len(stories)
    assert read_stories(files[FEW]) == stories[:FEW]
    with open(files[FEW], encoding="utf-8", newline="") as file:
        assert next(csv.reader(file)) == growth.HEADER


def test_a_work_is_measured_in_a_process_of_its_own(files):
    seconds, peak = growth.measured("reading a CSV", files[FEW])
    assert 0 < seconds < 60
    assert 200 * FEW < peak < 20_000 * FEW
