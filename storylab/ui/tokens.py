"""The Tokens tab: what surprised whom, token by token."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import gradio as gr

from storylab.decoding import check_opening, check_seed
from storylab.decoding.settings import shown
from storylab.errors import StoryLabError
from storylab.storytellers import Piece
from storylab.ui import cards, panels, tellers
from storylab.ui.address import Address
from storylab.ui.controls import AT_ONCE, HIDDEN
from storylab.ui.links import read_link
from storylab.ui.seed import read_seed, seed_field
from storylab.ui.tab import PageTab
from storylab.ui.texts import Labels, Say, speaker
from storylab.ui.token_branch import Branching, View
from storylab.ui.token_view import COLOURS, SCRIPT, Row, edges, readings
from storylab.ui.visits import Visits

EXAMPLE_OPENING = "My dog ran away."
EXAMPLE_TEXT = (
    "I looked for him all day. I put up posters in the neighborhood. The next day my neighbor called the elephant. "
    "I was so happy to have my dog back."
)
"""A story as one expects it, but for one word."""
EXAMPLE_READERS = ("gpt2-mini-finetuned", "gpt2-mini")
"""One that knows such stories, and one that does not; more of those that are ready follow where one is missing."""
MOST_READERS = 4
MOST_CHARACTERS = 2000
"""Of a text; the field takes no more."""
REFRESH = 0.1
"""Seconds between two looks at a text that is told."""
CONCURRENT = 2
"""Visitors for whom texts are read at once."""
PRESS = "() => window.storylabPress('tokens-run')"
RECOLOUR = """(colour) => {
  document.querySelector("#tokens-view .readings")?.setAttribute("data-colour", colour);
  const address = new URL(window.location);
  if (address.searchParams.get("tab") !== "tokens" || !address.searchParams.has("colour")) return;
  address.searchParams.set("colour", colour);
  history.replaceState(null, "", address);
}"""


class TokensTab(PageTab):
    """The tab's components and what happens between them."""

    key = "tokens"

    def __init__(self, tab: gr.Tab, label: Labels, visits: Visits, address: Address):
        """Build it into a tab."""
        super().__init__(tab, label, visits, address)
        rows = tellers.ready()
        self.example = self.begin()
        with gr.Column(elem_classes="sheet", elem_id="tokens-ask"):
            self.opening = gr.Textbox(
                EXAMPLE_OPENING,
                label=label("opening"),
                placeholder=label("opening_hint"),
                lines=1,
                max_lines=4,
                elem_id="tokens-opening",
                html_attributes=gr.InputHTMLAttributes(lang="en", autocomplete="off"),
            )
            self.text = gr.Textbox(
                EXAMPLE_TEXT,
                label=label("tokens_text"),
                info=label("tokens_text_info"),
                placeholder=label("tokens_text_hint"),
                lines=3,
                max_lines=8,
                max_length=MOST_CHARACTERS,
                elem_id="tokens-text",
                html_attributes=gr.InputHTMLAttributes(lang="en", autocomplete="off"),
            )
            self.readers = gr.CheckboxGroup(
                tellers.labelled(rows, label),
                value=[row["name"] for row in rows[:2]],
                label=label("tokens_readers"),
                info=label("tokens_readers_info", most=MOST_READERS),
                elem_id="tokens-readers",
            )
            with gr.Row(elem_classes="buttons", elem_id="tokens-actions"):
                self.run = gr.Button(label("tokens_run"), variant="primary", elem_id="tokens-run", elem_classes="run")
                self.stop = gr.Button(label("stop"), elem_id="tokens-stop", elem_classes="stop")
                self.seed = seed_field(label, "tokens-seed", info="tokens_seed_info")
            self.status = gr.HTML("", elem_id="tokens-status", apply_default_css=False)
        with gr.Column(elem_classes="sheet", elem_id="tokens-read"):
            self.colour = gr.Radio(
                [(label(f"tokens_{name}"), name) for name in COLOURS],
                value="rank",
                label=label("tokens_colour"),
                info=label("tokens_colour_info"),
                elem_id="tokens-colour",
            )
            self.view = gr.HTML(
                label.made(lambda say: panels.quiet(say("tokens_idle"))),
                js_on_load=SCRIPT,
                elem_id="tokens-view",
                apply_default_css=False,
            )
        self.branching = Branching(label, visits, address)
        self.shown, self.wanted = gr.State(None), gr.State(None)
        self._wire()

    def _wire(self) -> None:
        fields = [self.opening, self.text, self.readers, self.colour, self.seed]
        self.tab.select(self._look, outputs=self.readers, **AT_ONCE)
        filled = self.example.click(self._fill, outputs=[*fields, self.wanted], **AT_ONCE)
        reading = self.run.click(
            self._read,
            fields,
            [self.status, self.text, self.view, self.branching.panel, self.shown, self.address.query],
            concurrency_limit=CONCURRENT,
            concurrency_id="tokens",
            **HIDDEN,
        )
        telling = self.branching.wire(self.view, [self.shown, self.colour, self.seed], self.wanted, reading)
        adopted = self.branching.adopt.click(lambda told: told, self.branching.told, self.text, **AT_ONCE)
        for done in (filled, adopted):
            done.success(None, js=PRESS, **HIDDEN)
        stopped = self.stop.click(None, cancels=[reading, *telling], **HIDDEN)
        stopped.then(self._stopped, outputs=self.status, **AT_ONCE)
        self.colour.change(None, self.colour, js=RECOLOUR, **HIDDEN)

    @property
    def arriving(self) -> dict[gr.blocks.Block, tuple[str, ...]]:
        own = dict.fromkeys((self.opening, self.text, self.colour, self.seed, self.wanted), ())
        return {**own, self.readers: (), self.status: ("value",)}

    def arrive(self, query: Mapping[str, str], say: Say) -> list[Any]:
        if query.get("tab") != self.key:
            return [gr.skip()] * 7
        link = read_link(query, [row["name"] for row in tellers.ready()])
        text = _part(query, "text", _check_text, link.problems)
        colour = _part(query, "colour", _check_colour, link.problems)
        problems = say("problem_link", problems="; ".join(link.problems)) if link.problems else ""
        opening = link.opening or gr.skip()
        if text is None:  # a link to an opening alone has it told
            text = "" if link.opening else gr.skip()
        return [
            opening,
            text,
            colour or gr.skip(),
            gr.skip() if link.seed is None else str(link.seed),
            _wanted(query),
            (link.storytellers or [])[:MOST_READERS] or gr.skip(),
            cards.problem(problems) if problems else gr.skip(),
        ]

    # What happens. `request` is filled in by gradio; its session hash is the visitor.

    def _look(self, request: gr.Request) -> dict:
        return gr.update(choices=tellers.choices(request, speaker(request), self.visits))

    def _fill(self) -> list[Any]:
        names = [row["name"] for row in tellers.ready()]
        chosen = [name for name in EXAMPLE_READERS if name in names] or names[:2]
        return [EXAMPLE_OPENING, EXAMPLE_TEXT, chosen, gr.skip(), None, None]

    def _stopped(self, request: gr.Request) -> str:
        return panels.quiet(speaker(request)("tokens_stopped"))

    def _read(
        self, request: gr.Request, opening: str, text: str, readers: list[str], colour: str, seed: str
    ) -> Iterator[list]:
        """The text is told where there is none, then read by one storyteller after another."""
        say, hidden = speaker(request), gr.update(visible=False)
        skips = lambda number: [gr.skip()] * number  # noqa: E731
        try:
            opening, text, given = check_opening(opening), _check_text(text), read_seed(seed)
            if not 1 <= len(readers) <= MOST_READERS:
                raise StoryLabError(say("problem_many", most=MOST_READERS) if readers else say("problem_choose"))
            titles, told_seed = tellers.titles(say), None
            if not text:
                told_seed, progress = check_seed(given), panels.quiet(say("tokens_tells", title=titles[readers[0]]))
                yield [progress, *skips(5)]
                for text in self._tell(request, readers[0], opening, told_seed):
                    yield [progress, text, *skips(4)]
            rows, run, colours = [], f"{time.time():.3f}", edges(list(titles))
            for name in readers:
                progress = say("tokens_reads", title=titles[name], number=len(rows) + 1, readers=len(readers))
                yield [panels.progress(progress, len(rows), len(readers)), text, *skips(4)]
                rows.append(self._row(request, name, titles[name], colours[name], opening, text))
                yield [gr.skip(), gr.skip(), readings(rows, colour, run, say), hidden, *skips(2)]
            view = View(opening, text, tuple(readers), colour, told_seed if given is None else given)
            yield ["", *skips(3), view, view.query()]
        except StoryLabError as error:
            yield [cards.problem(str(error)), *skips(5)]

    def _tell(self, request: gr.Request, name: str, opening: str, seed: int) -> Iterator[str]:
        """A text as it grows, whole at last."""
        told, at = "", time.monotonic()
        for piece in self.visits.load(request.session_hash, name).stream(opening, None, seed):
            told = told + piece.text if isinstance(piece, Piece) else piece.text
            if not isinstance(piece, Piece) or time.monotonic() - at > REFRESH:
                at = time.monotonic()
                yield told.strip()

    def _row(self, request: gr.Request, name: str, title: str, edge: str, opening: str, text: str) -> Row:
        from storylab.inspection.tokens import read_text

        try:
            reading = read_text(self.visits.load(request.session_hash, name), opening, text)
        except StoryLabError as error:
            return Row(name, title, edge, problem=str(error))
        return Row(name, title, edge, reading)


def _check_text(text: Any) -> str:
    """A text with its whitespace put in order.

    Raises:
        StoryLabError: It is none, or too long.
    """
    text = " ".join(str(text or "").split())
    if len(text) > MOST_CHARACTERS:
        raise StoryLabError(f"the text has {len(text):,} characters, at most {MOST_CHARACTERS:,} are read")
    return text


def _check_colour(colour: str) -> str:
    if colour not in COLOURS:
        raise StoryLabError(f"colour must be one of {', '.join(COLOURS)}, not {shown(colour)}")
    return colour


def _part(query: Mapping[str, str], name: str, check: Callable[[str], str], problems: list[str]) -> str | None:
    """A part of a link; None where it is missing, or no good, which goes to the problems."""
    try:
        return check(query[name]) if name in query else None
    except StoryLabError as error:
        problems.append(str(error))
        return None


def _wanted(query: Mapping[str, str]) -> dict[str, Any] | None:
    """The fork that a link asks for, as the browser would; None where it asks for none, or for nonsense."""
    try:
        token = int(query["token"]) if "token" in query else None
        return {"reader": query["by"], "position": int(query["at"]), "token": token}
    except (KeyError, ValueError):
        return None
