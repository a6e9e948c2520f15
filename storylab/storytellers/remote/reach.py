"""Whether anybody answers at an endpoint: told within a second, whatever its name, its net and its server do."""

import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING

from storylab.storytellers.remote.breaker import Breaker
from storylab.storytellers.remote.endpoint import Endpoint
from storylab.storytellers.remote.failure import Failure
from storylab.storytellers.sources.fetching import read_ahead

if TYPE_CHECKING:
    from storylab.storytellers.remote.client import Client

REACH = 1.0
"""Seconds after which an endpoint that has not answered counts as dead."""
BACK_OFF = (0.1, 0.2, 0.4)
"""Seconds before a connection that was refused is tried again, within that time."""


@cache
def breaker_of(url: str) -> Breaker:
    """What is known of the endpoint at an address, by all storytellers there."""
    return Breaker()


def look(endpoint: Endpoint, stop: threading.Event | None = None) -> str:
    """Look whether an endpoint answers at all, whatever it says.

    Args:
        endpoint: Which one.
        stop: Ends the look when set.

    Returns:
        Why it counts as dead; empty where it lives.

    Raises:
        Cancelled: `stop` was set.
        StoryLabError: Its key is not in the environment.
    """
    from storylab.storytellers.remote.client import Client  # the network's libraries take longer than an answer

    endpoint.secret()
    try:
        # In a thread of its own: a look-up of a name knows no time limit.
        *_, reason = read_ahead(lambda: _tries(lambda: Client(endpoint)), stop or threading.Event(), REACH)
    except TimeoutError:
        reason = f"did not answer within {REACH:g} second"
    return reason


def probe(endpoint: Endpoint) -> None:
    """Look, and note what was found."""
    if reason := look(endpoint):
        breaker_of(endpoint.url).open(reason)
    else:
        breaker_of(endpoint.url).close()


def _tries(client_of: "Callable[[], Client]") -> Iterator[str]:
    until = time.monotonic() + REACH
    for pause in (*BACK_OFF, None):
        try:
            with client_of() as client:
                client.alive()
            yield ""
            return
        except Failure as error:
            if not error.again or pause is None or time.monotonic() + pause > until:
                yield str(error)
                return
        time.sleep(pause)
