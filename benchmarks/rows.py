"""What a benchmark measures: rows, each a figure of ours against a public peer's in the same run."""

import statistics
from collections.abc import Callable, Iterator, Mapping
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
        return cls(*(float(f"{pick(values):.5g}") for pick in (statistics.median, min, max)))

    def __str__(self) -> str:
        return f"{_figure(self.median)} ({_figure(self.least)} to {_figure(self.greatest)})"


def _figure(value: float) -> str:
    """Four digits where three would hide a difference of some thousandths, no exponent where there need be none."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.4g}" if 0.99 < value < 1.01 else f"{value:.3g}"


@dataclass(frozen=True)
class Row:
    """One comparison."""

    what: str
    """What both sides do."""
    peer: str
    """The public peer, or what the figure is held against."""
    ours: str
    """Which of our ways was measured."""
    unit: str
    """Of both figures, such as "tokens/s"."""
    peer_figure: Spread
    our_figure: Spread
    ratio: Spread
    """Ours divided by the peer's, turn by turn."""
    at_least: float | None = None
    """The least ratio that is asked for, of a figure that should be great."""
    at_most: float | None = None
    """The greatest that is asked for, of a figure that should be small."""

    @property
    def reached(self) -> bool | None:
        """Whether the ratio in the middle is what is asked for; None where nothing is."""
        if self.at_least is not None:
            return self.ratio.median >= self.at_least
        return None if self.at_most is None else self.ratio.median <= self.at_most


def take_turns(sides: Mapping[str, Side], turns: int) -> dict[str, list[float]]:
    """The figures of each side, turn by turn, after one turn that does not count.

    What else the machine does then falls on all of them alike.
    """
    for side in sides.values():
        side()
    figures: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(turns):
        for name, side in sides.items():
            figures[name].append(side())
    return figures


def compare(
    what: str,
    sides: Mapping[str, Side],
    turns: int,
    unit: str,
    at_least: float | Mapping[str, float] | None = None,
    at_most: float | Mapping[str, float] | None = None,
) -> Iterator[Row]:
    """Measure sides in turns; the first one is the peer of all others.

    Args:
        what: What all sides do.
        sides: By name.
        turns: How many count.
        unit: Of what the sides return.
        at_least: The least ratio asked for, of every side or by a side's name.
        at_most: The greatest one.
    """
    figures = take_turns(sides, turns)
    peer, *others = sides
    for ours in others:
        asked = (at.get(ours) if isinstance(at, Mapping) else at for at in (at_least, at_most))
        yield row(what, figures, peer, ours, unit, *asked)


def row(
    what: str,
    figures: Mapping[str, list[float]],
    peer: str,
    ours: str,
    unit: str,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Row:
    """One side against another, turn by turn."""
    ratio = [one / other for one, other in zip(figures[ours], figures[peer], strict=True)]
    spreads = (Spread.of(values) for values in (figures[peer], figures[ours], ratio))
    return Row(what, peer, ours, unit, *spreads, at_least, at_most)


def single(
    what: str,
    peer: str,
    peer_figure: float,
    ours: str,
    our_figure: float,
    unit: str,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Row:
    """One figure against another, each measured once."""
    spreads = (Spread.of([value]) for value in (peer_figure, our_figure, our_figure / peer_figure))
    return Row(what, peer, ours, unit, *spreads, at_least, at_most)
