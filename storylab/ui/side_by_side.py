"""Several iterators at once, each in a thread of its own: whoever reads gets the newest of what they all give."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping
from typing import TypeVar

Value = TypeVar("Value")
_END = object()


class SideBySide:
    """Iterators that begin at once.

    Nobody who reads them holds them up, and nothing but what they heed themselves ends them early.

    Args:
        iterators: By name. They let no exception out.
    """

    def __init__(self, iterators: Mapping[str, Iterator[Value]]):
        self._given: queue.SimpleQueue = queue.SimpleQueue()
        self._going_on = len(iterators)
        for name, iterator in iterators.items():
            threading.Thread(target=self._run, args=(name, iterator), name=f"side by side: {name}", daemon=True).start()

    def _run(self, name: str, iterator: Iterator[Value]) -> None:
        try:
            for value in iterator:
                self._given.put((name, value))
        finally:
            self._given.put((name, _END))

    def newest(self, seconds: float | None = None) -> dict[str, Value] | None:
        """The newest value of each iterator that has given one since the last call, once there is any.

        Args:
            seconds: How long to wait for one at most; None as long as it takes.

        Returns:
            Values by name, none of them where the time has passed or an iterator has just ended; None once all have
            ended and every value was returned.
        """
        if not self._going_on:
            return None
        given = []
        try:
            given.append(self._given.get(timeout=seconds))
            while True:
                given.append(self._given.get_nowait())
        except queue.Empty:
            pass
        self._going_on -= sum(value is _END for _, value in given)
        return {name: value for name, value in given if value is not _END}
