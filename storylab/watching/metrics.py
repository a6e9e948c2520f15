"""Metrics for Prometheus, served on a port of their own."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)

from storylab.errors import StoryLabError
from storylab.storytellers.observers import Account, running

SECONDS_TO_FIRST = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
RATES = (5, 10, 20, 40, 80, 160, 320, 640, 1280)
"""Bounds of the histograms' buckets: seconds to the first token, seconds of a telling, tokens per second."""
MOST_NAMES = 100
"""Storytellers that are counted by name; each name costs some fifty time series."""
OTHERS = "others"
"""What storytellers are counted as that come after those, and failures that belong to none."""


class Metrics:
    """Counts what becomes of tellings.

    Args:
        version: StoryLab's.
        waiting: How many requests wait in line at this moment.
    """

    def __init__(self, version: str, waiting: Callable[[], int] = lambda: 0):
        disable_created_metrics()  # a time series more for each, which nobody reads
        self.registry = registry = CollectorRegistry()
        self._names: set[str] = set()
        by = ("storyteller",)
        self._tellings = Counter(
            "storylab_tellings", "Stories told, and what ended them", (*by, "ended_by"), registry=registry
        )
        self._tokens = Counter("storylab_tokens", "Tokens told", by, registry=registry)
        self._first = Histogram(
            "storylab_seconds_to_first_token",
            "From the call to the first token",
            by,
            buckets=SECONDS_TO_FIRST,
            registry=registry,
        )
        self._seconds = Histogram(
            "storylab_telling_seconds", "From the call to the end", by, buckets=SECONDS, registry=registry
        )
        self._rate = Histogram(
            "storylab_tokens_per_second", "Tokens over seconds of a telling", by, buckets=RATES, registry=registry
        )
        self._errors = Counter("storylab_errors", "Failures, by the error's class", (*by, "error"), registry=registry)
        Gauge("storylab_running", "Stories being told", registry=registry).set_function(running)
        Gauge("storylab_waiting", "Requests that wait in line", registry=registry).set_function(waiting)
        Info("storylab", "What is served", registry=registry).info({"version": version})
        ProcessCollector(registry=registry)  # memory, processor time, open files: process_*

    def observe(self, account: Account) -> None:
        """Count what became of a telling."""
        name = self._named(account.storyteller)
        self._tellings.labels(name, account.ended_by).inc()
        if account.tokens:
            self._tokens.labels(name).inc(account.tokens)
        if account.seconds_to_first_token is not None:
            self._first.labels(name).observe(account.seconds_to_first_token)
        if account.telling is not None:
            self._seconds.labels(name).observe(account.seconds)
            self._rate.labels(name).observe(account.telling.tokens_per_second)
        if account.ended_by == "failed":
            self._errors.labels(name, type(account.error).__name__).inc()

    def failed(self, error: BaseException) -> None:
        """Count an error that ended no telling."""
        self._errors.labels(OTHERS, type(error).__name__).inc()

    def serve(self, port: int, host: str) -> int:
        """Answer `GET /metrics` in threads of its own until the process ends.

        Args:
            port: Where; 0 for one that is free.
            host: From which of the machine's addresses; 0.0.0.0 for all of them.

        Returns:
            The port.

        Raises:
            StoryLabError: It can't be served there.
        """
        try:
            server, _ = start_http_server(port, host, self.registry)
        except (OSError, OverflowError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise StoryLabError(f"metrics can't be served at {host}:{port}: {reason}") from None
        return server.server_port

    def _named(self, storyteller: str) -> str:
        if storyteller in self._names or len(self._names) < MOST_NAMES:
            self._names.add(storyteller)
            return storyteller
        return OTHERS
