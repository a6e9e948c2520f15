"""Charts of a report, drawn by Vega-Altair; the browser draws them, and nothing is fetched for that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from storylab.evaluation.report import SHARES, Report, heading, number, ranking
from storylab.ui.texts import Say

if TYPE_CHECKING:
    import altair

FONT = "system-ui, -apple-system, Segoe UI, Roboto, Helvetica Neue, Noto Sans, Arial, sans-serif"
"""The page's, so that labels are measured as they are drawn."""
ROW = 34
"""Pixels that a row of a chart is high."""


def on_page(chart: altair.TopLevelMixin, height: int) -> altair.TopLevelMixin:
    """A chart as wide as its place, in SVG, so that the page's style gives its words the colours of light or dark.

    Args:
        chart: Of one layer or several.
        height: In pixels.
    """
    embedded = {"embedOptions": {"renderer": "svg", "actions": False}}
    in_place = chart.properties(width="container", height=height, usermeta=embedded)
    return in_place.configure(background="transparent", font=FONT)


def whiskers(report: Report, metric: str) -> altair.Chart:
    """Every teller's value of a metric as a point, its 95% interval as a line."""
    import altair  # only who looks at a chart waits for it

    names = ranking(report)
    rows = [
        _row(report, name, metric) for name in names if report["models"][name].get(metric, {}).get("value") is not None
    ]
    axis = altair.Axis(format="%") if metric in SHARES else altair.Axis()
    scale = altair.Scale(zero=False)
    base = altair.Chart(altair.Data(values=rows)).encode(
        y=altair.Y("name:N", sort=names, title=None),
        color=altair.Color("kind:N", legend=None),
        tooltip=["name:N", "shown:N", "interval:N"],
    )
    lines = base.mark_rule(strokeWidth=2).encode(
        x=altair.X("low:Q", title=heading(report, metric), axis=axis, scale=scale), x2="high:Q"
    )
    points = base.mark_point(filled=True, size=80).encode(x="value:Q")
    return on_page(lines + points, ROW * len(rows))


def heat_map(matrix: Mapping[str, Mapping[str, Mapping[str, Any]]], say: Say) -> altair.Chart:
    """Who finds whom surprising: perplexity per word of each reader (a row) on each writer (a column)."""
    import altair

    rows = [
        {"reader": reader, "writer": writer, "value": figure["value"], "shown": number(figure["value"], "")}
        for reader, by_writer in matrix.items()
        for writer, figure in by_writer.items()
        if figure["value"] is not None
    ]
    readers, writers = list(matrix), list(dict.fromkeys(row["writer"] for row in rows))
    base = altair.Chart(altair.Data(values=rows)).encode(
        x=altair.X("writer:N", sort=writers, title=say("wrote"), axis=altair.Axis(orient="top", labelAngle=-30)),
        y=altair.Y("reader:N", sort=readers, title=say("reads")),
        tooltip=["reader:N", "writer:N", "shown:N"],
    )
    color = altair.Color("value:Q", scale=altair.Scale(type="log", scheme="blues"), legend=None)
    middle = _middle([row["value"] for row in rows])
    squares = base.mark_rect().encode(color=color)
    figures = base.mark_text().encode(
        text="shown:N", color=altair.condition(f"datum.value > {middle}", altair.value("white"), altair.value("black"))
    )
    return on_page(squares + figures, ROW * len(readers))


def _row(report: Report, name: str, metric: str) -> dict[str, Any]:
    figure = report["models"][name][metric]
    low, high = figure.get("low"), figure.get("high")
    interval = "" if low is None else f"{number(low, metric)} – {number(high, metric)}"
    return {
        "name": name,
        "kind": report["columns"][name]["kind"],
        "value": figure["value"],
        "low": figure["value"] if low is None else low,
        "high": figure["value"] if high is None else high,
        "shown": number(figure["value"], metric),
        "interval": interval,
    }


def _middle(values: Sequence[float]) -> float:
    """Between the lightest and the darkest, on a scale of logarithms: the geometric mean of both ends."""
    return (min(values) * max(values)) ** 0.5 if values else 1.0
