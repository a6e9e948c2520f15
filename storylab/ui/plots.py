"""Curves that grow while one looks on: an SVG that stretches, its numbers as plain text beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 1000, 400
"""Of the drawing; it is stretched to the place that it has."""
DASHED = ' class="dashed"'
MOST_MARKS = 8
"""Marks of a logarithmic scale that are all named; of more, the powers of ten are."""
LOWEST = 1e-6
"""A value below which a logarithmic scale shows no difference."""
MOST_POINTS = 300
"""Points of a curve that are drawn; a longer one is thinned out evenly."""


@dataclass(frozen=True)
class Line:
    """A curve, or a level where it has one point alone."""

    name: str
    points: Sequence[tuple[float, float]]
    """(x, y), x rising."""
    colour: str
    """In CSS."""
    dashed: bool = False
    """So that it can be told apart without its colour."""
    level: bool = False
    """Whether its one y is drawn from side to side."""


def lines(
    drawn: Sequence[Line], x: str, y: str, about: str, *, logarithmic: bool = False, last: float | None = None
) -> str:
    """A plot of some curves with a legend that says where each of them ends.

    Args:
        drawn: The curves; those without a point are left out.
        x: What runs from left to right, from 0 on.
        y: What goes up, from 0 on; on a logarithmic scale from the mark (1, 2 or 5 times a power of ten) below the
            lowest value to the one above the highest.
        about: What is to be seen, for who can't see it.
        logarithmic: Whether what goes up is on a logarithmic scale.
        last: Where x ends; None: with the longest curve, and without a curve there is no plot.
    """
    drawn = [line for line in drawn if line.points]
    if not drawn and last is None:
        return ""
    most = last or max((point[0] for line in drawn if not line.level for point in line.points), default=0) or 1.0
    scale = _Scale([point[1] for line in drawn for point in line.points], logarithmic)
    place = lambda point: f"{WIDTH * point[0] / most:.1f},{HEIGHT * scale.down(point[1]):.1f}"  # noqa: E731
    curves = "".join(
        f'<polyline points="{" ".join(map(place, _spread(line, most)))}" style="stroke: {escape(line.colour)}"'
        f"{DASHED if line.dashed else ''}/>"
        for line in drawn
    )
    grid = "".join(f'<path d="M0,{HEIGHT * scale.down(mark):.1f}H{WIDTH}"/>' for mark in scale.marks[1:])
    ticks = "".join(f'<span style="top: {100 * scale.down(mark):.1f}%">{mark:.3g}</span>' for mark in scale.named)
    legend = "".join(
        f'<li><i style="border-color: {escape(line.colour)}"{DASHED if line.dashed else ""}></i>'
        f" {escape(line.name)} <b>{line.points[-1][1]:.3g}</b></li>"
        for line in drawn
    )
    return (
        f'<figure class="plot"><figcaption>{escape(y)}</figcaption>'
        f'<div class="heights" aria-hidden="true">{ticks}</div>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{escape(about)}">'
        f'<g class="grid">{grid}</g>{curves}</svg><div class="across" aria-hidden="true"><span>0</span>'
        f"<span>{escape(x)}</span><span>{most:g}</span></div><ul>{legend}</ul></figure>"
    )


class _Scale:
    """From values to places between top and bottom."""

    def __init__(self, values: Sequence[float], logarithmic: bool):
        self.logarithmic = logarithmic
        if logarithmic:
            self.marks = _marks(values)
            many = len(self.marks) > MOST_MARKS
            self.named = [mark for mark in self.marks if f"{mark:e}"[0] == "1"] if many else self.marks
        else:
            top = 1.05 * max([*values, 1e-9])
            self.named = self.marks = [0.0, top / 2, top]

    def down(self, value: float) -> float:
        """How far below the top a value is, 0 to 1."""
        low, high = self.marks[0], self.marks[-1]
        value = max(value, low)
        if self.logarithmic:
            return math.log10(high / value) / math.log10(high / low)
        return 1 - value / high


def _marks(values: Sequence[float]) -> list[float]:
    """1, 2 and 5 times powers of ten around some values, at least two of them."""
    low, high = (max(bound, LOWEST) for bound in (min(values, default=1.0), max(values, default=10.0)))
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    marks = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
    first = max(i for i, mark in enumerate(marks) if mark <= low)
    last = min(i for i, mark in enumerate(marks) if mark >= high)
    return marks[first : max(last, first + 1) + 1]


def _spread(line: Line, most: float) -> Sequence[tuple[float, float]]:
    """The points that are drawn."""
    if line.level:
        return [(0.0, line.points[0][1]), (most, line.points[0][1])]
    every = -(-len(line.points) // MOST_POINTS)
    return [*line.points[:-1:every], line.points[-1]]
