"""Turns at what only some visitors may do at once, in a line that is short, fair and left at will.

Start-time fair queueing (Goyal, Vin and Cheng 1996): each visitor goes through rounds of their own, as many as their
wishes cost, and the line is in the order of the rounds. Who asks for a hundred things stands in line a hundred times,
but each time a round further back, and whoever comes with one wish gets in before the second of them. Where the line
is full, the last place of whoever has most in it is given to a newcomer who has fewer (longest queue drop, Suter et al.
1998).
"""

from __future__ import annotations

import bisect
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

PATIENCE = 0.2
"""Seconds between two looks of who waits at whether it still should."""
LOOK = 0.5
"""Seconds between two looks of who is about to have their turn at how many are ahead; the further back, the more."""
LOOK_EACH = 0.1
"""Seconds more for each of those ahead, so that a long line costs little to be told of."""


class Place:
    """A visitor's place in the line, and then their turn; `leave` it when it is over."""

    def __init__(self, turns: Turns, visitor: str, cost: int):
        self._turns, self.visitor, self.cost = turns, visitor, cost
        self.order: tuple[int, int] = (0, 0)
        """The visitor's round, and how many came before in all."""
        self.called = threading.Event()
        """Set when there is nothing to wait for any longer."""
        self.has_turn = False
        """Whether it is the visitor's turn."""
        self.lost = False
        """Whether the line was full and somebody else has got the place."""

    @property
    def ahead(self) -> int:
        """How many come first, the next one to have a turn included; 0 with the turn, and where the place is lost."""
        return self._turns.ahead(self)

    def waiting(self, given_up: Callable[[], bool]) -> Iterator[int]:
        """Wait for the turn: how many are ahead, from time to time, and nothing more once there is no need to wait.

        Args:
            given_up: Whether nobody waits any more.
        """
        told = 0
        while not given_up() and (ahead := self.ahead):
            if ahead != told:
                yield (told := ahead)
            until = time.monotonic() + LOOK + LOOK_EACH * ahead
            while not self.called.wait(PATIENCE) and not given_up() and time.monotonic() < until:
                pass

    def leave(self) -> None:
        """End the turn, or leave the line."""
        self._turns.leave(self)


class Turns:
    """So many turns at once, and a line before them; safe to use from several threads.

    Args:
        most: How many have a turn at once.
        places: How many may wait.
    """

    def __init__(self, most: int, places: int):
        self._free, self._places = most, places
        self._line: list[Place] = []  # in the order of their turns
        self._rounds: dict[str, int] = {}  # where each visitor's next wish stands
        self._round = self._asked = 0  # that of the last turn, and all wishes so far
        self._guard = threading.Lock()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._line)

    def ask(self, visitor: str, cost: int = 1) -> Place | None:
        """A place in the line, or the turn where one is free; None where the line is full.

        Args:
            visitor: Who asks.
            cost: How much is asked for, as a number of tellings.
        """
        with self._guard:
            if len(self._line) >= self._places and not self._make_room(visitor):
                return None
            place, self._asked = Place(self, visitor, cost), self._asked + 1
            place.order = max(self._round, self._rounds.get(visitor, 0)), self._asked
            self._rounds[visitor] = place.order[0] + cost
            bisect.insort(self._line, place, key=lambda place: place.order)
            self._call()
            return place

    def ahead(self, place: Place) -> int:
        """How many come before a place has its turn; 0 for one that is not in the line."""
        with self._guard:
            return self._line.index(place) + 1 if place in self._line else 0

    def leave(self, place: Place) -> None:
        """End a turn, or take a place out of the line; nothing for one that has left."""
        with self._guard:
            if place in self._line:
                self._line.remove(place)
                self._spare(place)
            self._free += place.has_turn
            place.has_turn = False
            place.called.set()
            self._call()

    def _call(self) -> None:
        while self._free and self._line:
            place = self._line.pop(0)
            self._free, self._round, place.has_turn = self._free - 1, place.order[0], True
            place.called.set()
        if len(self._rounds) > 2 * self._places:  # who has none of their rounds before them is as good as new
            self._rounds = {visitor: next_ for visitor, next_ in self._rounds.items() if next_ > self._round}

    def _make_room(self, visitor: str) -> bool:
        """Give up the last place of whoever has most of the line, where a visitor has fewer."""
        waiting = Counter(place.visitor for place in self._line)
        greedy, most = waiting.most_common(1)[0]
        if waiting[visitor] + 1 >= most:
            return False
        last = next(place for place in reversed(self._line) if place.visitor == greedy)
        self._line.remove(last)
        self._spare(last)
        last.lost = True
        last.called.set()
        return True

    def _spare(self, place: Place) -> None:
        """Nothing was done for a place: its visitor's next wish stands where it would without it."""
        if place.visitor in self._rounds:
            self._rounds[place.visitor] -= place.cost
