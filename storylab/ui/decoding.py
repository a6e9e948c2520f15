"""The Decoding tab: one storyteller, many ways to choose its tokens."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import gradio as gr

from storylab.decoding import PRESETS, check_opening, check_seed
from storylab.errors import StoryLabError
from storylab.inspection.strategies import STRATEGIES, stream_strategies
from storylab.inspection.texts import check_text
from storylab.storytellers import Telling
from storylab.ui import cards, decoding_view, tellers
from storylab.ui.address import Address
from storylab.ui.admission import admission, waiting
from storylab.ui.controls import AT_ONCE, HIDDEN
from storylab.ui.decoding_next import NextToken, next_settings
from storylab.ui.decoding_sweep import MOST_VISITORS, Sweep
from storylab.ui.links import read_link, read_part, write_query, write_settings
from storylab.ui.problems import problem_of
from storylab.ui.seed import read_seed, seed_field
from storylab.ui.tab import PageTab, press
from storylab.ui.texts import EXAMPLES, Labels, Say, speaker
from storylab.ui.visits import Visits
from storylab.ui.work import Line, Ticket

PREFERRED = ("gpt2-mini-finetuned", "seq2seq")
"""Who tells at first: the first of them that is ready, else any."""
REFRESH = 0.1
"""Seconds between two looks at the stories while they are told."""


class Asked(Ticket):
    """A story to tell by every strategy."""

    def __init__(self, opening: str, name: str, seed: int):
        super().__init__()
        self.opening, self.name, self.seed = opening, name, seed


class DecodingTab(PageTab):
    """The tab's components and what happens between them."""

    key = "decoding"

    def __init__(self, tab: gr.Tab, label: Labels, visits: Visits, address: Address):
        super().__init__(tab, label, visits, address)
        self.line = Line(MOST_VISITORS)
        rows = tellers.ready()
        first = _first([row["name"] for row in rows])
        self.example = self.begin()
        with gr.Column(elem_classes="sheet", elem_id="decoding-ask"):
            with gr.Row(elem_classes="fields"):
                self.opening = gr.Textbox(
                    EXAMPLES["park"],
                    label=label("opening"),
                    placeholder=label("opening_hint"),
                    lines=1,
                    max_lines=4,
                    elem_id="decoding-opening",
                    elem_classes=["wide", "submits"],
                    html_attributes=gr.InputHTMLAttributes(lang="en", autocomplete="off"),
                )
                self.model = gr.Dropdown(
                    tellers.labelled(rows, label), value=first, label=label("storyteller"), elem_id="decoding-model"
                )
                self.seed = seed_field(label, "decoding-seed")
            with gr.Row(elem_classes="buttons"):
                self.run = gr.Button(
                    label("decoding_run"), variant="primary", elem_id="decoding-run", elem_classes="run"
                )
                self.stop = gr.Button(label("stop"), elem_id="decoding-stop", elem_classes="stop")
            self.problem = gr.HTML("", elem_id="decoding-problem", apply_default_css=False)
            idle = label.made(lambda say: decoding_view.strategies({}, None, False, say))
            self.stories = gr.HTML(idle, elem_id="decoding-stories", apply_default_css=False)
        self.used = gr.State(None)  # the seed that was used last
        self.next = NextToken(label, visits)
        self.sweep = Sweep(label, visits)
        self._wire()

    def _wire(self) -> None:
        told = {"inputs": [self.opening, self.model, self.seed, *self._view]}
        told["outputs"] = [self.problem, self.stories, self.used, self.address.query]
        asked = gr.on([self.run.click, self.opening.submit], self._ask, **told, **AT_ONCE)
        asked.success(
            self._tell,
            outputs=self.stories,
            concurrency_limit=None,  # whoever waits does so in the line of `admission`
            trigger_mode="multiple",
            **HIDDEN,
        )
        self.stop.click(self._stop, outputs=self.stories, **AT_ONCE)
        self.next.wire(self.opening, self.model, self.seed, self.used)
        self.sweep.wire(self.model)
        look = {"fn": self.next.look, "inputs": self.next.inputs, "outputs": self.next.outputs}
        asked.success(**look, **AT_ONCE)
        filled = self.example.click(self._fill, outputs=[self.opening, self.seed], **AT_ONCE)
        filled.success(None, js=press("decoding-run"), **HIDDEN)
        opened = self.tab.select(self._open, self.model, [self.model, *self.sweep.outputs], **AT_ONCE)
        opened.success(**look, **AT_ONCE)
        link = [self.opening, self.model, self.seed, self.used, *self._view]
        follow = {"fn": self._follow, "inputs": link, "outputs": self.address.query, **AT_ONCE}
        gr.on([*(slider.release for slider in self.next.sliders), self.next.text.blur], **follow)
        for changed in (self.next.taken, self.next.drawn, self.next.restarted):
            changed.success(**follow)

    @property
    def _view(self) -> list[gr.components.Component]:
        """What a link says of the next token, besides opening and storyteller."""
        return [self.next.text, *self.next.sliders]

    def connect(self, page: gr.Blocks, tabs: Mapping[str, PageTab], bar: gr.Tabs) -> None:
        page.unload(self._leave)

    @property
    def arriving(self) -> Mapping[gr.blocks.Block, Collection[str]]:
        return dict.fromkeys([self.problem, self.opening, self.model, self.seed, *self._view], ())

    def arrive(self, query: Mapping[str, str], say: Say) -> list[Any]:
        link = read_link(query, [row["name"] for row in tellers.ready()])
        text = read_part(query, "text", check_text, link.problems)
        kept = lambda value: gr.skip() if value is None else value  # noqa: E731
        return [
            cards.problem(say("problem_link", problems="; ".join(link.problems))) if link.problems else "",
            kept(link.opening),
            kept(link.storytellers[0] if link.storytellers else None),
            kept(None if link.seed is None else str(link.seed)),
            text or gr.skip(),
            *self.next.values(link.settings or PRESETS["default"]),
        ]

    # What happens. `request` is filled in by gradio; its session hash is the visitor.

    def _fill(self) -> list[Any]:
        return [EXAMPLES["scales"], "1"]

    def _open(self, request: gr.Request, name: str | None) -> list[Any]:
        """Who can be chosen by now, in whose place another one stands who is gone, and what was swept already."""
        say = speaker(request)
        choices = tellers.choices(request, say, self.visits)
        names = [name for _, name in choices]
        chosen = name if name in names else _first(names)
        return [gr.update(choices=choices, value=chosen), *self.sweep.known(chosen or "", say)]

    def _ask(self, request: gr.Request, opening: str, name: str | None, seed: str, *view: Any) -> list[Any]:
        """What is asked for waits in line, or is refused; what is told by now ends."""
        say, visitor = speaker(request), request.session_hash
        try:
            opening, number = check_opening(opening), check_seed(read_seed(seed))
            if not name:
                raise StoryLabError(say("problem_choose"))
            query = self._query(opening, name, number, *view)
        except StoryLabError as error:
            self.line.leave(visitor)
            return [cards.problem(str(error)), gr.skip(), gr.skip(), gr.skip()]
        self.line.ask(visitor, Asked(opening, name, number))
        return ["", decoding_view.strategies({}, number, True, say), number, query]

    def _tell(self, request: gr.Request) -> Iterator[Any]:
        say, visitor = speaker(request), request.session_hash
        ticket = self.line.take(visitor)
        if not isinstance(ticket, Asked):  # refused, or stopped
            yield gr.skip()  # a generator without a value would empty the place
            return
        try:
            with admission().admit(request, visitor, len(STRATEGIES)) as place:
                for ahead in waiting(place, [ticket]):
                    yield decoding_view.strategies({}, ticket.seed, True, say, ahead)
                for look in self._looks(visitor, ticket, say):
                    yield look if not ticket.left.is_set() else gr.skip()
        except Exception as error:
            problem = cards.problem(say("failed", reason=problem_of(error, say)))
            yield problem if not ticket.left.is_set() else gr.skip()
        finally:
            ticket.stop.set()

    def _looks(self, visitor: str, asked: Asked, say: Say) -> Iterator[str]:
        """The stories while they are told, and whole at last."""
        told, shown, seed = dict[str, str | Telling](), 0.0, asked.seed
        storyteller = self.visits.load(visitor, asked.name)
        for strategy, new in stream_strategies(storyteller, asked.opening, seed, asked.stop):
            told[strategy] = new if isinstance(new, Telling) else told.get(strategy, "") + new.text
            if time.monotonic() - shown > REFRESH:
                yield decoding_view.strategies(told, seed, True, say)
                shown = time.monotonic()
        yield decoding_view.strategies(told, seed, False, say)

    def _stop(self, request: gr.Request) -> str | dict[str, Any]:
        if self.line.end(request.session_hash):  # it still waited
            return decoding_view.strategies({}, None, False, speaker(request))
        return gr.skip()

    def _leave(self, request: gr.Request) -> None:
        self.line.leave(request.session_hash)
        self.sweep.line.leave(request.session_hash)

    def _follow(self, opening: str, name: str | None, seed: str, used: int | None, *view: Any) -> str | dict[str, Any]:
        """The address of what is shown; as it was while something in it is no good."""
        try:
            given = read_seed(seed)
            number = used if given is None else given
            return self._query(check_opening(opening), name, number, *view)
        except StoryLabError:
            return gr.skip()

    def _query(self, opening: str, name: str | None, seed: int | None, text: str, *values: float) -> str:
        settings = write_settings(next_settings(values))
        return write_query(self.key, opening=opening, models=name, seed=seed, text=check_text(text), **settings)


def _first(names: Sequence[str]) -> str | None:
    """Who is chosen at first."""
    return next((name for name in (*PREFERRED, *names) if name in names), None)
