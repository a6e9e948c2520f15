"""The sweep in the Decoding tab: one storyteller's repetition, variety and surprise against the temperature."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from storylab.errors import StoryLabError
from storylab.evaluation.results import read_record
from storylab.inspection.sweep import TEMPERATURES, SweepPoint, sweep
from storylab.ui import cards, decoding_charts, decoding_view, panels
from storylab.ui.controls import AT_ONCE, HIDDEN
from storylab.ui.decoding_stops import Stops
from storylab.ui.texts import Labels, Say, speaker
from storylab.ui.visits import OWN_NAME, Visits


class Sweep:
    """The panel's components; `wire` gives them the storyteller's field."""

    def __init__(self, label: Labels, visits: Visits):
        self.visits, self.stops = visits, Stops()
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
        self.run.click(
            self._run,
            model,
            self.outputs,
            concurrency_limit=1,
            concurrency_id="decoding-sweep",
            trigger_mode="once",
            **HIDDEN,
        )
        self.stop.click(self._stop, **AT_ONCE)
        model.input(self.look, model, self.outputs, **AT_ONCE)

    def look(self, request: gr.Request, name: str) -> list[Any]:
        """What is there already of a storyteller; the sweep of another one ends."""
        self.stops.end(request.session_hash)
        return self._shown(name, self._swept.get(name, []), "", speaker(request))

    def known(self, name: str, say: Say) -> list[Any]:
        """What is there already of a storyteller; where nothing is, what runs or was stopped stays as it is."""
        points = self._swept.get(name)
        return [gr.skip(), *self._shown(name, points, "", say)[1:]] if points else [gr.skip()] * len(self.outputs)

    def _stop(self, request: gr.Request) -> None:
        self.stops.end(request.session_hash)

    def _run(self, request: gr.Request, name: str) -> Iterator[list[Any]]:
        say, visitor = speaker(request), request.session_hash
        stop, points = self.stops.begin(visitor), []
        how_far = lambda: panels.progress(  # noqa: E731
            say("decoding_sweep_progress", done=len(points), total=len(TEMPERATURES)), len(points), len(TEMPERATURES)
        )
        try:
            storyteller = self.visits.load(visitor, name)
            yield self._shown(name, points, how_far(), say, empty=True)
            for point in sweep(storyteller, stop=stop):
                points.append(point)
                yield self._shown(name, points, how_far(), say)
        except StoryLabError as error:
            yield [cards.problem(str(error)), *(gr.skip() for _ in self.outputs[1:])]
            return
        finally:
            stop.set()
        whole = len(points) == len(TEMPERATURES)
        if whole and name != OWN_NAME:
            self._swept[name] = points
        if self.stops.is_last(visitor, stop):
            yield [panels.quiet("" if whole else say("decoding_sweep_stopped")), *(gr.skip() for _ in self.outputs[1:])]

    def _shown(self, name: str, points: list[SweepPoint], progress: str, say: Say, empty: bool = False) -> list[Any]:
        if not points and not empty:
            return [progress, gr.update(visible=False), gr.update(visible=False), ""]
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
