"""Round-robin scheduling: those who compute in short steps take turns of several steps each.

A turn that passed on after every step would cost a fifth of the time: what one model's weights put into the
processor's caches, the next one's push out again, and tokens are chosen for one while another computes. Whoever comes
new, a telling that begins, has its first step between two of another's, which ends that turn.
"""

import threading
import time
import weakref
from bisect import insort
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

QUANTUM = 0.05
"""How long a turn lasts while others wait, in seconds; a step that is under way is never broken off."""
PAUSE = 0.01
"""After how many seconds between two steps a turn is over early. Who waits looks as often."""
PATIENCE = 0.1
"""How many seconds those who come new may overtake one who waits for a further turn."""


@dataclass
class Place:
    """One of those who may compute at once: whose turn it is, until when, and whether a step is under way."""

    owner: weakref.ref | None = None
    until: float = 0.0
    ended: float = 0.0
    running: bool = False

    def belongs_to(self, owner: object) -> bool:
        """Whether it is the owner's turn."""
        return self.owner is not None and self.owner() is owner

    def is_free(self, now: float) -> bool:
        """Whether its owner is gone, or away for longer than between two steps."""
        return not self.running and (self.owner is None or self.owner() is None or now - self.ended > PAUSE)


@dataclass(order=True)
class Waiting:
    """One who waits for a turn, in the order of the line."""

    since: float
    """For one who is known, later by `PATIENCE` than it is."""
    number: int
    new: bool = field(compare=False)


class RoundRobin:
    """Turns for those who compute.

    Args:
        at_once: How many may compute at once.
    """

    def __init__(self, at_once: int):
        self._places = [Place() for _ in range(at_once)]
        self._line: list[Waiting] = []
        self._numbers = count()
        self._known: weakref.WeakSet = weakref.WeakSet()
        self._changed = threading.Condition(threading.RLock())  # an owner may be collected anywhere, also in here

    @contextmanager
    def step(self, owner: object) -> Iterator[None]:
        """Compute for a moment.

        Args:
            owner: For whom; its turn ends early when nobody refers to it any more. It has one thread at a time.
        """
        place = self._enter(owner)
        try:
            yield
        finally:
            with self._changed:
                place.ended, place.running = time.perf_counter(), False
                if self._line and self._line[0].new:
                    self._tell()

    def _enter(self, owner: object) -> Place:
        with self._changed:
            mine = next((place for place in self._places if place.belongs_to(owner)), None)
            if mine and self._line and (self._line[0].new or time.perf_counter() > mine.until):
                mine.owner = None
                mine = None
                self._tell()
            mine = mine or self._wait(owner)
            mine.running = True
            return mine

    def _wait(self, owner: object) -> Place:
        """Stand in line for a turn; that of one who is new is for one step, and begins between two of another's."""
        now = time.perf_counter()
        new = owner not in self._known
        me = Waiting(now if new else now + PATIENCE, next(self._numbers), new)
        insort(self._line, me)
        try:
            while True:
                first, now = self._line[0] is me, time.perf_counter()
                place = self._place(now, new) if first else None
                if place:
                    place.owner, place.until = weakref.ref(owner, self._tell), now if new else now + QUANTUM
                    self._known.add(owner)
                    return place
                self._changed.wait(PAUSE if first else None)
        finally:
            self._line.remove(me)
            self._tell()

    def _place(self, now: float, new: bool) -> Place | None:
        """One that may be had, better one that is nobody's."""
        free = [place for place in self._places if place.is_free(now) or (new and not place.running)]
        return min(free, key=lambda place: not place.is_free(now), default=None)

    def _tell(self, *_) -> None:
        """Wake all who wait."""
        with self._changed:
            self._changed.notify_all()
