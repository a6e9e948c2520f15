"""What every visitor has asked for and what of it is being told, so that it can be stopped, retried and looked at.

A visitor is an open page: gradio gives each one a session hash. Nothing is kept once the page is closed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from storylab.decoding import Settings, check_seed
from storylab.errors import StoryLabError
from storylab.storytellers import Telling, load
from storylab.storytellers.catalog import OWN_NAME
from storylab.ui.uploads import Uploads

if TYPE_CHECKING:
    from storylab.storytellers.storyteller import Storyteller

MOST_OWN = 8
"""Visitors whose own storyteller is kept; of more, the oldest is given up."""
MOST_VISITORS = 1000
"""Visitors remembered; of more, those who have been idle longest are forgotten."""
MOST_TELLINGS = 50
"""Tellings of a visitor that are remembered, the newest first."""


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
    place: str = ""
    """Where on the page it is told; empty: the storyteller's card."""
    stop: threading.Event = field(default_factory=threading.Event)
    """Ends the telling, also one that still waits in line."""
    replaced: bool = False
    """Whether something newer has its card by now; it then shows nothing more."""
    telling: Telling | None = None
    """What was told, once it has ended."""
    log_probability: float | None = None
    """That of its tokens under the model, summed, natural logarithm; None before it has ended."""

    def __post_init__(self) -> None:
        self.place = self.place or self.name


@dataclass
class _Visit:
    runs: dict[str, Run] = field(default_factory=dict)  # the last of each place
    due: dict[str, Run] = field(default_factory=dict)  # asked for, not yet taken up
    pinned: Telling | None = None
    history: list[Telling] = field(default_factory=list)

    def end(self, replaced: bool = False) -> None:
        for run in self.runs.values():
            run.replaced = replaced
            run.stop.set()


class Visits:
    """The runs of all visitors; safe to use from several threads."""

    def __init__(self) -> None:
        self._visits: dict[str, _Visit] = {}
        self._own: dict[str, Storyteller] = {}
        self.uploads = Uploads()
        self._guard = threading.Lock()

    def start(self, visitor: str, runs: Iterable[Run]) -> None:
        """Note what a visitor asks for, in place of everything before, which is ended."""
        asked = {run.place: run for run in runs}
        with self._guard:
            visit = self._visit(visitor)
            visit.end(replaced=True)
            visit.runs, visit.due = asked, dict(asked)

    def again(self, visitor: str, place: str) -> Run | None:
        """Ask for a place's last telling once more, with a new seed; None where there was none."""
        with self._guard:
            visit = self._visits.get(visitor)
            before = visit.runs.get(place) if visit else None
            if before is None:
                return None
            before.replaced = True
            before.stop.set()
            run = Run(before.name, before.opening, before.settings, check_seed(), place=place)
            visit.runs[place] = visit.due[place] = run
            return run

    def take(self, visitor: str, place: str, only: Run | None = None) -> Run | None:
        """Take up the telling that a place was asked for; None where nothing is due.

        Args:
            visitor: Who asked.
            place: Which place.
            only: The telling to take up; another that is due stays.
        """
        with self._guard:
            visit = self._visits.get(visitor)
            due = visit.due if visit else {}
            return due.pop(place, None) if only in (None, due.get(place)) else None

    def stop(self, visitor: str) -> None:
        """End everything that is told for a visitor, or waits to be."""
        with self._guard:
            if visit := self._visits.get(visitor):
                visit.end()

    def leave(self, visitor: str) -> None:
        """Forget a visitor whose page is closed, with their files, and end what is still told."""
        self.uploads.leave(visitor)
        with self._guard:
            self._own.pop(visitor, None)
            if visit := self._visits.pop(visitor, None):
                visit.end(replaced=True)

    # What was told

    def note(self, visitor: str, run: Run, telling: Telling, log_probability: float | None = None) -> None:
        """Note what came of a run; `log_probability` is that of its tokens."""
        with self._guard:
            run.telling, run.log_probability = telling, log_probability
            if telling.story and (visit := self._visits.get(visitor)):
                visit.history = [telling, *visit.history][:MOST_TELLINGS]

    def runs(self, visitor: str) -> dict[str, Run]:
        """What stands on a visitor's page, by its place, in the order in which it was asked for."""
        with self._guard:
            visit = self._visits.get(visitor)
            return dict(visit.runs) if visit else {}

    def history(self, visitor: str) -> list[Telling]:
        """A visitor's last tellings, the newest first."""
        with self._guard:
            visit = self._visits.get(visitor)
            return list(visit.history) if visit else []

    def remember(self, visitor: str, tellings: Iterable[Telling]) -> None:
        """Put tellings of earlier visits behind those of this one."""
        with self._guard:
            visit = self._visit(visitor)
            visit.history = [*visit.history, *tellings][:MOST_TELLINGS]

    def forget(self, visitor: str) -> None:
        """Forget a visitor's tellings, but for those that stand on the page."""
        with self._guard:
            if visit := self._visits.get(visitor):
                visit.history = []

    def pin(self, visitor: str, telling: Telling | None) -> None:
        """Keep a telling to compare others with; None keeps none."""
        with self._guard:
            self._visit(visitor).pinned = telling

    def pinned(self, visitor: str) -> Telling | None:
        """The telling that others are compared with; None where there is none."""
        with self._guard:
            visit = self._visits.get(visitor)
            return visit.pinned if visit else None

    # Who tells

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

    def _visit(self, visitor: str) -> _Visit:
        """A visitor's entry, made where there is none; whoever was here last is forgotten last."""
        visit = self._visits.pop(visitor, None) or _Visit()
        self._visits[visitor] = visit
        while len(self._visits) > MOST_VISITORS:
            self._visits.pop(next(iter(self._visits))).end()
        return visit
