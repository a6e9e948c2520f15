"""What every visitor has asked for and what of it is being told, so that it can be stopped and retried.

A visitor is an open page: gradio gives each one a session hash. Nothing is kept once the page is closed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from storylab.decoding import Settings, check_seed
from storylab.errors import StoryLabError
from storylab.storytellers import load

if TYPE_CHECKING:
    from storylab.storytellers.storyteller import Storyteller

OWN_NAME = "yours"
"""The name of the storyteller that a visitor has trained on the page."""
MOST_OWN = 8
"""Visitors whose own storyteller is kept; of more, the oldest is given up."""
MOST_VISITORS = 1000
"""Visitors remembered; of more, those who came first are forgotten."""


@dataclass(eq=False)
class Run:
    """One telling that a visitor asked for."""

    name: str
    """The storyteller's."""
    opening: str
    settings: Settings
    seed: int
    teller: str = ""
    """The storyteller that tells in its place where it isn't ready; empty: itself."""
    stop: threading.Event = field(default_factory=threading.Event)
    """Ends the telling, also one that still waits in line."""
    replaced: bool = False
    """Whether something newer has its card by now; it then shows nothing more."""


@dataclass
class _Visit:
    runs: dict[str, Run]  # the last of each storyteller
    due: dict[str, Run]  # asked for, not yet taken up

    def end(self, replaced: bool = False) -> None:
        for run in self.runs.values():
            run.replaced = replaced
            run.stop.set()


class Visits:
    """The runs of all visitors; safe to use from several threads."""

    def __init__(self) -> None:
        self._visits: dict[str, _Visit] = {}
        self._own: dict[str, Storyteller] = {}
        self._guard = threading.Lock()

    def start(self, visitor: str, runs: Iterable[Run]) -> None:
        """Note what a visitor asks for, in place of everything before, which is ended."""
        asked = {run.name: run for run in runs}
        with self._guard:
            if before := self._visits.pop(visitor, None):
                before.end(replaced=True)
            self._visits[visitor] = _Visit(asked, dict(asked))
            while len(self._visits) > MOST_VISITORS:
                self._visits.pop(next(iter(self._visits))).end()

    def again(self, visitor: str, name: str) -> Run | None:
        """Ask for a storyteller's last telling once more, with a new seed; None where there was none."""
        with self._guard:
            visit = self._visits.get(visitor)
            before = visit.runs.get(name) if visit else None
            if before is None:
                return None
            before.replaced = True
            before.stop.set()
            run = Run(name, before.opening, before.settings, check_seed())
            visit.runs[name] = visit.due[name] = run
            return run

    def take(self, visitor: str, name: str) -> Run | None:
        """Take up the telling that a storyteller was asked for; None where nothing is due."""
        with self._guard:
            visit = self._visits.get(visitor)
            return visit.due.pop(name, None) if visit else None

    def stop(self, visitor: str) -> None:
        """End everything that is told for a visitor, or waits to be."""
        with self._guard:
            if visit := self._visits.get(visitor):
                visit.end()

    def leave(self, visitor: str) -> None:
        """Forget a visitor whose page is closed, and end what is still told."""
        with self._guard:
            self._own.pop(visitor, None)
            if visit := self._visits.pop(visitor, None):
                visit.end(replaced=True)

    def keep_own(self, visitor: str, storyteller: Storyteller) -> None:
        """Keep the storyteller that a visitor has trained until the page is closed."""
        with self._guard:
            self._own.pop(visitor, None)
            self._own[visitor] = storyteller
            while len(self._own) > MOST_OWN:
                self._own.pop(next(iter(self._own)))

    def own(self, visitor: str) -> Storyteller | None:
        """The storyteller that a visitor has trained; None where there is none, or no longer."""
        with self._guard:
            return self._own.get(visitor)

    def load(self, visitor: str, name: str) -> Storyteller:
        """The storyteller of a name, for a visitor.

        Raises:
            StoryLabError: There is none of that name, or it can't tell.
        """
        if name != OWN_NAME:
            return load(name)
        if own := self.own(visitor):
            return own
        raise StoryLabError("the storyteller that you trained is gone; train it again")
