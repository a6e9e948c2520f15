"""The loss of a training under way on a logarithmic scale: an SVG that stretches, its numbers as text beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import gradio as gr

from storylab.ui.plots import HEIGHT, WIDTH, Line
from storylab.ui.texts import Say

MOST_MARKS = 8
"""Marks of the scale that are all named; of more, the powers of ten are."""
LOWEST = 1e-6
"""A loss below which the scale shows no difference."""
MOST_POINTS = 300
"""Points of a curve that are drawn; a longer one is thinned out evenly."""


def loss_plot(drawn: Sequence[Line], steps: int, say: Say) -> str:
    """Curves of (step, loss in nats a token), from step 0 to a last one, in the frame of `plots.lines`.

    The scale goes from the mark (1, 2 or 5 times a power of ten) below the lowest loss to the one above the highest.
    """
    drawn = [line for line in drawn if line.points]
    marks = _marks([loss for line in drawn for _, loss in line.points])
    low, high = math.log10(marks[0]), math.log10(marks[-1])

    def down(loss: float) -> float:
        return (high - math.log10(max(loss, marks[0]))) / (high - low)

    curves = "".join(
        f'<polyline points="{" ".join(f"{WIDTH * x / max(steps, 1):.1f},{HEIGHT * down(y):.1f}" for x, y in points)}"'
        f' style="stroke: {line.colour}"{_dashed(line)}/>'
        for line in drawn
        for points in [_thinned(line.points)]
    )
    grid = "".join(f'<path d="M0,{HEIGHT * down(mark):.1f}H{WIDTH}"/>' for mark in marks[1:])
    named = marks if len(marks) <= MOST_MARKS else [mark for mark in marks if f"{mark:e}"[0] == "1"]
    ticks = "".join(f'<span style="top: {100 * down(mark):.1f}%">{mark:g}</span>' for mark in named)
    legend = "".join(
        f'<li><i style="border-color: {line.colour}"{_dashed(line)}></i>'
        f" {escape(line.name)} <b>{line.points[-1][1]:.3g}</b></li>"
        for line in drawn
    )
    ends = "; ".join(
        say("live_plot_line", name=line.name, first=line.points[0][1], last=line.points[-1][1], step=line.points[-1][0])
        for line in drawn
    )
    return (
        f'<figure class="plot live-plot"><figcaption>{escape(say("live_plot_loss"))}</figcaption>'
        f'<div class="live-ticks" aria-hidden="true">{ticks}</div>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img"'
        f' aria-label="{escape(say("live_plot_about", ends=ends))}"><g class="grid">{grid}</g>{curves}</svg>'
        f'<div class="across" aria-hidden="true"><span>0</span><span>{escape(say("live_plot_step"))}</span>'
        f"<span>{steps}</span></div><ul>{legend}</ul></figure>"
    )


def _marks(losses: Sequence[float]) -> list[float]:
    """1, 2 and 5 times powers of ten around some losses, at least two of them."""
    low, high = (max(bound, LOWEST) for bound in (min(losses, default=1.0), max(losses, default=10.0)))
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    marks = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
    first = max(i for i, mark in enumerate(marks) if mark <= low)
    last = min(i for i, mark in enumerate(marks) if mark >= high)
    return marks[first : max(last, first + 1) + 1]


def _dashed(line: Line) -> str:
    return ' class="dashed"' if line.dashed else ""


def _thinned(points: Sequence[tuple[int, float]]) -> Sequence[tuple[int, float]]:
    every = -(-len(points) // MOST_POINTS)
    return [*points[:-1:every], points[-1]]


def figures(shown: Sequence[tuple[str, str, str]]) -> str:
    """A row of figures: what each is, its value, and what it means, shown where the pointer or the focus rests."""
    items = "".join(
        f'<div><dt><span class="term" tabindex="0" title="{escape(about)}">{escape(name)}</span></dt>'
        f"<dd>{escape(value)}</dd></div>"
        for name, value, about in shown
    )
    return f'<dl class="live-figures">{items}</dl>'


def frame(html: str, busy: bool) -> str:
    """The place of a training, which keeps its height while things come and go in it."""
    return f'<div class="live" aria-busy="{str(busy).lower()}">{html}</div>'


def visible(stop: bool, more: bool) -> list[dict]:
    """Whether the stop button and what can be done with the result are to be seen."""
    return [gr.update(visible=stop), gr.update(visible=more)]
