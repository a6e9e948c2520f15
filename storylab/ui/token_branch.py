"""Branch here: what a storyteller would have told from a selected token on, shown under what was read."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr

from storylab.decoding import check_seed
from storylab.errors import StoryLabError
from storylab.ui import cards, panels, tellers
from storylab.ui.address import Address
from storylab.ui.controls import HIDDEN
from storylab.ui.links import write_query
from storylab.ui.seed import read_seed
from storylab.ui.texts import Labels, Say, speaker
from storylab.ui.visits import Visits

if TYPE_CHECKING:
    from storylab.storytellers import Telling

CONCURRENT = 2
"""Visitors for whom a branch is told at once."""
REFRESH = 0.05
"""Seconds between two looks."""
SHOW = """() => setTimeout(() => document.getElementById("tokens-branch")
    ?.scrollIntoView({behavior: "smooth", block: "nearest"}), 100)"""


@dataclass(frozen=True)
class View:
    """What the tab shows, and its link says."""

    opening: str
    text: str
    readers: tuple[str, ...]
    colour: str
    seed: int | None = None
    """That of the text where a storyteller told it, or of the branch; None where nothing was told."""

    def query(self, **parts: object) -> str:
        """The link to it."""
        said = asdict(self) | parts
        return write_query("tokens", models=",".join(said.pop("readers")), **said)


@dataclass(frozen=True)
class Fork:
    """Where a text is to branch; `read` makes it of what a browser or a link says."""

    reader: str
    position: int
    token: int | None

    @classmethod
    def read(cls, said: Mapping[str, Any], readers: tuple[str, ...], say: Say) -> Fork:
        """Check the types and the reader; the ranges are the storyteller's to check.

        Raises:
            StoryLabError: Something is not what it must be.
        """
        whole = lambda value: isinstance(value, int) and not isinstance(value, bool)  # noqa: E731
        if isinstance(said, Mapping):
            reader, position, token = (said.get(name) for name in ("reader", "position", "token"))
            if reader in readers and whole(position) and (token is None or whole(token)):
                return cls(reader, position, token)
        raise StoryLabError(say("tokens_problem_branch"))


class Branching:
    """The panel's components and what happens between them."""

    def __init__(self, label: Labels, visits: Visits, address: Address):
        """Build the panel, which is hidden until something is told."""
        self.visits, self.address = visits, address
        with gr.Column(elem_classes="sheet", elem_id="tokens-branch", visible=False) as self.panel:
            head = label.made(lambda say: panels.section(say("tokens_branched"), say("tokens_branched_about")))
            gr.HTML(head, apply_default_css=False)
            self.html = gr.HTML("", elem_id="tokens-branched", apply_default_css=False)
            with gr.Row(elem_classes="buttons"):
                self.adopt = gr.Button(label("tokens_adopt"), elem_id="tokens-adopt")
        self.told = gr.State("")
        """The branch's whole text."""

    def wire(
        self,
        view: gr.HTML,
        fields: Sequence[gr.components.Component],
        wanted: gr.State,
        after: gr.events.Dependency,
    ) -> list[gr.events.Dependency]:
        """Branch when the view asks for it, and, for a link that does, after the text was read.

        Args:
            view: Triggers "branch" with reader, position and token.
            fields: The `View` that is shown, None where there is none; the colour by now; the seed.
            wanted: The fork that a link asks for.
            after: The reading.

        Returns:
            The two listeners that tell.
        """
        how = {"concurrency_limit": CONCURRENT, "concurrency_id": "tokens-branch", **HIDDEN}
        outputs = [self.panel, self.html, self.told, self.address.query]
        asked = view.branch(self._asked, fields, outputs, **how)
        asked.success(None, js=SHOW, **HIDDEN)
        linked = after.success(self._linked, [*fields, wanted], [*outputs, wanted], **how)
        return [asked, linked]

    def _asked(
        self, request: gr.Request, event: gr.EventData, shown: View | None, colour: str, seed: str
    ) -> Iterator[list]:
        yield from self._tell(request, event._data, shown and replace(shown, colour=colour), seed)

    def _linked(
        self, request: gr.Request, shown: View | None, colour: str, seed: str, wanted: dict | None
    ) -> Iterator[list]:
        if not wanted or shown is None:
            yield [*[gr.skip()] * 4, None]
            return
        for look in self._tell(request, wanted, replace(shown, colour=colour), seed):
            yield [*look, None]

    def _tell(self, request: gr.Request, said: Any, shown: View | None, seed: str) -> Iterator[list]:
        say = speaker(request)
        stop = threading.Event()
        try:
            if shown is None:
                raise StoryLabError(say("tokens_problem_branch"))
            fork, seed = Fork.read(said, shown.readers, say), check_seed(read_seed(seed))
            yield [gr.update(visible=True), panels.quiet(say("tokens_branching")), gr.skip(), gr.skip()]
            yield from self._pieces(request, shown, fork, seed, stop)
        except StoryLabError as error:
            yield [gr.update(visible=True), cards.problem(str(error)), gr.skip(), gr.skip()]
        finally:
            stop.set()

    def _pieces(self, request: gr.Request, shown: View, fork: Fork, seed: int, stop: threading.Event) -> Iterator[list]:
        from storylab.inspection.branch import Branch, branch_stream

        say = speaker(request)
        title = tellers.titles(say)[fork.reader]
        storyteller = self.visits.load(request.session_hash, fork.reader)
        texts, at = [], time.monotonic()
        pieces = branch_stream(storyteller, shown.opening, shown.text, fork.position, fork.token, seed=seed, stop=stop)
        for piece in pieces:
            if isinstance(piece, Branch):
                html = branched(shown.opening, piece.kept, piece.new, title, say, piece.telling)
                by = {"by": fork.reader, "at": fork.position, "token": fork.token, "seed": seed}
                yield [gr.skip(), html, piece.telling.text, shown.query(**by)]
                return
            texts.append(piece.text)
            if len(texts) > fork.position and time.monotonic() - at > REFRESH:
                at = time.monotonic()
                kept, new = "".join(texts[: fork.position]), "".join(texts[fork.position :])
                yield [gr.skip(), branched(shown.opening, kept, new, title, say), gr.skip(), gr.skip()]


def branched(opening: str, kept: str, new: str, title: str, say: Say, telling: Telling | None = None) -> str:
    """A text told anew from somewhere on, as HTML; `telling` says how it ended, None while it goes on."""
    facts = [title]
    if telling:
        facts.append(say("with_seed", seed=telling.seed))
        facts.append(say(f"ended_{telling.ended_by}", sentences=len(telling.story)))
    return (
        f'<p class="branched" aria-busy="{"false" if telling else "true"}"><span class="kept">{escape(opening)}'
        f" {escape(kept)}</span><mark>{escape(new) or '∅'}</mark></p>"
        f'<p class="quiet">{escape(" · ".join(facts))}</p>'
    )
