"""The charts of a sweep over the temperature, drawn by Vega-Altair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from storylab.ui.charts import on_page
from storylab.ui.texts import Say

if TYPE_CHECKING:
    import altair

    from storylab.inspection.sweep import SweepPoint

HEIGHT = 260
"""Pixels."""
COLOURS = ("#d55e00", "#3a8fd0", "#009e73")
"""Of the measures (Okabe and Ito 2008, the blue lighter, to be seen in the dark); each has a shape of its own too."""
SHAPES = ("circle", "square", "triangle-up")


def shares(points: Sequence[SweepPoint], temperatures: Sequence[float], say: Say) -> altair.Chart:
    """Repetition, variety and form against the temperature.

    Args:
        points: Those that are there by now.
        temperatures: All of the sweep, so that the axis stays as it is.
        say: The language.
    """
    import altair  # only who looks at a chart waits for it

    names = [say("decoding_repeating"), say("figure_distinct"), say("decoding_four")]
    rows = [
        {"temperature": point.temperature, "measure": name, "value": value}
        for point in points
        for name, value in zip(names, (point.repetition_4, point.distinct_2, point.four_sentences), strict=True)
    ]
    legend = altair.Legend(orient="top", title=None, symbolSize=90, columns=1)
    base = altair.Chart(altair.Data(values=rows)).encode(
        x=_across(temperatures, say),
        y=altair.Y("value:Q", title=None, axis=altair.Axis(format="%"), scale=altair.Scale(domain=[0, 1])),
        color=altair.Color("measure:N", scale=altair.Scale(domain=names, range=list(COLOURS)), legend=legend),
        tooltip=["measure:N", "temperature:Q", altair.Tooltip("value:Q", format=".0%")],
    )
    shape = altair.Shape("measure:N", scale=altair.Scale(domain=names, range=list(SHAPES)), legend=legend)
    marks = base.mark_line() + base.mark_point(filled=True, size=70, opacity=1).encode(shape=shape)
    return on_page(marks, HEIGHT)


def surprise(
    points: Sequence[SweepPoint], temperatures: Sequence[float], people: float | None, say: Say
) -> altair.Chart:
    """How surprising the storyteller finds its own words against the temperature, on a scale of logarithms.

    Args:
        points: Those that are there by now.
        temperatures: All of the sweep.
        people: The perplexity per word that the storyteller gives to people's stories, a level; None: not known.
        say: The language.
    """
    import altair

    most = max([10_000.0, *(point.perplexity_per_word for point in points)])
    up = altair.Y(
        "value:Q",
        title=say("decoding_surprise"),
        scale=altair.Scale(type="log", domain=[1, most]),
        axis=altair.Axis(format="~s", values=[10**power for power in range(7)]),
    )
    tooltip = ["temperature:Q", altair.Tooltip("value:Q", format=",.4~g")]
    rows = [{"temperature": point.temperature, "value": point.perplexity_per_word} for point in points]
    base = altair.Chart(altair.Data(values=rows)).encode(x=_across(temperatures, say), y=up, tooltip=tooltip)
    marks = base.mark_line(color=COLOURS[0]) + base.mark_point(filled=True, size=70, opacity=1, color=COLOURS[0])
    if people:
        level = altair.Chart(altair.Data(values=[{"value": people}])).encode(y=up, tooltip=tooltip[1:])
        marks += level.mark_rule(strokeDash=[5, 4], strokeWidth=2, color=COLOURS[1])
    return on_page(marks, HEIGHT)


def _across(temperatures: Sequence[float], say: Say) -> altair.X:
    import altair

    return altair.X(
        "temperature:Q",
        title=say("decoding_across"),
        scale=altair.Scale(domain=[0, max(temperatures)]),
        axis=altair.Axis(tickCount=6),
    )
