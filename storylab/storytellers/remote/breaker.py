"""A circuit breaker: what is known of an endpoint, so that a dead one costs one telling a second and no other anything.

The pattern is Nygard's ("Release It!", 2007): a failure opens the breaker, and every telling fails at once; each has
the endpoint probed behind the scenes, but never twice at a time; a probe that succeeds closes the breaker again.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

FRESH = 30.0
"""Seconds for which an endpoint that was heard of is taken to be there."""
PAUSE = 1.0
"""Seconds between two probes of a dead endpoint."""


class Breaker:
    """What is known of one endpoint; safe to use from several threads."""

    def __init__(self) -> None:
        self.reason = ""
        """Why the endpoint is not asked; empty while the breaker is closed."""
        self._heard = self._probed = float("-inf")
        self._waiting, self._probing, self._guard = 0, False, threading.Lock()

    def open(self, reason: str) -> None:
        """Ask the endpoint no more."""
        with self._guard:
            self.reason, self._heard = reason, float("-inf")
            self._probed = time.monotonic()

    def close(self) -> None:
        """The endpoint was heard of."""
        with self._guard:
            self.reason, self._heard = "", time.monotonic()

    def doubt(self) -> None:
        """The endpoint broke off: whoever comes next looks first whether it is there."""
        with self._guard:
            self._heard = float("-inf")

    @property
    def trusted(self) -> bool:
        """Whether a telling may ask without a look first: somebody has just been answered, or waits in good faith."""
        with self._guard:
            return self._waiting > 0 or time.monotonic() - self._heard < FRESH

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """While somebody waits for the first piece: a server that loads a model may answer nobody."""
        with self._guard:
            self._waiting += 1
        try:
            yield
        finally:
            with self._guard:
                self._waiting -= 1

    def probe(self, look: Callable[[], str]) -> None:
        """Look behind the scenes whether the endpoint is there again, unless somebody does or just has.

        Args:
            look: Returns why it isn't, or nothing.
        """
        with self._guard:
            if self._probing or time.monotonic() - self._probed < PAUSE:
                return
            self._probing = True

        def run() -> None:
            reason = "could not be looked at"
            try:
                reason = look()
            finally:
                with self._guard:
                    self._probing = False
                if reason:
                    self.open(reason)
                else:
                    self.close()

        threading.Thread(target=run, name="storylab-probe", daemon=True).start()
