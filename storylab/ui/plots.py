"""Curves that grow while one looks on: an SVG that stretches, its numbers as plain text beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 1000, 400
"""Of the drawing; it is stretched to the place that it has."""
DASHED = ' class="dashed"'


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


def lines(drawn: Sequence[Line], x: str, y: str, about: str) -> str:
    """A plot of some curves with a legend that says where each of them ends.

    Args:
        drawn: The curves; those without a point are left out.
        x: What runs from left to right.
        y: What goes up.
        about: What is to be seen, for who can't see it.
    """
    drawn = [line for line in drawn if line.points]
    if not drawn:
        return ""
    most = max((point[0] for line in drawn if not line.level for point in line.points), default=1.0) or 1.0
    values = [point[1] for line in drawn for point in line.points]
    top = 1.05 * max([*values, 1e-9])
    place = lambda point: f"{WIDTH * point[0] / most:.1f},{HEIGHT * (1 - max(point[1], 0) / top):.1f}"  # noqa: E731
    curves = "".join(
        f'<polyline points="{" ".join(map(place, _spread(line, most)))}" style="stroke: {escape(line.colour)}"'
        f"{DASHED if line.dashed else ''}/>"
        for line in drawn
    )
    ticks = "".join(f"<span>{value:.3g}</span>" for value in (top, top / 2, 0))
    legend = "".join(
        f'<li><i style="border-color: {escape(line.colour)}"{DASHED if line.dashed else ""}></i>'
        f" {escape(line.name)} <b>{line.points[-1][1]:.2f}</b></li>"
        for line in drawn
    )
    return (
        f'<figure class="plot"><figcaption>{escape(y)}</figcaption>'
        f'<div class="heights" aria-hidden="true">{ticks}</div>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{escape(about)}">'
        f'{curves}</svg><div class="across" aria-hidden="true"><span>0</span><span>{escape(x)}</span>'
        f"<span>{most:g}</span></div><ul>{legend}</ul></figure>"
    )


def _spread(line: Line, most: float) -> Sequence[tuple[float, float]]:
    return [(0.0, line.points[0][1]), (most, line.points[0][1])] if line.level else line.points
