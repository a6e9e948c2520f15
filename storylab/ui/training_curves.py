"""The curves of checkpoints' trainings, drawn from their logs over steps, tokens or hours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr

from storylab.training.history import AXES, QUANTITIES, Point
from storylab.ui import cards, panels
from storylab.ui.charts import on_page
from storylab.ui.controls import AT_ONCE
from storylab.ui.texts import Labels, Say, speaker
from storylab.ui.trained import Trained, trained, with_logs

if TYPE_CHECKING:
    import altair

QUANTITY, AXIS = "perplexity_per_word", "step"
"""What is drawn at first."""
MOST_POINTS = 400
"""Points of a curve that go to the browser; a longer log is thinned out evenly."""
HEIGHT = 340
"""Pixels that the chart is high."""


class Curves:
    """The panel's components and what happens between them."""

    def __init__(self, label: Labels):
        rows = with_logs()
        with gr.Column(elem_classes="sheet", elem_id="curves"):
            head = label.made(lambda say: panels.section(say("training_curves"), say("training_curves_about")))
            gr.HTML(head, apply_default_css=False)
            self.chosen = gr.CheckboxGroup(
                [(label.made(lambda say, row=row: cards.title(row, say)), row["name"]) for row in rows],
                value=[row["name"] for row in rows],
                label=label("storytellers"),
                elem_id="curves-chosen",
            )
            with gr.Row(elem_classes="fields"):
                self.quantity = gr.Radio(
                    [(label(f"quantity_{key}"), key) for key in QUANTITIES],
                    value=QUANTITY,
                    label=label("training_quantity"),
                    elem_id="curves-quantity",
                    elem_classes="wide",
                )
                self.axis = gr.Radio(
                    [(label(f"axis_{key}"), key) for key in AXES],
                    value=AXIS,
                    label=label("training_axis"),
                    elem_id="curves-axis",
                    elem_classes="wide",
                )
            self.legend = gr.HTML("", elem_id="curves-legend", apply_default_css=False)
            self.chart = gr.Plot(label=label("training_curves"), show_label=False, elem_id="curves-chart")
            self.note = gr.HTML("", elem_id="curves-note", apply_default_css=False)
        gr.on([field.change for field in self.fields], self._redraw, self.fields, self.drawing, **AT_ONCE)

    @property
    def fields(self) -> list[gr.components.Component]:
        """What decides on the drawing."""
        return [self.chosen, self.quantity, self.axis]

    @property
    def drawing(self) -> list[gr.components.Component]:
        """What `draw` gives new values."""
        return [self.legend, self.chart, self.note]

    def _redraw(self, request: gr.Request, chosen: list[str], quantity: str, axis: str) -> list[Any]:
        say = speaker(request)
        return draw(trained(say)[0], chosen, quantity, axis, say)


def draw(known: Sequence[Trained], chosen: Sequence[str], quantity: str, axis: str, say: Say) -> list[Any]:
    """Legend, chart and remark for the chosen ones of the known checkpoints."""
    shown = [one for one in known if one.name in chosen and one.training.curve(quantity)]
    if not shown:
        return [cards.problem(say("training_no_curve" if chosen else "problem_choose")), None, ""]
    remarks = [say(f"about_{quantity}")]
    if quantity == "perplexity_per_word" and (prose := [one.title for one in shown if one.training.reads_prose]):
        remarks.append(say("training_prose", names=" · ".join(prose)))
    if any(one.training.stages > 1 for one in shown):
        remarks.append(say("training_stages"))
    return [_legend(shown, quantity, say), curves(shown, quantity, axis, say), panels.quiet(" ".join(remarks))]


def _legend(shown: Sequence[Trained], quantity: str, say: Say) -> str:
    """Whose line is which, and where each ends."""
    items = "".join(
        f'<li><svg width="34" height="8" aria-hidden="true"><line x1="0" x2="34" y1="4" y2="4"'
        f' stroke="{one.colour}" stroke-width="3" stroke-dasharray="{" ".join(map(str, one.dash))}" /></svg>'
        f"{escape(one.title)} <b>{written(one.training.curve(quantity)[-1][1], quantity)}</b></li>"
        for one in shown
    )
    return f'<ul class="curve-legend" aria-label="{escape(say("training_legend"))}">{items}</ul>'


