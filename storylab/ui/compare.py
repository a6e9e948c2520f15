"""The Compare tab: one opening, several storytellers, a card each, all telling at once."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import gradio as gr

from storylab.decoding import check_opening, own_seed
from storylab.decoding.settings import MAX_SEED
from storylab.errors import StoryLabError
from storylab.storytellers import Telling, describe
from storylab.storytellers.stand_in import stand_in
from storylab.ui import cards, tellers
from storylab.ui.address import Address
from storylab.ui.admission import Refused, admission, waiting
from storylab.ui.ask import Ask
from storylab.ui.controls import AT_ONCE, HIDDEN, said_by
from storylab.ui.history import History, export_buttons
from storylab.ui.links import write_query, write_settings
from storylab.ui.several import PLACES, Several
from storylab.ui.side_by_side import SideBySide
from storylab.ui.slot import Cards, Slot, as_json
from storylab.ui.tab import PageTab, press
from storylab.ui.texts import EXAMPLES, Labels, Say, speaker
from storylab.ui.tokens import TokensTab
from storylab.ui.turns import Place
from storylab.ui.visits import OWN_NAME, Run, Visits

SHOW_CARDS = "() => window.storylabShow('.card[aria-busy=true]')"
"""On a small screen the cards lie below it."""
GRACE = 0.06
"""Seconds in which a card whose first words come goes from nothing to them, without saying first that it waits."""
OWN_ROW = {"name": OWN_NAME, "title": OWN_NAME, "kind": "causal", "parameters": None, "base": ""}
"""What is known of the storyteller that a visitor has trained before there is one."""


class CompareTab(PageTab):
    """The tab's components and what happens between them."""

    key = "compare"

    def __init__(self, tab: gr.Tab, label: Labels, visits: Visits, address: Address) -> None:
        super().__init__(tab, label, visits, address)
        rows = describe()
        surprise = self.begin()
        self.ask = Ask(rows, label, visits)
        self.cards = Cards({row["name"]: row for row in [*rows, OWN_ROW]})
        self.pinned = gr.HTML("", visible=False, elem_id="pinned", js_on_load=cards.SCRIPT, apply_default_css=False)
        with gr.Row(elem_id="cards"):
            self.slots = {
                name: Slot(name, self.cards, visits, label, visible=name in self.ask.ready) for name in self.cards.rows
            }
        self.several = Several(self.cards, visits)
        with gr.Row(elem_classes="buttons", elem_id="export"):
            export_buttons(label("export"), label, self._shown)
        self.history = History(label, visits)
        self._wire()
        surprise.click(_any_example, outputs=self.ask.opening, **AT_ONCE).success(None, js=press("compare-run"))

    def _wire(self) -> None:
        ask, places = self.ask, [*self._places, self.several.html]
        pressed = [ask.tell.click, ask.opening.submit]
        gr.on(
            pressed,
            self._tell,
            ask.inputs,
            [ask.problem, self.address.query, *places, self.history.new],
            concurrency_limit=None,  # whoever waits does so in the line of `admission`
            trigger_mode="multiple",
            **HIDDEN,
        )
        gr.on(pressed, None, js=SHOW_CARDS)
        for place in (*self.slots.values(), self.several):
            place.tell_again(self.history.new)
        ask.stop.click(self._stop, **AT_ONCE)
        ask.chosen.change(self._show, [ask.chosen, ask.controls.seeds], self._places, **AT_ONCE)
        for html in places:
            html.select(self._pin, outputs=self.pinned, **AT_ONCE)
        self.pinned.clear(self._unpin, outputs=self.pinned, **AT_ONCE)
        self.tab.select(ask.look, outputs=ask.looks, **AT_ONCE)

    @property
    def _places(self) -> list[gr.HTML]:
        return [slot.html for slot in self.slots.values()]

    @property
    def arriving(self) -> dict[gr.blocks.Block, Collection[str]]:
        return self.ask.arriving

    def arrive(self, query: Mapping[str, str], say: Say) -> list:
        return self.ask.arrive(query, say)

    def connect(self, page: gr.Blocks, tabs: Mapping[str, PageTab], bar: gr.Tabs) -> None:
        self.history.open(page)
        tokens = tabs[TokensTab.key]
        fields = [bar, tokens.opening, tokens.text, tokens.readers, tokens.seed]
        for html in [*self._places, self.several.html]:
            chosen = html.expand(self._look_inside, outputs=fields, **AT_ONCE)
            chosen.success(None, js=press("tokens-run"))

    # What happens. `request` is filled in by gradio; its session hash is the visitor.

    def _tell(self, request: gr.Request, *asked: Any) -> Iterator[list]:
        """Tell what is asked for: values for the problem, the address, the cards, those of several seeds, the history.

        One listener tells on all cards: every further one would cost a request, and the browser another look at the
        whole page for each piece of a story.
        """
        visitor, say, runs, begun = request.session_hash, speaker(request), [], False
        try:
            runs, query = self._read(say, *asked)
            with admission().admit(request, visitor, len(runs)) as place:
                self.visits.start(visitor, runs)
                begun = True
                tell = self._tell_each if runs[0].place == runs[0].name else self._tell_several
                yield from tell(visitor, say, runs, query, place)
        except StoryLabError as error:
            problem = error.said(say) if isinstance(error, Refused) else str(error)
            lost = begun and isinstance(error, Refused)  # their place in the line, after they had been told its number
            waited = self._failed(runs, visitor, say, problem) if lost else [gr.skip()] * (len(self.slots) + 1)
            yield [cards.problem(problem), gr.skip(), *waited, gr.skip()]
        finally:
            for run in runs:
                run.stop.set()

    def _failed(self, runs: Sequence[Run], visitor: str, say: Say, problem: str) -> list:
        """The cards, and those of several seeds, of tellings that were waiting and will not be told."""
        if runs[0].place != runs[0].name:
            return [*[gr.skip()] * len(self.slots), _grid(self.several.failed(runs, visitor, say, problem))]
        shown = {run.name: self.slots[run.name].failed(run, say, problem) for run in runs}
        return [*[shown.get(name, gr.skip()) for name in self.slots], gr.skip()]

    def _tell_several(self, visitor: str, say: Say, runs: Sequence[Run], query: str, place: Place) -> Iterator[list]:
        """Tell several seeds of one storyteller, a card each."""
        shown = _grid(self.several.waiting(runs, say, place.ahead))
        yield ["", query, *[gr.update(visible=False)] * len(self.slots), shown, gr.skip()]
        for grid, history in self.several.tell(visitor, say, place):
            yield [*[gr.skip()] * (len(self.slots) + 2), grid, history]

    def _tell_each(self, visitor: str, say: Say, runs: Sequence[Run], query: str, place: Place) -> Iterator[list]:
        """Tell a run on the card of each storyteller that is asked."""
        runs = {run.name: run for run in runs if self.visits.take(visitor, run.place, run)}
        for ahead in waiting(place, list(runs.values())):
            yield ["", query, *self._cards(runs, {}, say, ahead), _grid(""), gr.skip()]
        if not runs or all(run.replaced for run in runs.values()):  # a newer question has the cards by now
            yield [gr.skip()] * (len(self.slots) + 4)
            return
        telling = SideBySide({name: self.slots[name].looks(run, say, visitor) for name, run in runs.items()})
        kept = 0
        try:
            first = telling.newest(GRACE) or {}
            yield ["", query, *self._cards(runs, first, say), _grid(""), gr.skip()]
            while (new := telling.newest()) is not None:
                looks = [new[n] if n in new and not runs[n].replaced else gr.skip() for n in self.slots]
                before, kept = kept, sum(run.telling is not None for run in runs.values())
                history = gr.skip() if kept == before else as_json(self.visits.history(visitor))
                yield [gr.skip(), gr.skip(), *looks, gr.skip(), history]
            if kept < sum(run.telling is not None for run in runs.values()):  # all had ended before the first look
                yield [*[gr.skip()] * (len(self.slots) + 3), as_json(self.visits.history(visitor))]
        finally:
            for run in runs.values():
                run.stop.set()

    def _read(
        self, say: Say, opening: str, chosen: list[str], seeds: int, luck: str, *values: float
    ) -> tuple[list[Run], str]:
        """What is asked for: the tellings, and the address that asks for them.

        Raises:
            StoryLabError: It is not what it must be.
        """
        opening = check_opening(opening)
        seed, settings = self.ask.controls.read(*values)
        if not chosen:
            raise StoryLabError(say("problem_choose"))
        if seeds > 1 and len(chosen) > 1:
            raise StoryLabError(say("problem_one"))
        rows = describe()
        run = lambda name, seed, place="": Run(name, opening, settings, seed, stand_in(name, rows) or "", place)  # noqa: E731
        if seeds > 1:
            runs = [run(*chosen, (seed + n) % (MAX_SEED + 1), place) for n, place in enumerate(PLACES[: int(seeds)])]
        else:
            runs = [run(name, own_seed(seed, name) if luck == "own" else seed) for name in chosen]
        query = write_query(
            "compare",
            opening=opening,
            models=",".join(chosen),
            seed=seed,
            seeds=int(seeds) if seeds > 1 else None,
            luck=luck if luck != "same" else None,
            **write_settings(settings),
        )
        return runs, query

    def _cards(self, runs: Mapping[str, Run], looks: Mapping[str, str], say: Say, ahead: int = 0) -> list[dict]:
        """The cards of those who are asked, as they look or waiting; the others hidden."""
        return [
            gr.update(value=looks.get(name) or slot.waiting(runs[name], say, ahead), visible=True)
            if name in runs
            else gr.update(visible=False)
            for name, slot in self.slots.items()
        ]

    def _stop(self, request: gr.Request) -> None:
        self.visits.stop(request.session_hash)

    def _show(self, chosen: list[str], seeds: int) -> list[dict]:
        return [gr.update(visible=seeds == 1 and name in chosen) for name in self.slots]

    def _shown(self, visitor: str) -> list[Telling]:
        return [run.telling for run in self.visits.runs(visitor).values() if run.telling]

    def _told(self, request: gr.Request, event: gr.EventData) -> Telling:
        """The telling on the card whose button was pressed."""
        run = self.visits.runs(request.session_hash).get(str(said_by(event, "place")))
        if run is None or run.telling is None:
            raise gr.Error(speaker(request)("problem_gone"), print_exception=False)
        return run.telling

    def _pin(self, request: gr.Request, event: gr.EventData) -> dict:
        telling, say = self._told(request, event), speaker(request)
        self.visits.pin(request.session_hash, telling)
        return gr.update(value=self.cards.card(telling.model, say).pinned(telling), visible=True)

    def _unpin(self, request: gr.Request) -> dict:
        self.visits.pin(request.session_hash, None)
        return gr.update(value="", visible=False)

    def _look_inside(self, request: gr.Request, event: gr.EventData) -> list:
        telling = self._told(request, event)
        choices = tellers.choices(request, speaker(request), self.visits)
        can_read = telling.model in [name for _, name in choices]  # else those who are chosen there read it
        readers = gr.update(choices=choices, **({"value": [telling.model]} if can_read else {}))
        return [gr.Tabs(selected=TokensTab.key), telling.opening, telling.text, readers, str(telling.seed)]


def _grid(html: str) -> dict:
    """The place of several seeds; hidden where nothing is there."""
    return gr.update(value=html, visible=bool(html))


def _any_example() -> str:
    return random.choice(list(EXAMPLES.values()))
