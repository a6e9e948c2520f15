"""What is watched, as the environment asks for it."""

import os
import sys
from dataclasses import dataclass

from storylab.errors import StoryLabError

LOG, METRICS_PORT, METRICS_HOST = "STORYLAB_LOG", "STORYLAB_METRICS_PORT", "STORYLAB_METRICS_HOST"
OFF, ON, TEXTS, AUTO = "off", "on", "texts", "auto"
LOGS = (AUTO, OFF, ON, TEXTS)
"""Of `STORYLAB_LOG`: `auto` is `on` for a page whose stderr is no terminal, and else `off`."""


@dataclass(frozen=True)
class Watched:
    """What is watched."""

    log: bool = False
    """Whether there is a line a telling on stderr."""
    texts: bool = False
    """Whether it has the texts too."""
    port: int | None = None
    """Where metrics are served; None: nowhere."""
    host: str = "127.0.0.1"
    """From which of the machine's addresses."""


def read_settings(page: bool) -> Watched:
    """What the environment asks for.

    Args:
        page: Whether a page is served. A command logs only where it is told to, for scripts read its stderr, and it
            serves no metrics: the page has their port.

    Raises:
        StoryLabError: A variable has a value that means nothing.
    """
    log = os.environ.get(LOG) or AUTO
    if log not in LOGS:
        raise StoryLabError(f"{LOG} must be one of {', '.join(LOGS)}, not {log[:60]!r}")
    if log == AUTO:
        log = ON if page and not at_a_terminal() else OFF
    port = _port(os.environ.get(METRICS_PORT, "")) if page else None
    return Watched(log != OFF, log == TEXTS, port, os.environ.get(METRICS_HOST) or Watched.host)


def at_a_terminal() -> bool:
    """Whether somebody looks on: stderr is a terminal."""
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # there is none, or it is closed
        return False


def _port(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 65535 and len(text) <= 5):
        raise StoryLabError(f"{METRICS_PORT} must be a whole number from 1 to 65535, not {text[:60]!r}")
    return int(text)
