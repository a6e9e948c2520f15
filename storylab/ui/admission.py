"""Who may have something told, and when: the line and the allowance that the page and the web API share."""

from __future__ import annotations

import ipaddress
import itertools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Protocol

import gradio as gr
from gradio.context import LocalContext
from gradio.utils import get_space

from storylab.errors import StoryLabError
from storylab.heap import trim
from storylab.limits import Limits, limits
from storylab.ui.allowance import Allowance
from storylab.ui.texts import Say
from storylab.ui.turns import Place, Turns

MCP = "mcp"
"""All who come by MCP are one visitor: gradio calls its own page for them, so that no other address is known."""


SPACE_PROXIES = "127.0.0.1,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16"
"""Where the proxies of a Space stand: the machine itself and private networks."""


TRIM = 25
"""Turns after which freed memory is given back. Each thread's tellings leave theirs in another of glibc's arenas, and
visitors come in many threads: without it a page grew by 150 MiB in 2,000 tellings."""


class Refused(StoryLabError):
    """Nothing is told to a visitor now.

    Args:
        key: The text that says why, in every language of the page.
        values: What is filled in.
    """

    def __init__(self, key: str, **values: object):
        super().__init__(Say()(key, **values))
        self.key, self.values = key, values

    def said(self, say: Say) -> str:
        """The message in a language."""
        return say(self.key, **self.values)


class Admission:
    """Lets visitors in, one after another.

    Args:
        limits: How many at once, how many waiting, how many tellings a minute.
    """

    def __init__(self, limits: Limits):
        self.limits = limits
        self.turns, self.allowance = Turns(limits.at_once, limits.queue), Allowance(limits.tellings_a_minute)
        self.threads = ThreadPoolExecutor(limits.at_once, "telling")
        """Where calls are answered, one for each turn: a thread in which a model has told keeps its stack and buffers,
        and callers wait in hundreds of them."""
        self._turns_had = itertools.count(1)

    def count(self, request: gr.Request, visitor: str, tellings: int) -> None:
        """Take tellings off a visitor's allowance.

        Args:
            request: What they have sent.
            visitor: Who they are.
            tellings: How many they ask for.

        Raises:
            Refused: They have had too many in this minute.
        """
        if not self.limits.own_machine_counts and on_this_machine(request):
            return
        if seconds := self.allowance.take(visitor, tellings):
            raise Refused("problem_often", most=self.limits.tellings_a_minute, seconds=seconds)

    @contextmanager
    def admit(self, request: gr.Request, visitor: str, tellings: int) -> Iterator[Place]:
        """A place for a visitor, who has left it behind the block. What ends in a `StoryLabError` is not counted.

        Args:
            request: What they have sent.
            visitor: Who they are.
            tellings: How many they ask for.

        Raises:
            Refused: They have had too many in this minute, or the line is full.
        """
        self.count(request, visitor, tellings)
        try:
            place = self.turns.ask(visitor, tellings)
            if place is None:
                raise full()
            try:
                yield place
            finally:
                place.leave()
                if next(self._turns_had) % TRIM == 0:
                    trim()
        except StoryLabError:
            self.allowance.give_back(visitor, tellings)
            raise


class Wish(Protocol):
    """What somebody waits for: a run, or a ticket."""

    stop: threading.Event
    """Set once it isn't wanted any more."""


def waiting(place: Place, wishes: Sequence[Wish] = ()) -> Iterator[int]:
    """Wait for a visitor's turn: their number in the line, from time to time.

    It ends without a turn once all wishes are stopped, as they are when the visitor has left: nothing is to be done
    for them.

    Raises:
        Refused: The place was given to somebody who had fewer.
    """
    left = gone()
    yield from place.waiting(lambda: left() or (wishes and all(wish.stop.is_set() for wish in wishes)))
    if place.lost:
        raise full()
    if left():
        for wish in wishes:
            wish.stop.set()


def full() -> Refused:
    """The refusal of somebody for whom there is no place in the line."""
    return Refused("problem_full")


@cache
def admission() -> Admission:
    """That of this process.

    Raises:
        StoryLabError: The environment sets limits that are nonsense.
    """
    return Admission(limits())


def caller_of(request: gr.Request | None) -> str:
    """Who calls an endpoint: an address.

    Behind a proxy uvicorn takes the address from `X-Forwarded-For`, where it was told to trust the proxy
    (`FORWARDED_ALLOW_IPS`).
    """
    if request is not None and request.headers.get("x-gradio-user") == MCP:
        return MCP
    return _address(request) or "unknown"


def on_this_machine(request: gr.Request | None) -> bool:
    """Whether a request comes from the machine itself, no proxy in between."""
    address = _address(request)
    if not address or caller_of(request) == MCP or "x-forwarded-for" in request.headers:
        return False
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:  # a proxy may write anything
        return False


def trust_space() -> None:
    """On a Space, believe the platform's proxies whose a call is: nobody else can reach the page there."""
    if get_space() is not None:
        os.environ.setdefault("FORWARDED_ALLOW_IPS", SPACE_PROXIES)


def gone() -> Callable[[], bool]:
    """Whether nobody waits any more for what the listener that calls this is about to answer."""
    page, event = LocalContext.blocks.get(None), LocalContext.event_id.get(None)
    waits = page._queue.event_ids_to_events.get(event) if page is not None and event else None
    return lambda: waits is not None and not waits.alive


def _address(request: gr.Request | None) -> str:
    client = getattr(getattr(request, "request", None), "client", None)
    return client.host if client else ""
