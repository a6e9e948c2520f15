"""The Compare tab: one opening, several storytellers, a card each, all telling at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

import gradio as gr

from storylab.decoding import check_opening
from storylab.decoding.settings import MAX_OPENING_CHARACTERS
from storylab.errors import StoryLabError
from storylab.storytellers import Telling, describe, load
from storylab.ui import cards
from storylab.ui.cards import Card
from storylab.ui.controls import AT_ONCE, HIDDEN, OWN, Controls
from storylab.ui.links import read_link
from storylab.ui.texts import EXAMPLES, text
from storylab.ui.visits import Run, Visits

CONCURRENT_TELLINGS = 3
"""Visitors whom one storyteller tells at once; more of them wait in line."""
REFRESH = 0.05
"""Seconds between two looks of a card while it is told; the first token is shown at once."""
SHOW_CARDS = """() => document.querySelector("#cards")?.scrollIntoView({behavior: "smooth", block: "nearest"})"""


class CompareTab:
    """The tab's components and what happens between them."""

    def __init__(self) -> None:
        rows = describe()
        self.visits = Visits()
        self.cards = {row["name"]: Card(row, number) for number, row in enumerate(rows)}
        ready = _names(rows, "ready")
        with gr.Column(elem_id="ask"):
            self.opening = gr.Textbox(
                next(iter(EXAMPLES.values())),
                label=text("opening"),
                placeholder=text("opening_hint"),
                max_length=MAX_OPENING_CHARACTERS,
                lines=1,
                max_lines=4,
                elem_id="opening",
                html_attributes=gr.InputHTMLAttributes(lang="en", enterkeyhint="go", autocomplete="off"),
            )
            with gr.Row(elem_id="actions"):
                self.tell = gr.Button(text("tell"), variant="primary", elem_id="tell")
                self.stop = gr.Button(text("stop"), variant="secondary", elem_id="stop")
            self.problem = gr.HTML("", elem_id="problem")
            self._add_examples()
            self.chosen = gr.CheckboxGroup(
                _choices(rows), value=ready, label=text("storytellers"), elem_id="storytellers"
            )
            self.not_ready = gr.HTML(cards.not_ready(r for r in rows if r["state"] != "ready"), elem_id="not-ready")
            self.controls = Controls()
        with gr.Row(elem_id="cards"):
            self.slots = {
                name: gr.HTML(card.idle(), visible=name in ready, js_on_load=cards.SCRIPT, apply_default_css=False)
                for name, card in self.cards.items()
            }
        self._wire()

    def _add_examples(self) -> None:
        with gr.Row(elem_id="examples"):
            gr.HTML(f"<span>{text('examples')}</span>", elem_classes="label")
            for name, opening in EXAMPLES.items():
                chip = gr.Button(name, size="sm", elem_classes="chip")
                chip.click(lambda opening=opening: opening, outputs=self.opening, **AT_ONCE)

    def _wire(self) -> None:
        slots = list(self.slots.values())
        asked = gr.on(
            [self.tell.click, self.opening.submit],
            self._ask,
            [self.opening, self.chosen, *self.controls.inputs],
            [self.problem, *slots],
            js=None,
            **AT_ONCE,
        )
        for name, slot in self.slots.items():
            # A listener each, so that all tell at once; one that was not asked ends at once as well.
            again = slot.retry(partial(self._ask_again, name), outputs=slot, **AT_ONCE)
            for event in (asked, again):
                event.success(
                    partial(self._stream, name),
                    outputs=slot,
                    concurrency_limit=CONCURRENT_TELLINGS,
                    concurrency_id=f"tell-{name}",
                    trigger_mode="multiple",
                    **HIDDEN,
                )
        self.stop.click(self._stop, **AT_ONCE)
        self.chosen.change(self._show, self.chosen, slots, **AT_ONCE)

    def open_link(self, page: gr.Blocks) -> None:
        """Fill the fields from the page's address, and look at the storytellers anew, when it is opened."""
        controls = self.controls
        page.load(
            self._arrive,
            outputs=[self.problem, self.not_ready, self.opening, self.chosen, controls.preset]
            + [controls.seed, *controls.fields.values()],
            **AT_ONCE,
        )
        page.unload(self._leave)

    # What happens. `request` is filled in by gradio; its session hash is the visitor.

    def _ask(self, opening: str, chosen: list[str], *values: float, request: gr.Request) -> list:
        try:
            opening = check_opening(opening)
            seed, settings = self.controls.read(*values)
            if not chosen:
                raise StoryLabError(text("problem_choose"))
        except StoryLabError as error:
            return [cards.problem(str(error)), *(gr.skip() for _ in self.slots)]
        runs = {name: Run(name, opening, settings, seed) for name in chosen if name in self.cards}
        self.visits.start(request.session_hash, runs.values())
        waiting = (self.cards[name].waiting(runs[name]) if name in runs else gr.skip() for name in self.slots)
        return ["", *waiting]

    def _ask_again(self, name: str, request: gr.Request) -> str:
        run = self.visits.again(request.session_hash, name)
        if run is None:
            raise gr.Error(text("problem_gone"), print_exception=False)
        return self.cards[name].waiting(run)

    def _stream(self, name: str, request: gr.Request) -> Iterator[str]:
        run = self.visits.take(request.session_hash, name)
        if run is None:
            return
        card, told, tokens, shown = self.cards[name], "", 0, 0.0
        try:
            for piece in load(name).stream(run.opening, run.settings, run.seed, run.stop):
                if run.replaced:
                    return
                if isinstance(piece, Telling):
                    yield card.told(piece)
                    return
                told, tokens = told + piece.text, tokens + 1
                if time.monotonic() - shown > REFRESH:
                    shown = time.monotonic()
                    yield card.telling(run, told, tokens)
        except StoryLabError as error:
            yield card.failed(run, str(error))
        finally:
            run.stop.set()

    def _stop(self, request: gr.Request) -> None:
        self.visits.stop(request.session_hash)

    def _leave(self, request: gr.Request) -> None:
        self.visits.leave(request.session_hash)

    def _show(self, chosen: list[str]) -> list[dict]:
        return [gr.update(visible=name in chosen) for name in self.slots]

    def _arrive(self, request: gr.Request) -> list:
        rows = [row for row in describe() if row["name"] in self.cards]
        ready = _names(rows, "ready")
        link = read_link(dict(request.query_params), ready)
        problem = text("problem_link", problems="; ".join(link.problems)) if link.problems else ""
        preset = link.preset or (OWN if link.settings else None)
        return [
            cards.problem(problem),
            cards.not_ready(row for row in rows if row["state"] != "ready"),
            link.opening or gr.skip(),
            gr.update(choices=_choices(rows), value=link.storytellers or ready),
            preset or gr.skip(),
            gr.skip() if link.seed is None else link.seed,
            *(self.controls.fill(link.settings) if link.settings else [gr.skip() for _ in self.controls.fields]),
        ]


def _names(rows: list[dict], state: str) -> list[str]:
    return [row["name"] for row in rows if row["state"] == state]


def _choices(rows: list[dict]) -> list[tuple[str, str]]:
    return [(row["title"], row["name"]) for row in rows if row["state"] == "ready"]
