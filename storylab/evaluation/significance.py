"""Whether two storytellers differ by more than chance, on the same stories, and how sure the difference is.

Both tests take two systems' statistics a story, in the same order of stories, and the metric's value of a total
(`storylab.evaluation.intervals`). They are two-sided and ask nothing of the metric's distribution. A system
against itself has a difference of 0 and p = 1.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from storylab.evaluation.intervals import ENTRIES_A_BLOCK, RESAMPLES, SEED, Value, percentiles, resampled_totals

TRIALS = 10_000
TRIALS_A_BLOCK = 500
"""Trials that are held in memory at once, of many stories fewer."""
TOLERANCE = 1e-12
"""By how much of the two values together a difference may fall short of the observed one and still count as no
smaller: sums in another order differ by rounding."""


@dataclass(frozen=True)
class Difference:
    """How two systems differ on one metric."""

    difference: float
    """The first system's value less the second's."""
    low: float
    high: float
    """Ends of the difference's 95% interval, by paired bootstrap."""
    p: float
    """Two-sided p-value, by paired approximate randomisation; not corrected for other comparisons."""


def compare(first: np.ndarray, second: np.ndarray, value: Value, trials: int = TRIALS) -> Difference:
    """The difference of two systems with its interval and its p-value.

    Args:
        first: One system's statistics (stories, k).
        second: The other's, of the same stories in the same order.
        value: The metric's value of totals.
        trials: Trials of the randomisation.

    Raises:
        ValueError: The systems don't have the same stories or statistics.
    """
    difference = float(_value(first, value) - _value(second, value))
    low, high = bootstrap_difference(first, second, value)
    return Difference(difference, low, high, approximate_randomisation(first, second, value, trials))


def approximate_randomisation(first: np.ndarray, second: np.ndarray, value: Value, trials: int = TRIALS) -> float:
    """The p-value of a paired approximate randomisation test (Noreen 1989; Riezler and Maxwell 2005).

    If it does not matter which of the systems told a story, neither does a swap: in each trial each story
    changes sides with probability 1/2. p = (c + 1) / (trials + 1), with c the trials whose difference is at
    least as large as the observed one, either way. Always the same trials for as many stories.

    Args:
        first: One system's statistics (stories, k).
        second: The other's, of the same stories in the same order.
        value: The metric's value of totals.
        trials: How often the sides are drawn.

    Returns:
        p; NaN where a system has no value.
    """
    swapped = (value(one) - value(other) for one, other in _swapped_totals(first, second, trials))
    return _p_value(_value(first, value), _value(second, value), np.concatenate(list(swapped)))


def paired_bootstrap(first: np.ndarray, second: np.ndarray, value: Value, resamples: int = TRIALS) -> float:
    """The p-value of a paired bootstrap test (Efron and Tibshirani 1993, chapter 16; Koehn 2004).

    p = (c + 1) / (resamples + 1), with c the resamples whose difference lies at least as far from the observed
    difference as that lies from 0. The arguments are those of `approximate_randomisation`.
    """
    one, other = _value(first, value), _value(second, value)
    drawn = _resampled_differences(first, second, value, resamples)
    return _p_value(one, other, drawn - (one - other))


def bootstrap_difference(
    first: np.ndarray, second: np.ndarray, value: Value, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """95% percentile bootstrap interval of the difference of two systems, both on the same drawn stories."""
    return percentiles(_resampled_differences(first, second, value, resamples))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for how many they are (Holm 1979): below 0.05, all of them together err in 5% at most.

    The smallest of m is multiplied by m, the next by m - 1 and so on; none becomes smaller than the one before
    it, nor larger than 1. A missing one (NaN) stays missing and does not count.

    Args:
        p_values: All p-values of one question, in any order.

    Returns:
        The corrected ones in the same order.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")[: int((~np.isnan(p)).sum())]  # NaN sorts to the end
    corrected = np.full(len(p), np.nan)
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return corrected.tolist()


def _value(statistics: np.ndarray, value: Value) -> float:
    return float(value(statistics.sum(axis=0)))


def _swapped_totals(first: np.ndarray, second: np.ndarray, trials: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The totals of both sides after random swaps, in blocks (some trials, k)."""
    _check_pairs(first, second)
    random = np.random.default_rng(SEED)
    block = max(1, min(TRIALS_A_BLOCK, ENTRIES_A_BLOCK // max(1, len(first))))
    for start in range(0, trials, block):
        size = (min(block, trials - start), len(first))
        kept = random.integers(2, size=size).astype(np.float64)  # (trials, stories)
        yield kept @ first + (1 - kept) @ second, kept @ second + (1 - kept) @ first


def _resampled_differences(first: np.ndarray, second: np.ndarray, value: Value, resamples: int) -> np.ndarray:
    _check_pairs(first, second)
    k = first.shape[1]
    blocks = resampled_totals(np.concatenate([first, second], axis=1), resamples)
    return np.concatenate([value(totals[:, :k]) - value(totals[:, k:]) for totals in blocks])


def _check_pairs(first: np.ndarray, second: np.ndarray) -> None:
    if first.shape != second.shape:
        raise ValueError(f"statistics of the shapes {first.shape} and {second.shape} can't be paired")


def _p_value(one: float, other: float, drawn: np.ndarray) -> float:
    """The share of differences under chance alone that reach that of two values, which is itself counted in."""
    observed = abs(one - other)
    if np.isnan(observed):
        return float("nan")
    smaller = np.abs(drawn) < observed - TOLERANCE * (abs(one) + abs(other))
    return float((np.sum(~smaller) + 1) / (len(drawn) + 1))
