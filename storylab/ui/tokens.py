"""The Tokens tab: what surprised whom, token by token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import gradio as gr

from storylab.decoding import check_opening
from storylab.decoding.settings import shown
from storylab.errors import StoryLabError
from storylab.inspection.texts import MOST_CHARACTERS, check_text
from storylab.ui import cards, panels, tellers
from storylab.ui.address import Address
from storylab.ui.admission import admission, waiting
from storylab.ui.controls import AT_ONCE, HIDDEN
from storylab.ui.links import read_link, read_part
from storylab.ui.problems import problem_of
from storylab.ui.seed import read_seed, seed_field
from storylab.ui.tab import PageTab, press
from storylab.ui.texts import Labels, Say, speaker
from storylab.ui.token_branch import Branching, Fork, View
from storylab.ui.token_reading import Asked, looks
from storylab.ui.token_view import COLOURS, SCRIPT
from storylab.ui.visits import Visits
from storylab.ui.work import Line

EXAMPLE_OPENING = "My dog ran away."
EXAMPLE_TEXT = (
    "I looked for him all day. I put up posters in the neighborhood. The next day my neighbor called the elephant. "
    "I was so happy to have my dog back."
)
"""A story as one expects it, but for one word."""
EXAMPLE_READERS = ("gpt2-mini-finetuned", "gpt2-mini")
"""One that knows such stories, and one that does not."""
MOST_READERS = 4
MOST_VISITORS = 1000
"""Whose readings are remembered."""
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
        self.line, rows = Line(MOST_VISITORS), tellers.ready()
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
        self.branching = Branching(label, visits)
        self.shown, self.wanted = gr.State(None), gr.State(None)
        self._wire()

    def _wire(self) -> None:
        branching, fields = self.branching, [self.opening, self.text, self.readers, self.seed]
        self.tab.select(self._look, self.readers, self.readers, **AT_ONCE)
        filled = self.example.click(self._fill, outputs=[*fields, self.wanted], **AT_ONCE)
        asked = self.run.click(
            self._ask,
            fields,
            [self.status, self.shown, self.wanted, branching.panel, branching.branch],
            **AT_ONCE,
        )
        reading = asked.success(
            self._read,
            outputs=[self.status, self.text, self.view, self.shown, self.wanted],
            concurrency_limit=None,  # whoever waits does so in the line of `admission`
            trigger_mode="multiple",
            **HIDDEN,
        )
        telling = branching.wire(self.view, [self.shown, self.seed], self.wanted, reading)
        for done in (reading, *telling):
            seen = [self.shown, self.colour, branching.branch]
            done.success(self._follow, seen, self.address.query, **AT_ONCE)
        adopted = branching.adopt.click(lambda told: told, branching.told, self.text, **AT_ONCE)
        for done in (filled, adopted):
            done.success(None, js=press("tokens-run"), **HIDDEN)
        self.stop.click(self._stop, outputs=[self.status, branching.html], **AT_ONCE)
        self.colour.change(None, self.colour, js=RECOLOUR, **HIDDEN)

    def connect(self, page: gr.Blocks, tabs: Mapping[str, PageTab], bar: gr.Tabs) -> None:
        page.unload(self._leave)

    @property
    def arriving(self) -> dict[gr.blocks.Block, tuple[str, ...]]:
        own = dict.fromkeys((self.opening, self.text, self.colour, self.seed, self.wanted), ())
        return {**own, self.readers: (), self.status: ("value",)}

    def arrive(self, query: Mapping[str, str], say: Say) -> list[Any]:
        if query.get("tab") != self.key:
            return [gr.skip()] * 7
        link = read_link(query, [row["name"] for row in tellers.ready()])
        text = read_part(query, "text", check_text, link.problems)
        colour = read_part(query, "colour", _check_colour, link.problems)
        problems = say("problem_link", problems="; ".join(link.problems)) if link.problems else ""
        opening = link.opening or gr.skip()
        if text is None:  # a link to an opening alone has it told
            text = "" if link.opening and "text" not in query else gr.skip()
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

    def _look(self, request: gr.Request, readers: Sequence[str]) -> dict:
        """Who can be chosen by now; who is gone is chosen no longer."""
        choices = tellers.choices(request, speaker(request), self.visits)
        names = [name for _, name in choices]
        return gr.update(choices=choices, value=[name for name in readers if name in names])

    def _fill(self) -> list[Any]:
        names = [row["name"] for row in tellers.ready()]
        chosen = [name for name in EXAMPLE_READERS if name in names] or names[:2]
        return [EXAMPLE_OPENING, EXAMPLE_TEXT, chosen, None, None]

    def _follow(self, shown: View | None, colour: str, branch: tuple[Fork, int] | None) -> str | dict[str, Any]:
        return gr.skip() if shown is None else shown.query(colour, branch)

    def _stop(self, request: gr.Request) -> list[Any]:
        visitor, say = request.session_hash, speaker(request)
        ticket, status = self.line.get(visitor), gr.skip()
        if isinstance(ticket, Asked) and not ticket.stop.is_set():
            self.line.end(visitor)
            status = panels.quiet(say("tokens_stopped"))
        return [status, self.branching.stop(visitor, say)]

    def _leave(self, request: gr.Request) -> None:
        self.line.leave(request.session_hash)
        self.branching.line.leave(request.session_hash)

    def _ask(self, request: gr.Request, opening: str, text: str, readers: list[str], seed: str) -> list[Any]:
        """What is asked for waits in line, or is refused; what is read by now ends."""
        say, visitor = speaker(request), request.session_hash
        try:
            if not 1 <= len(readers) <= MOST_READERS:
                raise StoryLabError(say("problem_many", most=MOST_READERS) if readers else say("problem_choose"))
            ticket = Asked(check_opening(opening), check_text(text), tuple(readers), read_seed(seed))
        except StoryLabError as error:
            self.line.leave(visitor)
            return [cards.problem(str(error)), gr.skip(), None, gr.skip(), gr.skip()]
        self.line.ask(visitor, ticket)
        self.branching.line.leave(visitor)
        return [panels.progress(say("tokens_waits"), 0, 1), None, gr.skip(), gr.update(visible=False), None]

    def _read(self, request: gr.Request) -> Iterator[dict]:
        """What is due: a text is told where there is none, then read by one storyteller after another."""
        visitor, say, nothing = request.session_hash, speaker(request), {self.status: gr.skip()}
        ticket = self.line.take(visitor)
        if not isinstance(ticket, Asked):  # refused, or stopped
            yield nothing
            return
        status, wanted = "", gr.skip()
        try:
            with admission().admit(request, visitor, len(ticket.readers)) as place:
                for ahead in waiting(place, [ticket]):
                    yield {self.status: panels.progress(say("in_line", number=ahead), 0, 1)}
                for name, value in looks(self.visits, visitor, ticket, say):
                    yield nothing if ticket.stop.is_set() else {getattr(self, name): value}
            if ticket.stop.is_set():
                status, wanted = panels.quiet(say("tokens_stopped")), None
        except Exception as error:
            status, wanted = cards.problem(problem_of(error, say)), None
        finally:
            ticket.stop.set()
        yield {self.status: status, self.wanted: wanted} if not ticket.left.is_set() else nothing


def _check_colour(colour: str) -> str:
    if colour not in COLOURS:
        raise StoryLabError(f"colour must be one of {', '.join(COLOURS)}, not {shown(colour)}")
    return colour


def _wanted(query: Mapping[str, str]) -> dict[str, Any] | None:
    """The fork that a link asks for, as the browser would; None where it asks for none, or for nonsense."""
    try:
        token = int(query["token"]) if "token" in query else None
        return {"reader": query["by"], "position": int(query["at"]), "token": token}
    except (KeyError, ValueError):
        return None
