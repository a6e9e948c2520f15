"""The place of one storyteller among the others: its card on the page, and the telling that runs through it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import gradio as gr

from storylab.errors import StoryLabError
from storylab.storytellers import Telling, describe, load
from storylab.storytellers.stand_in import stand_in
from storylab.ui.cards import SCRIPT, Card
from storylab.ui.controls import AT_ONCE, HIDDEN
from storylab.ui.texts import Labels, Say, speaker
from storylab.ui.visits import Run, Visits

CONCURRENT_TELLINGS = 3
"""Visitors whom one storyteller tells at once; more of them wait in line."""
REFRESH = 0.05
"""Seconds between two looks of a card while it is told; the first token is shown at once."""


class Slot:
    """A card's component and what makes it tell. `request` is gradio's; its session hash is the visitor."""

    def __init__(self, name: str, rows: Mapping[str, Mapping[str, Any]], visits: Visits, label: Labels, visible: bool):
        """Make the place of a storyteller.

        Args:
            name: Its name.
            rows: The descriptions of all storytellers by name, in the order of the catalogue.
            visits: What all visitors have asked for.
            label: What the card says while it is idle comes from there.
            visible: Whether the card is to be seen at first.
        """
        self.name, self.rows, self.visits = name, rows, visits
        idle = label.made(lambda say: self._card(say).idle())
        self.html = gr.HTML(idle, visible=visible, js_on_load=SCRIPT, apply_default_css=False)

    def tell_after(self, asked: gr.events.Dependency) -> None:
        """Tell once a listener has noted what is asked for, and again when the card's own button asks for it.

        Each storyteller has a listener of its own, so that all tell at once; one that nobody asked ends at once.
        """
        again = self.html.retry(self._ask_again, outputs=self.html, **AT_ONCE)
        for event in (asked, again):
            event.success(
                self._tell,
                outputs=self.html,
                concurrency_limit=CONCURRENT_TELLINGS,
                concurrency_id=f"tell-{self.name}",
                trigger_mode="multiple",
                **HIDDEN,
            )

    def _ask_again(self, request: gr.Request) -> str:
        run = self.visits.again(request.session_hash, self.name)
        if run is None:
            raise gr.Error(speaker(request)("problem_gone"), print_exception=False)
        run.teller = stand_in(self.name, describe()) or ""  # it may have come in the meantime
        return self.waiting(run, speaker(request))

    def waiting(self, run: Run, say: Say) -> str:
        """The card of a telling that is about to begin."""
        return self._card(say, run.teller).waiting(run)

    def _card(self, say: Say, teller: str = "") -> Card:
        stands_in = None if teller in ("", self.name) else self.rows[teller]
        return Card(self.rows[self.name], list(self.rows).index(self.name), say, stands_in)

    def _tell(self, request: gr.Request) -> Iterator[str | dict]:
        run = self.visits.take(request.session_hash, self.name)
        if run is None:
            yield gr.skip()  # a generator without a value would empty the card
            return
        told, tokens, log_probability, shown, card = "", 0, 0.0, 0.0, self._card(speaker(request), run.teller)
        try:
            for piece in load(run.teller or self.name).stream(run.opening, run.settings, run.seed, run.stop):
                if run.replaced:
                    yield gr.skip()
                    return
                if isinstance(piece, Telling):
                    yield card.told(piece, log_probability)
                    return
                told, tokens, log_probability = told + piece.text, tokens + 1, log_probability + piece.log_probability
                if time.monotonic() - shown > REFRESH:
                    shown = time.monotonic()
                    yield card.telling(run, told, tokens)
        except StoryLabError as error:
            yield card.failed(run, str(error))
        finally:
            run.stop.set()
