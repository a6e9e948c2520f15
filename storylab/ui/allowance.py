"""How many tellings a minute each visitor has: a token bucket (Turner 1986) for everyone who has used some."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

SWEEP = 1000
"""Visitors who are remembered before those who have their whole allowance again are forgotten."""


class Allowance:
    """So many tellings a minute and visitor, all at once where none was used; safe to use from several threads.

    Args:
        a_minute: How many.
        now: Seconds, from any beginning, that never go back.
    """

    def __init__(self, a_minute: int, now: Callable[[], float] = time.monotonic):
        self.a_minute, self._now = a_minute, now
        self._full: dict[str, float] = {}  # when each visitor's whole allowance is there again
        self._guard = threading.Lock()

    def take(self, visitor: str, tellings: int = 1) -> int:
        """Take tellings off a visitor's allowance; more than the whole of it count as the whole.

        Returns:
            0, or the seconds until there will be so many, and none was taken.
        """
        cost, minute = 60 * min(tellings, self.a_minute) / self.a_minute, 60
        with self._guard:
            now = self._now()
            full = max(now, self._full.get(visitor, now)) + cost
            if full > now + minute + 1e-6:
                return math.ceil(full - now - minute)
            self._full[visitor] = full
            if len(self._full) > SWEEP:
                self._full = {one: until for one, until in self._full.items() if until > now}
            return 0

    def give_back(self, visitor: str, tellings: int = 1) -> None:
        """Put tellings back that were taken and not told."""
        with self._guard:
            if visitor in self._full:
                self._full[visitor] -= 60 * min(tellings, self.a_minute) / self.a_minute
