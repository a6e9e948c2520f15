"""Branch here: what a storyteller would have told from a selected token on, shown under what was read."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr

from storylab.decoding import check_seed
from storylab.errors import StoryLabError
from storylab.ui import cards, panels, tellers
from storylab.ui.admission import admission, waiting
from storylab.ui.controls import AT_ONCE, HIDDEN, said_by
from storylab.ui.links import write_query
from storylab.ui.problems import problem_of
from storylab.ui.seed import read_seed
from storylab.ui.texts import Labels, Say, speaker
from storylab.ui.visits import OWN_NAME, Visits
from storylab.ui.work import Line, Ticket

if TYPE_CHECKING:
    from storylab.storytellers import Telling

MOST_VISITORS = 1000
"""Whose branches are remembered."""
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
    seed: int | None = None
    """That of the text where a storyteller told it; None where nobody knows one."""

    def query(self, colour: str, branch: tuple[Fork, int] | None = None) -> str:
        """The link to it.

        Args:
            colour: What the tokens are coloured by.
            branch: What is shown below it, a fork and its seed. It is left out where the visitor's own storyteller
                told it, which nobody else has.
        """
        said = asdict(self) | {"colour": colour}
        if branch and branch[0].reader != OWN_NAME:
            fork, seed = branch
            said |= {"seed": seed, "by": fork.reader, "at": fork.position, "token": fork.token}
        return write_query("tokens", models=",".join(said.pop("readers")), **said)


@dataclass(frozen=True)
class Fork:
    """Where a text is to branch; `read` makes it of what a browser or a link says."""

    reader: str
    position: int
    token: int | None

    @classmethod
    def read(cls, said: Any, readers: tuple[str, ...], say: Say) -> Fork:
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


class Asked(Ticket):
    """A branch to tell."""

    def __init__(self, shown: View, fork: Fork, seed: int):
        super().__init__()
        self.shown, self.fork, self.seed = shown, fork, seed


class Branching:
    """The panel's components and what happens between them. `request` is gradio's; its session hash is the visitor."""

    def __init__(self, label: Labels, visits: Visits):
        """Build the panel, which is hidden until something is told."""
        self.visits, self.line = visits, Line(MOST_VISITORS)
        with gr.Column(elem_classes="sheet", elem_id="tokens-branch", visible=False) as self.panel:
            head = label.made(lambda say: panels.section(say("tokens_branched"), say("tokens_branched_about")))
            gr.HTML(head, apply_default_css=False)
            self.html = gr.HTML("", elem_id="tokens-branched", apply_default_css=False)
            with gr.Row(elem_classes="buttons"):
                self.adopt = gr.Button(label("tokens_adopt"), elem_id="tokens-adopt")
        self.told = gr.State("")
        """The branch's whole text."""
        self.branch = gr.State(None)
        """The fork and the seed of the branch that is shown; None where there is none."""

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
            fields: The `View` that is shown, None where there is none; the seed.
            wanted: The fork that a link asks for.
            after: The reading.

        Returns:
            The two listeners that tell.
        """
        asked = view.branch(self._asked, fields, [self.panel, self.html], **AT_ONCE)
        asked.success(None, js=SHOW, **HIDDEN)
        linked = after.success(self._linked, [*fields, wanted], [self.panel, self.html, wanted], **AT_ONCE)
        return [
            due.success(
                self._tell,
                outputs=[self.html, self.told, self.branch],
                concurrency_limit=None,  # whoever waits does so in the line of `admission`
                trigger_mode="multiple",
                **HIDDEN,
            )
            for due in (asked, linked)
        ]

    def stop(self, visitor: str, say: Say) -> Any:
        """End what is told for a visitor; returns what is shown of one that still waited in line."""
        return panels.quiet(say("tokens_stopped")) if self.line.end(visitor) else gr.skip()

    def _asked(self, request: gr.Request, event: gr.EventData, shown: View | None, seed: str) -> list:
        said = {name: said_by(event, name) for name in ("reader", "position", "token")}
        return self._ask(request, said, shown, seed)

    def _linked(self, request: gr.Request, shown: View | None, seed: str, wanted: dict | None) -> list:
        if not wanted or shown is None:
            return [gr.skip()] * 3
        return [*self._ask(request, wanted, shown, seed), None]

    def _ask(self, request: gr.Request, said: Any, shown: View | None, seed: str) -> list:
        """What is asked for waits in line, or is refused; what is told by now ends."""
        say, visitor = speaker(request), request.session_hash
        try:
            if shown is None:
                raise StoryLabError(say("tokens_problem_branch"))
            fork, given = Fork.read(said, shown.readers, say), read_seed(seed)
            self.line.ask(visitor, Asked(shown, fork, check_seed(shown.seed if given is None else given)))
            html = panels.quiet(say("tokens_waits"))
        except StoryLabError as error:
            self.line.leave(visitor)
            html = cards.problem(str(error))
        return [gr.update(visible=True), html]

    def _tell(self, request: gr.Request) -> Iterator[list]:
        say, visitor = speaker(request), request.session_hash
        ticket = self.line.take(visitor)
        if not isinstance(ticket, Asked):  # refused, or stopped
            yield [gr.skip()] * 3
            return
        try:
            with admission().admit(request, visitor, 1) as place:
                for ahead in waiting(place, [ticket]):
                    yield [panels.quiet(say("in_line", number=ahead)), gr.skip(), gr.skip()]
                yield [panels.quiet(say("tokens_branching")), gr.skip(), gr.skip()]
                for look in self._looks(visitor, ticket, say):
                    yield self._of_last(ticket, look)
        except Exception as error:
            yield self._of_last(ticket, [cards.problem(problem_of(error, say)), gr.skip(), None])
        finally:
            ticket.stop.set()

    def _of_last(self, ticket: Ticket, look: list) -> list:
        """A look; nothing where the visitor has asked for another branch, or another reading, since."""
        return look if not ticket.left.is_set() else [gr.skip()] * 3

    def _looks(self, visitor: str, asked: Asked, say: Say) -> Iterator[list]:
        """The branch while it grows, and whole at last."""
        from storylab.inspection.branch import Branch, branch_stream

        shown, fork, seed = asked.shown, asked.fork, asked.seed
        title = tellers.titles(say)[fork.reader]
        storyteller = self.visits.load(visitor, fork.reader)
        texts, at = [], time.monotonic()
        pieces = branch_stream(
            storyteller, shown.opening, shown.text, fork.position, fork.token, seed=seed, stop=asked.stop
        )
        for piece in pieces:
            if isinstance(piece, Branch):
                html = branched(shown.opening, piece.kept, piece.new, title, say, piece.telling)
                whole = piece.telling.ended_by != "stopped"  # else a link would tell another
                yield [html, piece.telling.text, (fork, seed) if whole else None]
                return
            texts.append(piece.text)
            if len(texts) > fork.position and time.monotonic() - at > REFRESH:
                at = time.monotonic()
                kept, new = "".join(texts[: fork.position]), "".join(texts[fork.position :])
                yield [branched(shown.opening, kept, new, title, say), gr.skip(), gr.skip()]


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
