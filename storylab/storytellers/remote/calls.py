"""A text from an endpoint: looked for first where it was long silent, asked again where that may help."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

from storylab.storytellers.remote.chunks import Chunk
from storylab.storytellers.remote.endpoint import Endpoint
from storylab.storytellers.remote.failure import Failure
from storylab.storytellers.remote.reach import breaker_of, look
from storylab.storytellers.sources.fetching import Cancelled, read_ahead

PAUSES = (0.15, 0.3, 0.5)
"""Seconds before it is asked again, up to as much less as chance wants, so that many don't come back at once."""
MAX_PAUSE = 10.0
"""Seconds that an endpoint may want to be left alone before it is given up."""


def ask(endpoint: Endpoint, prompt: str, fields: dict[str, Any], stop: threading.Event) -> Iterator[Chunk]:
    """Have a text told, chunk by chunk; closing the iterator ends it there too.

    Until the first chunk has come a failed connection, a 429 and a 5xx are tried again, afterwards nothing is: another
    answer would be another text.

    Args:
        endpoint: Who is asked.
        prompt: The opening.
        fields: Settings, as `servers.fields_for` gives them.
        stop: Ends it when set.

    Yields:
        Chunks, the last of them with what ended the text.

    Raises:
        Cancelled: `stop` was set.
        Failure: The endpoint is not there or doesn't do it.
        StoryLabError: Its key is not in the environment.
    """
    breaker = breaker_of(endpoint.url)
    endpoint.secret()
    if breaker.reason:
        breaker.probe(lambda: look(endpoint))
        raise Failure(f"{breaker.reason}; it is being looked for, so ask again in a moment")
    if not breaker.trusted and (reason := look(endpoint, stop)):
        breaker.open(reason)
        raise Failure(reason, dead=True)
    left = threading.Event()
    try:
        with breaker.waiting():
            first, others = _first(endpoint, lambda: _chunks(endpoint, prompt, fields, left), stop)
        breaker.close()
        with closing(others):
            yield first
            if first.ended_by is None:
                yield from _to_the_end(others)
        breaker.close()
    except Failure as error:
        if error.dead:
            breaker.open(str(error))
        elif error.broken:
            breaker.doubt()
        raise
    finally:
        left.set()


def _first(
    endpoint: Endpoint, chunks_of: Callable[[], Iterator[Chunk]], stop: threading.Event
) -> tuple[Chunk, Iterator[Chunk]]:
    """The first chunk and those after it."""
    for pause in (*PAUSES, None):
        if stop.is_set():
            raise Cancelled
        chunks = read_ahead(chunks_of, stop, endpoint.patience)
        try:
            return next(chunks), chunks
        except StopIteration:
            raise Failure("sends nothing") from None
        except TimeoutError:
            failure = Failure(f"sent nothing within {endpoint.patience:g} seconds", dead=True)
        except Failure as error:
            failure = error
        wait = failure.after if failure.after is not None else (pause or 0) * random.uniform(0.5, 1)
        if not failure.again or pause is None or wait > MAX_PAUSE:
            raise failure
        stop.wait(wait)


def _to_the_end(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """The chunks after the first; an answer that was broken off may mean that nobody is there any more."""
    try:
        for chunk in chunks:
            yield chunk
            if chunk.ended_by is not None:
                return
    except TimeoutError:
        raise Failure("fell silent in the middle of the story", broken=True) from None
    except Failure as error:
        if not error.dead:
            raise
    raise Failure("broke off in the middle of the story", broken=True)


def _chunks(endpoint: Endpoint, prompt: str, fields: dict[str, Any], left: threading.Event) -> Iterator[Chunk]:
    """What an endpoint sends, without the messages that say nothing."""
    from storylab.storytellers.remote.client import Client  # imports the network's libraries

    with Client(endpoint, left) as client:
        for chunk in client.ask(prompt, fields):
            if chunk.tokens or chunk.ended_by:
                yield chunk
