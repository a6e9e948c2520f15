"""Beginning to watch, as the environment asks for it."""

from __future__ import annotations

import sys
from collections.abc import Callable

from storylab.errors import StoryLabError
from storylab.storytellers.observers import observe
from storylab.watching import failures
from storylab.watching.log import Log
from storylab.watching.settings import read_settings


def begin(version: str, page: bool = False, waiting: Callable[[], int] = lambda: 0) -> Callable[[], None]:
    """Log and count tellings from now on, where the environment asks for it.

    Args:
        version: StoryLab's.
        page: Whether a page is served; see `read_settings`.
        waiting: How many requests wait in line at a moment.

    Returns:
        What ends it; metrics are served on.

    Raises:
        StoryLabError: A setting means nothing, or metrics can't be served where they should be.
    """
    asked, ends = read_settings(page), []
    if asked.port is not None:
        try:
            from storylab.watching.metrics import Metrics  # who serves no metrics needs no client for them
        except ImportError:
            raise StoryLabError("metrics need the package prometheus_client, which is not installed") from None
        metrics = Metrics(version, waiting)
        port = metrics.serve(asked.port, asked.host)
        print(f"storylab: metrics are at http://{asked.host}:{port}/metrics", file=sys.stderr, flush=True)
        ends += [observe(metrics.observe), failures.hear(metrics.failed)]
    if asked.log:
        log = Log(asked.texts)
        ends += [observe(log.observe), failures.hear(log.failed, told=True), log.close]

    def end() -> None:
        for one in ends:
            one()

    return end