def written(value: float, quantity: str) -> str:
    """A figure with as many digits as it deserves."""
    forms = {"loss": ".3f", "perplexity_per_word": ".2f", "learning_rate": ".3g", "tokens_per_second": ",.0f"}
    return format(value, forms[quantity])


def curves(shown: Sequence[Trained], quantity: str, axis: str, say: Say) -> altair.Chart:
    """A line a checkpoint, a dot a line of its log; where a later stage begins, an upright line."""
    import altair  # only who looks at a chart waits for it

    rows = [row for one in shown for row in _rows(one, quantity, axis, say)]
    names = [one.name for one in shown]
    colour = altair.Scale(domain=names, range=[one.colour for one in shown])
    dash = altair.Scale(domain=names, range=[list(one.dash or (1, 0)) for one in shown])
    few = quantity == "perplexity_per_word"
    scale = altair.Scale(type="log", nice=False, padding=12) if few else altair.Scale(zero=quantity != "loss")
    short = "~g" if axis == "seconds" else "~s"
    places = altair.Axis(labelExpr=f"format(datum.value, '{short}')", tickCount=6, grid=False)
    base = altair.Chart(altair.Data(values=rows)).encode(
        x=altair.X("place:Q", title=say(f"axis_{axis}"), axis=places),
        y=altair.Y("value:Q", title=say(f"quantity_{quantity}"), scale=scale, axis=altair.Axis(tickCount=6)),
        color=altair.Color("name:N", scale=colour, legend=None),
        detail="stage:N",
    )
    lines = base.mark_line(strokeWidth=2.2, clip=True).encode(
        strokeDash=altair.StrokeDash("name:N", scale=dash, legend=None)
    )
    told = [
        altair.Tooltip("title:N", title=say("training_storyteller")),
        altair.Tooltip("at:N", title=say(f"axis_{axis}")),
        altair.Tooltip("shown:N", title=say(f"quantity_{quantity}")),
        altair.Tooltip("stage:N", title=say("training_stage")),
    ]
    points = base.mark_point(filled=True, size=60, opacity=1.0 if few else 0.0).encode(tooltip=told)
    layers = lines + points
    if starts := [row for one in shown for row in _starts(one, axis)]:
        layers += (
            altair.Chart(altair.Data(values=starts))
            .mark_rule(strokeDash=[3, 3], opacity=0.7)
            .encode(x="place:Q", color=altair.Color("name:N", scale=colour, legend=None))
        )
    return on_page(layers, HEIGHT)


def _rows(one: Trained, quantity: str, axis: str, say: Say) -> list[dict[str, Any]]:
    points = [point for point in one.training.points if getattr(point, quantity) is not None]
    every = -(-len(points) // MOST_POINTS)
    kept = points[::every] if points[-1] in points[::every] else [*points[::every], points[-1]]
    return [_row(one, point, quantity, axis, say) for point in kept]


def _row(one: Trained, point: Point, quantity: str, axis: str, say: Say) -> dict[str, Any]:
    place, value = _place(point, axis), getattr(point, quantity)
    return {
        "name": one.name,
        "title": one.title,
        "stage": point.stage,
        "place": place,
        "value": value,
        "at": f"{place:.2f}" if axis == "seconds" else f"{place:,}",
        "shown": written(value, quantity),
    }


def _place(point: Point, axis: str) -> float:
    """Where a point is on an axis; time is shown in hours."""
    return point.seconds / 3600 if axis == "seconds" else getattr(point, axis)


def _starts(one: Trained, axis: str) -> list[Mapping[str, Any]]:
    """Where later stages begin: at the last point of the one before."""
    pairs = zip(one.training.points, one.training.points[1:], strict=False)
    return [{"name": one.name, "place": _place(before, axis)} for before, after in pairs if before.stage != after.stage]
