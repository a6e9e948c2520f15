"""Turns at what only some visitors may do at once; whoever came first has the next one."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE = 0.1
"""Seconds between two looks of who waits at whether it still should."""


class Turns:
    """So many turns at once.

    Args:
        most: How many.
    """

    def __init__(self, most: int):
        self._free, self._line, self._change = most, deque(), threading.Condition()

    @contextmanager
    def turn(self, given_up: Callable[[], bool]) -> Iterator[None]:
        """Wait for a turn and have it; whoever gives up waiting goes on without one.

        Args:
            given_up: Whether nothing will be done that needs a turn.
        """
        mine = self._wait(given_up)
        try:
            yield
        finally:
            with self._change:
                self._free += mine
                self._change.notify_all()

    def _wait(self, given_up: Callable[[], bool]) -> bool:
        place = object()
        with self._change:
            self._line.append(place)
            while not given_up() and not (self._free and self._line[0] is place):
                self._change.wait(PATIENCE)
            mine = bool(self._free) and self._line[0] is place
            self._line.remove(place)
            self._free -= mine
            return mine
