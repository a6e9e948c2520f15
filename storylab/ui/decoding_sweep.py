"""The sweep in the Decoding tab: one storyteller's repetition, variety and surprise against the temperature."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from storylab.errors import StoryLabError
from storylab.evaluation.results import read_record
from storylab.inspection.sweep import TEMPERATURES, SweepPoint, sweep
from storylab.ui import cards, decoding_charts, decoding_view, panels
from storylab.ui.admission import Refused, admission
from storylab.ui.controls import AT_ONCE, HIDDEN
from storylab.ui.problems import problem_of
from storylab.ui.texts import Labels, Say, speaker
from storylab.ui.visits import OWN_NAME, Visits
from storylab.ui.work import Line, Ticket

MOST_VISITORS = 1000
"""Whose sweeps are remembered."""


class Asked(Ticket):
    """A storyteller whose temperature is to be swept."""

    def __init__(self, name: str):
        super().__init__()
        self.name = name


class Sweep:
    """The panel's components; `wire` gives them the storyteller's field."""

    def __init__(self, label: Labels, visits: Visits):
        self.visits, self.line = visits, Line(MOST_VISITORS)
        self._swept: dict[str, list[SweepPoint]] = {}  # of the catalogue's storytellers, which do not change
        with gr.Column(elem_classes="sheet", elem_id="decoding-sweep-panel"):
            head = label.made(lambda say: panels.section(say("decoding_sweep"), say("decoding_sweep_about")))
            gr.HTML(head, apply_default_css=False)
            with gr.Row(elem_classes="buttons"):
                self.run = gr.Button(label("decoding_sweep_run"), elem_id="decoding-sweep")
                self.stop = gr.Button(label("stop"), elem_id="decoding-sweep-stop", elem_classes="stop")
            self.progress = gr.HTML("", elem_id="decoding-sweep-progress", apply_default_css=False)
            with gr.Row(elem_id="decoding-charts"):
                self.charts = [
                    gr.Plot(label=label(key), visible=False, show_label=False, elem_id=f"decoding-chart-{key[9:]}")
                    for key in ("decoding_repeating", "decoding_surprise")
                ]
            self.reading = gr.HTML("", elem_id="decoding-reading", apply_default_css=False)

    @property
    def outputs(self) -> list[gr.components.Component]:
        """What `look` gives new values."""
        return [self.progress, *self.charts, self.reading]

    def wire(self, model: gr.Dropdown) -> None:
        """Listen; `model` holds the storyteller's name."""
        self.run.click(self._ask, model, self.outputs, **AT_ONCE).success(
            self._run,
            outputs=self.outputs,
            concurrency_limit=1,
            concurrency_id="decoding-sweep",
            trigger_mode="multiple",
            **HIDDEN,
        )
        self.stop.click(self._stop, outputs=self.progress, **AT_ONCE)
        model.input(self.look, model, self.outputs, **AT_ONCE)

    def look(self, request: gr.Request, name: str) -> list[Any]:
        """What is there already of a storyteller; the sweep of another one ends."""
        self.line.leave(request.session_hash)
        points = self._swept.get(name)
        return self._shown(name, points, "", speaker(request)) if points else self._nothing("")

    def known(self, name: str, say: Say) -> list[Any]:
        """What is there already of a storyteller; where nothing is, what runs or was stopped stays as it is."""
        points = self._swept.get(name)
        return [gr.skip(), *self._shown(name, points, "", say)[1:]] if points else [gr.skip()] * len(self.outputs)

    def _stop(self, request: gr.Request) -> str | dict[str, Any]:
        waited = self.line.end(request.session_hash)
        if waited:
            self._give_back(request.session_hash)
        return panels.quiet(speaker(request)("decoding_sweep_stopped")) if waited else gr.skip()

    def _ask(self, request: gr.Request, name: str | None) -> list[Any]:
        """What is asked for waits in line; what is swept by now ends."""
        say, visitor = speaker(request), request.session_hash
        if not name:
            self.line.leave(visitor)
            return self._nothing(cards.problem(say("problem_choose")))
        try:
            admission().count(request, visitor, len(TEMPERATURES))
        except Refused as refused:
            self.line.leave(visitor)  # an earlier sweep would draw over it
            return self._nothing(cards.problem(refused.said(say)))
        self.line.ask(visitor, Asked(name))
        return self._nothing(panels.progress(say("decoding_waits"), 0, len(TEMPERATURES)))

    def _run(self, request: gr.Request) -> Iterator[list[Any]]:
        say, visitor, rest = speaker(request), request.session_hash, [gr.skip()] * (len(self.outputs) - 1)
        ticket = self.line.take(visitor)
        if not isinstance(ticket, Asked):  # refused, or stopped
            yield [gr.skip(), *rest]
            return
        progress = ""
        try:
            for look in self._looks(visitor, ticket, say):
                yield look if not ticket.left.is_set() else [gr.skip(), *rest]
            if ticket.stop.is_set():
                progress = panels.quiet(say("decoding_sweep_stopped"))
        except Exception as error:
            self._give_back(visitor)
            progress = cards.problem(problem_of(error, say))
        finally:
            ticket.stop.set()
        yield [progress if not ticket.left.is_set() else gr.skip(), *rest]

    def _give_back(self, visitor: str) -> None:
        """Put the tellings of a sweep that came to nothing back into the visitor's allowance."""
        admission().allowance.give_back(visitor, len(TEMPERATURES))

    def _looks(self, visitor: str, asked: Asked, say: Say) -> Iterator[list[Any]]:
        """What there is of the sweep, one temperature after the other, until it is stopped."""
        name, points, total = asked.name, [], len(TEMPERATURES)
        how_far = lambda: panels.progress(  # noqa: E731
            say("decoding_sweep_progress", done=len(points), total=total), len(points), total
        )
        storyteller = self.visits.load(visitor, name)
        yield self._shown(name, points, how_far(), say)
        for point in sweep(storyteller, stop=asked.stop):
            points.append(point)
            yield self._shown(name, points, how_far(), say)
        if len(points) == total and name != OWN_NAME:
            self._swept[name] = points

    def _nothing(self, progress: str) -> list[Any]:
        """The panel before a sweep."""
        return [progress, gr.update(visible=False), gr.update(visible=False), ""]

    def _shown(self, name: str, points: list[SweepPoint], progress: str, say: Say) -> list[Any]:
        """The panel with the points of a sweep, of which there may be none yet."""
        people = _people(name)
        charts = (
            decoding_charts.shares(points, TEMPERATURES, say),
            decoding_charts.surprise(points, TEMPERATURES, people, say),
        )
        level = say("decoding_people", value=people) if people else ""
        words = panels.quiet(f"{say('decoding_reading')} {level}")
        table = decoding_view.sweep_table(points, say)
        return [progress, *(gr.update(value=chart, visible=True) for chart in charts), words + table]


def _people(name: str) -> float | None:
    """The perplexity per word that a storyteller gives to people's stories; None where it was not measured."""
    try:
        return read_record()["models"].get(name, {}).get("perplexity_per_word", {}).get("value")
    except StoryLabError:
        return None
