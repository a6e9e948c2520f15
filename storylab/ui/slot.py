"""The place of one storyteller among the others: its card on the page, and the telling that runs through it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import gradio as gr

from storylab.errors import StoryLabError
from storylab.storytellers import Telling, load
from storylab.ui.cards import SCRIPT, Card
from storylab.ui.controls import AT_ONCE, HIDDEN
from storylab.ui.texts import text
from storylab.ui.visits import Visits

CONCURRENT_TELLINGS = 3
"""Visitors whom one storyteller tells at once; more of them wait in line."""
REFRESH = 0.05
"""Seconds between two looks of a card while it is told; the first token is shown at once."""


class Slot:
    """A card's component and what makes it tell. `request` is gradio's; its session hash is the visitor."""

    def __init__(self, card: Card, visits: Visits, visible: bool):
        self.name, self.card, self.visits = card.name, card, visits
        self.html = gr.HTML(card.idle(), visible=visible, js_on_load=SCRIPT, apply_default_css=False)

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
            raise gr.Error(text("problem_gone"), print_exception=False)
        return self.card.waiting(run)

    def _tell(self, request: gr.Request) -> Iterator[str | dict]:
        run = self.visits.take(request.session_hash, self.name)
        if run is None:
            yield gr.skip()  # a generator without a value would empty the card
            return
        told, tokens, shown = "", 0, 0.0
        try:
            for piece in load(self.name).stream(run.opening, run.settings, run.seed, run.stop):
                if run.replaced:
                    yield gr.skip()
                    return
                if isinstance(piece, Telling):
                    yield self.card.told(piece)
                    return
                told, tokens = told + piece.text, tokens + 1
                if time.monotonic() - shown > REFRESH:
                    shown = time.monotonic()
                    yield self.card.telling(run, told, tokens)
        except StoryLabError as error:
            yield self.card.failed(run, str(error))
        finally:
            run.stop.set()
