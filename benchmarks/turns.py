"""Sides of a comparison that take turns, so that what else the machine does falls on all of them alike."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Side = Callable[[], float]
"""Runs once and returns its rate, greater where it is faster."""


@dataclass(frozen=True)
class Spread:
    """Some measurements: the one in the middle, the least and the greatest."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: list[float]) -> "Spread":
        """Of some measurements."""
        return cls(*(round(pick(values), 4) for pick in (statistics.median, min, max)))

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.least:.3g} to {self.greatest:.3g})"


def take_turns(sides: Mapping[str, Side], turns: int) -> dict[str, list[float]]:
    """The rates of each side, turn by turn, after one turn that does not count."""
    for side in sides.values():
        side()
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(turns):
        for name, side in sides.items():
            rates[name].append(side())
    return rates


def times_faster(rates: Mapping[str, list[float]], ours: str, peer: str) -> Spread:
    """How many times faster one side was than another in the same turn."""
    return Spread.of([one / other for one, other in zip(rates[ours], rates[peer], strict=True)])
