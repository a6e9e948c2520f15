"""The place of one storyteller among the others: its card on the page, and the telling that runs through it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import gradio as gr

from storylab.errors import StoryLabError
from storylab.storytellers import Telling, describe
from storylab.storytellers.stand_in import stand_in
from storylab.ui.admission import Refused, admission, waiting
from storylab.ui.cards import SCRIPT, Card
from storylab.ui.controls import AT_ONCE, HIDDEN
from storylab.ui.texts import Labels, Say, speaker
from storylab.ui.visits import Run, Visits
from storylab.watching import note

REFRESH = 0.05
"""Seconds between two looks of a card while it is told; the first token is shown at once."""


def looks(run: Run, card: Card, visits: Visits, visitor: str) -> Iterator[str | None]:
    """Tell a run: the looks of its card, one for each token, None where it need not be drawn again yet.

    The telling is noted for the visitor when it ends; a run that has its telling already only shows it. A run whose
    card belongs to something newer by now ends without a last look.
    """
    told, tokens, log_probability, drawn = "", 0, 0.0, 0.0
    try:
        if run.telling:
            yield card.told(run.telling, run.log_probability, visits.pinned(visitor))
            return
        storyteller = visits.load(visitor, run.teller or run.name)
        for piece in storyteller.stream(run.opening, run.settings, run.seed, run.stop):
            if run.replaced:
                return
            if isinstance(piece, Telling):
                known = None if math.isnan(log_probability) else log_probability  # an endpoint may give none
                visits.note(visitor, run, piece, known)
                yield card.told(piece, known, visits.pinned(visitor))
                return
            told, tokens, log_probability = told + piece.text, tokens + 1, log_probability + piece.log_probability
            due = time.monotonic() - drawn > REFRESH
            drawn = time.monotonic() if due else drawn
            yield card.telling(run, told, tokens) if due else None
    except StoryLabError as error:
        yield card.failed(run, str(error))
    except Exception as error:  # whatever it is, the card says so, and the log what it was
        note(error)
        yield card.failed(run, card.say("problem_broken"))
    finally:
        run.stop.set()


def as_json(tellings: Iterable[Telling]) -> str:
    """Tellings for the history, which the browser keeps as JSON."""
    return json.dumps([telling.to_dict() for telling in tellings])


class Cards:
    """Makes the cards of a set of storytellers."""

    def __init__(self, rows: Mapping[str, Mapping[str, Any]]):
        """Take the descriptions of all storytellers by name, in the order of the catalogue."""
        self.rows = rows

    def card(self, name: str, say: Say, teller: str = "", place: str = "") -> Card:
        """The card of a storyteller, in a language.

        Args:
            name: The storyteller's.
            say: The language.
            teller: Who tells in its place; empty or the same name: nobody.
            place: Where on the page it is; empty: the storyteller's own place.
        """
        stands_in = None if teller in ("", name) else self.rows[teller]
        return Card(self.rows[name], list(self.rows).index(name), say, stands_in, place)


class Slot:
    """A card's component and what makes it tell. `request` is gradio's; its session hash is the visitor."""

    def __init__(self, name: str, cards: Cards, visits: Visits, label: Labels, visible: bool):
        """Make the place of a storyteller.

        Args:
            name: Its name.
            cards: Makes its card.
            visits: What all visitors have asked for.
            label: What the card says while it is idle comes from there.
            visible: Whether the card is to be seen at first.
        """
        self.name, self.cards, self.visits = name, cards, visits
        idle = label.made(lambda say: cards.card(name, say).idle())
        self.html = gr.HTML(idle, visible=visible, js_on_load=SCRIPT, apply_default_css=False)

    def tell_again(self, history: gr.Textbox) -> None:
        """Tell again when the card's own button asks for it."""
        self.html.retry(self._ask_again, outputs=self.html, **AT_ONCE).success(
            self._tell,
            outputs=[self.html, history],
            concurrency_limit=None,  # whoever waits does so in the line of `admission`
            trigger_mode="multiple",
            **HIDDEN,
        )

    def _ask_again(self, request: gr.Request) -> str:
        say = speaker(request)
        run = self.visits.again(request.session_hash, self.name)
        if run is None:
            raise gr.Error(say("problem_gone"), print_exception=False)
        run.teller = stand_in(run.name, describe()) or ""  # it may have come in the meantime
        return self.waiting(run, say)

    def waiting(self, run: Run, say: Say, ahead: int = 0) -> str:
        """The card of a telling that is about to begin, or whose visitor has that number in the line."""
        return self.cards.card(self.name, say, run.teller).waiting(run, ahead)

    def failed(self, run: Run, say: Say, problem: str) -> str:
        """The card of a telling that was waiting and will not be told."""
        return self.cards.card(self.name, say, run.teller).failed(run, problem)

    def _tell(self, request: gr.Request) -> Iterator[list]:
        visitor, say = request.session_hash, speaker(request)
        run = self.visits.take(visitor, self.name)
        if run is not None:
            try:
                with admission().admit(request, visitor, 1) as place:
                    yield from ([self.waiting(run, say, ahead), gr.skip()] for ahead in waiting(place, [run]))
                    yield from ([look, gr.skip()] for look in self.looks(run, say, visitor))
            except Refused as refused:
                run.stop.set()
                yield [self.failed(run, say, refused.said(say)), gr.skip()]
            if run.telling:
                yield [gr.skip(), as_json(self.visits.history(visitor))]
        yield [gr.skip(), gr.skip()]  # a generator without a value would empty the card

    def looks(self, run: Run, say: Say, visitor: str) -> Iterator[str]:
        """Tell a run: the looks of its card, as they come.

        Args:
            run: What was asked for.
            say: The visitor's language.
            visitor: Who asked.
        """
        card = self.cards.card(self.name, say, run.teller)
        yield from (look for look in looks(run, card, self.visits, visitor) if look is not None)
