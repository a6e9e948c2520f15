"""How sure a figure is: bootstrap intervals over stories.

A measure comes as two things: its statistics, one row of sums a story (stories, k), and a function from the
rows' total (..., k) to its value (...). Whatever is made of these two needs the texts no second time.
"""

from collections.abc import Callable, Iterator

import numpy as np

RESAMPLES = 1000
QUANTILES = (0.025, 0.975)
"""The ends of a 95% interval."""
SEED = 0
ENTRIES_A_BLOCK = 2**19
"""Drawn stories that are held in memory at once: so few that a processor's cache holds them, which is what is quick."""

Value = Callable[[np.ndarray], np.ndarray]
"""From totals (..., k) to values (...)."""


def bootstrap_interval(statistics: np.ndarray, value: Value, resamples: int = RESAMPLES) -> tuple[float, float]:
    """95% percentile bootstrap interval over stories (Efron 1979; Efron and Tibshirani 1993, chapter 13).

    The stories are drawn anew with replacement, always the same ones for as many stories, so that the interval
    of the same statistics is the same on every call.

    Args:
        statistics: One row a story (stories, k), at least one.
        value: The measure as a function of the rows' total.
        resamples: How often the stories are drawn.

    Returns:
        Both ends, in the measure's own unit; NaN where no resample has a value.
    """
    return percentiles(np.concatenate([value(totals) for totals in resampled_totals(statistics, resamples)]))


def resampled_totals(statistics: np.ndarray, resamples: int) -> Iterator[np.ndarray]:
    """The totals of stories drawn with replacement, in blocks (some resamples, k)."""
    stories = len(statistics)
    if not stories:
        raise ValueError("there are no stories to draw from")
    random = np.random.default_rng(SEED)
    block = max(1, ENTRIES_A_BLOCK // stories)
    for first in range(0, resamples, block):
        drawn = random.integers(stories, size=(min(block, resamples - first), stories))  # (resamples, stories)
        yield np.stack([column[drawn].sum(axis=1) for column in statistics.T], axis=1)


def percentiles(values: np.ndarray) -> tuple[float, float]:
    """The ends between which the middle 95% of some values lie; those without a value (NaN) are left out."""
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, QUANTILES)
    return float(low), float(high)
