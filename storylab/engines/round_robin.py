"""Round-robin scheduling: those who compute in short steps take turns of several steps each.

A turn that passed on after every step would cost a fifth of the time: what one model's weights put into the
processor's caches, the next one's push out again, and tokens are chosen for one while another computes. Whoever comes
new has a first step at once, for the first word.
"""

import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

QUANTUM = 0.05
"""How long a turn lasts while others wait, in seconds; a step that is under way is never broken off."""
MARGIN = 0.005
"""How long after that its owner has to come back and pass it on, in seconds, before somebody takes it."""


@dataclass
class Place:
    """One of those who may compute at once: whose turn it is, until when, and whether a step is under way."""

    owner: weakref.ref | None = None
    until: float = 0.0
    running: bool = False

    def belongs_to(self, owner: object) -> bool:
        """Whether it is the owner's turn."""
        return self.owner is not None and self.owner() is owner

    def seconds_left(self, now: float) -> float:
        """Until somebody else may take it, if no step is under way then; nothing where its owner is forgotten."""
        forgotten = self.owner is None or self.owner() is None
        return 0.0 if forgotten else max(0.0, self.until + MARGIN - now)


class RoundRobin:
    """Turns for those who compute.

    Args:
        at_once: How many may compute at once.
    """

    def __init__(self, at_once: int):
        self._places = [Place() for _ in range(at_once)]
        self._line: list[object] = []  # a ticket for each who waits; those who come new stand in front
        self._new = 0  # how many of these come new
        self._known: weakref.WeakSet = weakref.WeakSet()
        self._changed = threading.Condition(threading.RLock())  # owners may be forgotten anywhere, also in here

    @contextmanager
    def step(self, owner: object) -> Iterator[None]:
        """Compute for a moment.

        Args:
            owner: For whom; its turn ends early when nobody refers to it any more. It has one thread at a time.
        """
        with self._changed:
            mine = next((place for place in self._places if place.belongs_to(owner)), None)
            if mine and self._line and (self._new or time.perf_counter() > mine.until):
                mine.owner, mine = None, None
                self._changed.notify_all()
            mine = mine or self._wait(owner)
            mine.running = True
        try:
            yield
        finally:
            mine.running = False

    def _wait(self, owner: object) -> Place:
        """Stand in line for a turn; the first of an owner is for one step."""
        ticket, new = object(), owner not in self._known
        self._line.insert(self._new if new else len(self._line), ticket)
        self._new += new
        try:
            while True:
                seconds = None  # those behind the first sleep until something changes
                if self._line[0] is ticket:
                    now = time.perf_counter()
                    place = min(self._places, key=lambda place: (place.running, place.seconds_left(now)))
                    seconds = place.seconds_left(now) or MARGIN
                    if not place.running and not place.seconds_left(now):
                        place.owner = weakref.ref(owner, self._forgotten)
                        place.until = now if new else now + QUANTUM
                        self._known.add(owner)
                        return place
                self._changed.wait(seconds)
        finally:
            self._line.remove(ticket)
            self._new -= new
            self._changed.notify_all()

    def _forgotten(self, _: weakref.ref) -> None:
        with self._changed:
            self._changed.notify_all()
