"""One training at a time in a process: accelerate notes device and precision for the whole of it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PAUSE = 0.02
"""Seconds after which one who waits asks again whether to stop."""
_TURN = threading.Lock()


class Stopped(Exception):
    """A training was to end before its turn had come."""


@contextmanager
def turn(should_stop: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Wait until no other training runs here, and keep others waiting meanwhile.

    `prepare_accelerator` belongs inside: it resets what another training would still lean on.

    Args:
        should_stop: Asked before it begins, and while it waits.

    Raises:
        Stopped: It should.
    """
    while True:
        if should_stop():
            raise Stopped
        if _TURN.acquire(timeout=PAUSE):
            break
    try:
        yield
    finally:
        _TURN.release()
