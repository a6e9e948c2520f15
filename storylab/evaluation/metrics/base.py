"""What every metric of stories has in common: its inputs, statistics a story, and a value made of their total."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import evaluate
import numpy as np
from datasets import Features, Value

from storylab.errors import StoryLabError
from storylab.evaluation.intervals import bootstrap_interval

INPUTS = {
    "predictions": "string",
    "references": "string",
    "openings": "string",
    "sentences": "int32",
    "finished": "bool",
    "nll": "float64",
    "words": "int64",
}
"""Every input that some metric reads, with its type; the package's docstring says what they hold."""

Better = Literal["higher", "lower", "neither"]


class OfflineMetric(evaluate.Metric):
    """A metric as `evaluate` knows it; nothing is fetched and nothing written to disk.

    `compute` takes the inputs that the metric names, and passes over the others that this package knows, so
    that `evaluate.combine` can give all of them to all metrics. A subclass has a docstring with formula, unit,
    range, direction and source.
    """

    key: str
    """The name of the value among the results."""
    inputs: ClassVar[tuple[str, ...]]
    """What it reads, of `INPUTS`."""
    better: ClassVar[Better]
    """Which of two values is the better one."""
    range: ClassVar[tuple[float, float]] = (0.0, float("inf"))
    """The smallest and the largest value that there can be."""

    def __init__(self, **options: Any):
        """Make the metric; options are those of `evaluate.Metric`."""
        super().__init__(**{"keep_in_memory": True} | options)

    @property
    def settings(self) -> dict[str, Any]:
        """What has to be told with the value so that others can compute the same."""
        return {}

    def _info(self) -> evaluate.MetricInfo:
        about = " ".join((type(self).__doc__ or "").split())
        features = Features({name: Value(INPUTS[name]) for name in self.inputs})
        return evaluate.MetricInfo(description=about, citation="", features=features)

    def _build_data_dir(self) -> str:
        return self._data_dir_root  # only named: what is kept in memory needs no folder

    def _result(self, value: float) -> dict[str, Any]:
        return {self.key: value} | {f"{self.key}_{name}": setting for name, setting in self.settings.items()}


class StoryMetric(OfflineMetric, ABC):
    """A metric made of one row of statistics a story.

    A subclass says how a story's statistics come about and what their total is worth. Intervals and paired tests
    need no more than these two.
    """

    def statistics(self, **inputs: Sequence) -> np.ndarray:
        """The rows (stories, k) that the inputs come to, one row a story; takes what `compute` takes.

        Raises:
            StoryLabError: There are no stories.
            TypeError: An input is missing, or there is no such input.
            ValueError: The inputs have different numbers of stories.
        """
        missing, unknown = set(self.inputs) - inputs.keys(), inputs.keys() - INPUTS.keys()
        if missing or unknown:
            names = ", ".join(sorted(missing or unknown))
            raise TypeError(f"{self.key} lacks {names}" if missing else f"no metric reads {names}")
        columns = [inputs[name] for name in self.inputs]
        lengths = [len(column) for column in columns]
        if not all(lengths):
            raise StoryLabError("there are no stories to measure")
        if len(set(lengths)) > 1:
            raise ValueError(f"the inputs {', '.join(self.inputs)} have {lengths} stories")
        return np.asarray(self._rows(*columns), dtype=np.float64)

    @abstractmethod
    def _rows(self, *columns: Sequence) -> np.ndarray:
        """The statistics of inputs in the order of `inputs`."""

    @abstractmethod
    def value(self, totals: np.ndarray) -> np.ndarray:
        """The values (...) of totals of rows (..., k); NaN where there is none."""

    def interval(self, rows: np.ndarray) -> tuple[float, float]:
        """The 95% bootstrap interval of statistics (stories, k), as far as the metric's range goes."""
        low, high = np.clip(bootstrap_interval(rows, self.value), *self.range)
        return float(low), float(high)

    def _compute(self, **inputs: Any) -> dict[str, Any]:
        rows = self.statistics(**inputs)
        return self._result(float(self.value(rows.sum(axis=0))))


class Ratio(StoryMetric):
    """A metric whose statistics are a numerator and a denominator; a mean has ones below the line."""

    def value(self, totals: np.ndarray) -> np.ndarray:
        above, below = totals[..., 0], totals[..., 1]
        return np.divide(above, below, out=np.full(np.shape(below), np.nan), where=below != 0)


def mean_of(values: Sequence[float]) -> np.ndarray:
    """The statistics of a plain mean over stories: the values, and a one beneath each (stories, 2)."""
    return np.column_stack([np.asarray(values, dtype=np.float64), np.ones(len(values))])


def jackknifed(value: float, losses: Sequence[float]) -> np.ndarray:
    """A value of all stories that is no sum over them, spread over them so that resampling is fair to it.

    A resampled story would be its own twin, which is what measures of variety are about. So the stories' rows
    are fixed beforehand, by the jackknife: its pseudo-values, shifted so that their sum is the value itself.
    Resampled, they vary as the value does from one sample of stories to another, or a little more (Efron and
    Stein 1981).

    Args:
        value: What all stories come to.
        losses: What the value would lose without each of the stories (stories,).

    Returns:
        The rows (stories,): value/S + (S-1)/S (loss - mean loss), for S stories.
    """
    stories, losses = len(losses), np.asarray(losses, dtype=np.float64)
    return value / stories + (stories - 1) / stories * (losses - losses.mean())
