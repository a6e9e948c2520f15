"""What runs for each visitor of the Decoding tab, so that it can be stopped."""

from __future__ import annotations

import threading

MOST_VISITORS = 1000
"""Visitors whose work is remembered; of more, that of those who came first is ended."""


class Stops:
    """One piece of work a visitor, which a newer one ends; safe to use from several threads."""

    def __init__(self) -> None:
        self._stops: dict[str, threading.Event] = {}
        self._guard = threading.Lock()

    def begin(self, visitor: str) -> threading.Event:
        """End what runs for a visitor; returns what ends the work that begins now."""
        stop = threading.Event()
        with self._guard:
            if before := self._stops.pop(visitor, None):
                before.set()
            self._stops[visitor] = stop
            while len(self._stops) > MOST_VISITORS:
                self._stops.pop(next(iter(self._stops))).set()
        return stop

    def is_last(self, visitor: str, stop: threading.Event) -> bool:
        """Whether nothing newer has begun for the visitor: older work shows nothing more."""
        with self._guard:
            return self._stops.get(visitor) is stop

    def end(self, visitor: str) -> None:
        """End what runs for a visitor."""
        with self._guard:
            if stop := self._stops.get(visitor):
                stop.set()

    def leave(self, visitor: str) -> None:
        """The same for one whose page is closed, who is forgotten."""
        with self._guard:
            if stop := self._stops.pop(visitor, None):
                stop.set()
