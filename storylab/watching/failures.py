"""Errors that nobody foresaw: each is told once, in a line of the log, or as a traceback where there is no log."""

from __future__ import annotations

import traceback
from collections.abc import Callable

from storylab.storytellers.observers import observed

Listener = Callable[[BaseException], None]
_listeners: list[tuple[Listener, bool]] = []


def hear(listener: Listener, told: bool = False) -> Callable[[], None]:
    """Let somebody know of errors from now on; returns what ends that.

    Args:
        listener: Called with an error that no observer of tellings has heard of.
        told: Whether it tells people of it, so that no traceback need.
    """
    entry = (listener, told)
    _listeners.append(entry)
    return lambda: _listeners.remove(entry)


def note(error: Exception) -> None:
    """Take down an error that ended what a visitor asked for; the visitor is told no more than that."""
    listeners = list(_listeners)
    if not observed(error):
        for listener, _ in listeners:
            listener(error)
    if not any(told for _, told in listeners):
        traceback.print_exception(error)
