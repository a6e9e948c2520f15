"""Long work for visitors: they wait in line, it runs in a thread of its own, and ends when they stop it, or leave."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from storylab.ui.problems import problem_of
from storylab.ui.texts import Say

T = TypeVar("T")
QUICK = 0.02
"""Seconds within which a look is taken once work has ended, or is to end."""


class Ticket:
    """What a visitor has asked for; it may have to wait in line."""

    def __init__(self) -> None:
        self.stop, self.left = threading.Event(), threading.Event()
        """Set when it is to end, and when nobody waits for what has come of it."""
        self.taken = False
        """Whether it is no longer in line."""

    def end(self) -> None:
        """Nobody wants it any more: another takes its place, or the page is closed."""
        self.left.set()
        self.stop.set()


class Work:
    """A piece of work; `with` it begins, and behind it it ends as soon as it can, without anybody waiting for that.

    gradio closes the listener of a page that is gone in its event loop: waiting there would halt everybody's page.
    """

    def __init__(self, say: Say, ticket: Ticket):
        """Prepare it; it should end once the ticket's `stop` is set."""
        self.say, self.ticket, self.stop, self.problem = say, ticket, ticket.stop, ""
        self.thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)

    def work(self) -> None:
        """What is to be done; an error that a person can mend becomes `problem`."""
        raise NotImplementedError

    def ended(self) -> None:
        """Clear up; called once nothing of it runs any more, and nobody looks on."""

    @property
    def worth_waiting(self) -> bool:
        """Whether it has come to something that is kept when it is stopped."""
        return False

    def looks(self, pause: float) -> Iterator[None]:
        """Come back every so many seconds while it goes on and somebody waits for it, and at once when it is stopped.

        Args:
            pause: Seconds between two looks.
        """
        while self.thread.is_alive() and not self._over():
            stopped = self.stop.is_set()
            yield
            until = time.monotonic() + pause
            while self.thread.is_alive() and self.stop.is_set() == stopped and time.monotonic() < until:
                self.thread.join(QUICK)

    def _over(self) -> bool:
        return self.ticket.left.is_set() or (self.stop.is_set() and not self.worth_waiting)

    def __enter__(self) -> Work:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ticket.end()
        threading.Thread(target=self._clear_up, name="clearing up", daemon=True).start()

    def _clear_up(self) -> None:
        self.thread.join()
        self.ended()

    def _run(self) -> None:
        try:
            self.work()
        except Exception as error:
            self.problem = problem_of(error, self.say)


class Latest(Generic[T]):
    """The latest thing of each visitor; of more than so many visitors, the oldest is given up."""

    def __init__(self, most: int):
        self.most, self._things, self._guard = most, {}, threading.Lock()

    def put(self, visitor: str, thing: T) -> None:
        """Keep a thing in place of the one before."""
        with self._guard:
            self._put(visitor, thing)

    def get(self, visitor: str) -> T | None:
        """The visitor's; None where there is none, or no longer."""
        with self._guard:
            return self._things.get(visitor)

    def leave(self, visitor: str) -> None:
        """Forget a visitor whose page is closed."""
        with self._guard:
            self._things.pop(visitor, None)

    def _put(self, visitor: str, thing: T) -> list[T]:
        """Returns what is given up for it."""
        given_up = [self._things.pop(visitor)] if visitor in self._things else []
        self._things[visitor] = thing
        while len(self._things) > self.most:
            given_up.append(self._things.pop(next(iter(self._things))))
        return given_up


class Line(Latest[Ticket]):
    """The tickets of a panel's visitors; what is given up is ended."""

    def ask(self, visitor: str, ticket: Ticket) -> None:
        """Note what a visitor asks for, in place of what was before."""
        with self._guard:
            for given_up in self._put(visitor, ticket):
                given_up.end()

    def take(self, visitor: str) -> Ticket | None:
        """Take up what is due; None where nothing is."""
        with self._guard:
            ticket = self._things.get(visitor)
            if ticket is None or ticket.taken:
                return None
            ticket.taken = True
            return ticket

    def end(self, visitor: str) -> bool:
        """Stop a visitor's; returns whether it had not even begun."""
        with self._guard:
            ticket = self._things.get(visitor)
            if ticket is None:
                return False
            if ticket.taken:
                ticket.stop.set()
                return False
            del self._things[visitor]
            ticket.end()
            return True

    def leave(self, visitor: str, only: Ticket | None = None) -> None:
        """End a visitor's and forget it.

        Args:
            visitor: Whose page is closed, or whose ticket is done.
            only: The ticket; another one stays.
        """
        with self._guard:
            ticket = self._things.get(visitor)
            if ticket is not None and only in (None, ticket):
                del self._things[visitor]
                ticket.end()


def in_turn(
    line: Line,
    visitor: str,
    make: Callable[[Ticket], Work],
    shown: Callable[[Work], list[Any]],
    ended: Callable[[Work], list[Any]],
    nothing: list[Any],
    pause: float,
) -> Iterator[list[Any]]:
    """Do the work that a visitor waits for, if any: what is to be seen while it goes on, and at its end.

    Args:
        line: Where the visitor's ticket waits.
        visitor: Whose it is.
        make: The work of a ticket.
        shown: Values for a listener's outputs while the work goes on.
        ended: The same at its end.
        nothing: The same where nobody waits: a generator without a value would empty the outputs.
        pause: Seconds between two looks.
    """
    ticket = line.take(visitor)
    if ticket is None:
        yield nothing
        return
    try:
        with make(ticket) as work:
            for _ in work.looks(pause):
                yield shown(work)
            yield ended(work)
    finally:
        line.leave(visitor, ticket)
