"""What is to be seen of a training under way: its loss on a logarithmic scale, its figures, the place for both."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import gradio as gr

from storylab.ui.plots import Line, lines
from storylab.ui.texts import Say


def loss_plot(drawn: Sequence[Line], steps: int, say: Say) -> str:
    """Curves of (step, loss in nats a token), from step 0 to a last one."""
    ends = "; ".join(
        say("live_plot_line", name=line.name, first=line.points[0][1], last=line.points[-1][1], step=line.points[-1][0])
        for line in drawn
        if line.points
    )
    about = say("live_plot_about", ends=ends)
    return lines(drawn, say("live_plot_step"), say("live_plot_loss"), about, logarithmic=True, last=steps)


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
