"""Long work for visitors: it runs in a thread of its own and ends when they stop it, or leave."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterator
from typing import Generic, TypeVar

from storylab.errors import StoryLabError
from storylab.ui.texts import Say

T = TypeVar("T")


class Work:
    """A piece of work; `with` it begins, and behind it nothing of it runs any more."""

    def __init__(self, say: Say, stop: threading.Event | None = None):
        """Prepare it; `stop`, once set, is what it should end for."""
        self.say, self.stop, self.problem = say, stop or threading.Event(), ""
        self.thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)

    def work(self) -> None:
        """What is to be done; an error that a person can mend becomes `problem`."""
        raise NotImplementedError

    def looks(self, pause: float) -> Iterator[None]:
        """Come back every so many seconds while it goes on."""
        while self.thread.is_alive():
            yield
            self.thread.join(pause)

    def __enter__(self) -> Work:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()  # the visitor stopped, or closed the page
        self.thread.join()

    def _run(self) -> None:
        try:
            self.work()
        except StoryLabError as error:
            self.problem = str(error)
        except Exception:  # whatever it is, the visitor is told that, and the log what
            traceback.print_exc()
            self.problem = self.say("problem_broken")


class Latest(Generic[T]):
    """The latest thing of each visitor; of more than so many visitors, the oldest is given up."""

    def __init__(self, most: int):
        self.most, self._things, self._guard = most, {}, threading.Lock()

    def put(self, visitor: str, thing: T) -> T | None:
        """Keep a thing; returns the one that it replaces."""
        with self._guard:
            before = self._things.pop(visitor, None)
            self._things[visitor] = thing
            while len(self._things) > self.most:
                self._things.pop(next(iter(self._things)))
            return before

    def get(self, visitor: str) -> T | None:
        """The visitor's; None where there is none, or no longer."""
        with self._guard:
            return self._things.get(visitor)


class Ticket:
    """What a visitor has asked for; it may have to wait in line."""

    def __init__(self) -> None:
        self.stop, self.taken = threading.Event(), False


class Line(Latest[Ticket]):
    """The tickets of a panel's visitors."""

    def ask(self, visitor: str, ticket: Ticket) -> None:
        """Note what a visitor asks for, in place of what was before, which is stopped."""
        if before := self.put(visitor, ticket):
            before.stop.set()

    def take(self, visitor: str) -> Ticket | None:
        """Take up what is due; None where nothing is."""
        ticket = self.get(visitor)
        if ticket is None or ticket.taken:
            return None
        ticket.taken = True
        return ticket

    def end(self, visitor: str) -> bool:
        """Stop a visitor's; returns whether it had not even begun."""
        ticket = self.get(visitor)
        if ticket is None:
            return False
        ticket.stop.set()
        waiting, ticket.taken = not ticket.taken, True
        return waiting
