"""The Tour tab: the course report's findings, failures included, and the repair of each."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import gradio as gr

from storylab.exhibits import EXHIBITS, TOUR, begin, watch
from storylab.exhibits.parts import Doing, Loss
from storylab.limits import limits
from storylab.ui import cards, panels, tour_view
from storylab.ui.address import Address
from storylab.ui.controls import AT_ONCE, HIDDEN
from storylab.ui.links import write_query
from storylab.ui.problems import problem_of
from storylab.ui.tab import PageTab, press
from storylab.ui.texts import Labels, Say, speaker
from storylab.ui.visits import Visits
from storylab.ui.work import Line, Ticket

REFRESH = 0.25
"""Seconds between two looks at what is under way."""


class Walk(Ticket):
    """A step that a visitor has asked for."""

    def __init__(self, name: str):
        super().__init__()
        self.name = name


class TourTab(PageTab):
    """The tab's components and what happens between them."""

    key = "tour"

    def __init__(self, tab: gr.Tab, label: Labels, visits: Visits, address: Address):
        super().__init__(tab, label, visits, address)
        self.line = Line(1000)
        self.first = self.begin()
        with gr.Column(elem_classes="sheet", elem_id="tour"):
            titles = [
                (label.made(lambda say, name=name: f"{TOUR.index(name) + 1}. {say(f'tour_{name}_title')}"), name)
                for name in TOUR
            ]
            self.step = gr.Radio(titles, value=TOUR[0], label=label("tour_steps_label"), elem_id="tour-steps")
            with gr.Row(elem_classes="buttons"):
                self.run = gr.Button(label("tour_run"), variant="primary", elem_id="tour-run", elem_classes="run")
                self.stop = gr.Button(label("stop"), elem_id="tour-stop", elem_classes="stop")
                self.before = gr.Button(label("tour_before"), elem_id="tour-before", interactive=False)
                self.next = gr.Button(label("tour_next"), elem_id="tour-next")
            self.status = gr.HTML("", elem_id="tour-status", apply_default_css=False)
            self.panels = {
                name: gr.HTML(
                    label.made(lambda say, name=name: tour_view.step(name, say)),
                    visible=name == TOUR[0],
                    elem_id=f"tour-{name}",
                    apply_default_css=False,
                )
                for name in TOUR
            }
        self._wire()

    @property
    def _views(self) -> list[gr.blocks.Block]:
        """What `_view` gives new values."""
        return [self.step, self.before, self.next, *self.panels.values()]

    def _wire(self) -> None:
        view = {"outputs": [*self._views, self.address.query], **AT_ONCE}
        self.step.input(self._look, self.step, **view)
        self.before.click(self._step_back, self.step, **view)
        self.next.click(self._step_on, self.step, **view)
        self.first.click(self._begin, **view).success(None, js=press("tour-run"), **HIDDEN)
        asked = self.run.click(self._ask, self.step, self.status, **AT_ONCE)
        asked.success(
            self._run,
            outputs=[self.status, self.address.query, *self.panels.values()],
            concurrency_limit=1,
            concurrency_id="training",
            trigger_mode="multiple",
            **HIDDEN,
        )
        self.stop.click(self._stop, outputs=self.status, **AT_ONCE)

    def connect(self, page: gr.Blocks, tabs: Mapping[str, PageTab], bar: gr.Tabs) -> None:
        page.unload(self._leave)

    @property
    def arriving(self) -> Mapping[gr.blocks.Block, Collection[str]]:
        return dict.fromkeys(self._views, ())

    def arrive(self, query: Mapping[str, str], say: Say) -> list[Any]:
        number = query.get("step", "") if query.get("tab") == self.key else ""
        names = dict(zip(map(str, range(1, len(TOUR) + 1)), TOUR, strict=True))
        return self._view(names.get(number, TOUR[0]))

    # What happens. `request` is filled in by gradio; its session hash is the visitor.

    def _view(self, name: str) -> list[Any]:
        """New values for `_views`: a step is shown, the others are kept as they are."""
        shown = [gr.update(visible=other == name) for other in TOUR]
        ends = [gr.update(interactive=name != TOUR[0]), gr.update(interactive=name != TOUR[-1])]
        return [gr.update(value=name), *ends, *shown]

    def _look(self, name: str) -> list[Any]:
        return [*self._view(name), write_query(self.key, run=False, step=TOUR.index(name) + 1)]

    def _step_back(self, name: str) -> list[Any]:
        return self._look(TOUR[max(0, TOUR.index(name) - 1)])

    def _step_on(self, name: str) -> list[Any]:
        return self._look(TOUR[min(len(TOUR) - 1, TOUR.index(name) + 1)])

    def _begin(self) -> list[Any]:
        return self._look(TOUR[0])

    def _ask(self, request: gr.Request, name: str) -> str:
        """Note what is asked for, in place of what is under way; nothing where it trains and nothing may be trained."""
        if EXHIBITS[name].trains and not limits().trainings:
            self.line.leave(request.session_hash)
            return cards.problem(speaker(request)("problem_no_training"))
        self.line.ask(request.session_hash, Walk(name))
        return panels.progress(speaker(request)("tour_waits"), 0, 1)

    def _stop(self, request: gr.Request) -> str:
        self.line.end(request.session_hash)
        return panels.quiet(speaker(request)("tour_stopped"))

    def _leave(self, request: gr.Request) -> None:
        self.line.leave(request.session_hash)

    def _run(self, request: gr.Request) -> Iterator[list[Any]]:
        say, walk = speaker(request), self.line.take(request.session_hash)
        if not isinstance(walk, Walk):
            yield [gr.skip()] * (2 + len(TOUR))
            return
        try:
            yield from self._walk(walk, say)
        except Exception as error:
            yield self._shown(walk, cards.problem(problem_of(error, say)), tour_view.step(walk.name, say))
        finally:
            self.line.leave(request.session_hash, walk)  # the visitor may have closed the page

    def _walk(self, walk: Walk, say: Say) -> Iterator[list[Any]]:
        exhibit, doing, looked = begin(walk.name), None, 0.0
        title, began = say(f"tour_{walk.name}_title"), time.monotonic()
        for part in watch(walk.name, walk.stop):
            exhibit.add(part)
            doing = part if isinstance(part, Doing) else doing
            seldom = isinstance(part, Doing | Loss) and time.monotonic() - looked < REFRESH
            if seldom or walk.stop.is_set():
                continue
            looked = time.monotonic()
            status = panels.progress(say("tour_runs", title=title, seconds=looked - began), 0, 1)
            yield self._shown(walk, status, tour_view.step(walk.name, say, exhibit, doing))
        if walk.stop.is_set():  # the line says so already, or is another step's by now
            yield self._shown(walk, gr.skip(), tour_view.step(walk.name, say, exhibit))
            return
        done = panels.quiet(say("tour_done", title=title, seconds=time.monotonic() - began))
        query = write_query(self.key, step=TOUR.index(walk.name) + 1)
        yield self._shown(walk, done, tour_view.step(walk.name, say, exhibit), query)

    def _shown(self, walk: Walk, status: Any, looks: str, query: Any = None) -> list[Any]:
        panel = [looks if name == walk.name else gr.skip() for name in TOUR]
        return [status, gr.skip() if query is None else query, *panel]
