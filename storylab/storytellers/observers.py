"""What becomes of tellings, told to whoever wants to know: logs, metrics. Nothing here is called for a token."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from storylab.errors import StoryLabError

if TYPE_CHECKING:
    from storylab.storytellers.telling import Telling
    from storylab.storytellers.text_under_way import TextUnderWay

Outcome = Literal["end", "sentences", "tokens", "stopped", "left", "refused", "failed"]
"""What a telling says ended it; `left` where whoever listened went away, `refused` where a person can mend it (an
opening that is too long, a storyteller that is not there), `failed` where something broke."""


@dataclass(frozen=True, slots=True)
class Account:
    """What became of one telling."""

    storyteller: str
    ended_by: Outcome
    seed: int | None = None
    """None where it came to none."""
    tokens: int = 0
    seconds: float = 0.0
    """From the call to the end."""
    seconds_to_first_token: float | None = None
    """None where there was no token."""
    engine: str = ""
    """What computed it: "torch", "onnx", "endpoint"; empty where nothing did."""
    dtype: str = ""
    """In what: "fp32", "bf16", "int8"; empty where nothing did."""
    telling: Telling | None = None
    """The telling itself; None for one that was left, refused or failed."""
    error: Exception | None = None
    """Why it was refused or failed."""


Observer = Callable[[Account], None]
"""Called once a telling, in the thread that told; it must be quick and raise nothing."""

_observers: tuple[Observer, ...] = ()
_unobserved: ContextVar[bool] = ContextVar("unobserved", default=False)
_guard = threading.Lock()
_running = 0


def observe(observer: Observer) -> Callable[[], None]:
    """Let somebody know of every telling of this process from now on; returns what ends that."""
    global _observers
    with _guard:
        _observers += (observer,)

    def end() -> None:
        global _observers
        with _guard:
            _observers = tuple(one for one in _observers if one is not observer)

    return end


def running() -> int:
    """How many stories are being told at this moment."""
    return _running


def report(account: Account) -> None:
    """Tell all observers; an error that one of them has heard of is marked, so that nobody tells of it again."""
    if _unobserved.get() or not _observers:
        return
    for observer in _observers:
        observer(account)
    if account.error is not None:
        account.error.__dict__["observed"] = True


def observed(error: Exception) -> bool:
    """Whether observers have heard of an error with the telling that it ended."""
    return error.__dict__.get("observed", False)


@contextmanager
def unobserved() -> Iterator[None]:
    """What this thread tells inside is of no interest to anybody."""
    token = _unobserved.set(True)
    try:
        yield
    finally:
        _unobserved.reset(token)


@contextmanager
def told_now(stories: int = 1) -> Iterator[None]:
    """So many stories are being told inside."""
    global _running
    with _guard:
        _running += stories
    try:
        yield
    finally:
        with _guard:
            _running -= stories


class Watch:
    """`with` it a story is told; a telling that ends in any other way than by its telling is reported behind it.

    Args:
        storyteller: Its name.
        computed: Gives the engine and the dtype.
    """

    def __init__(self, storyteller: str, computed: Callable[[], tuple[str, str]] = lambda: ("", "")):
        self.under_way: TextUnderWay | None = None
        """The telling, once it has begun."""
        self._storyteller, self._computed = storyteller, computed
        self._started, self._now = time.perf_counter(), told_now()

    def __enter__(self) -> Watch:
        self._now.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        self._now.__exit__(None, None, None)
        told = self.under_way
        if (told and told.reported) or not isinstance(error, (GeneratorExit, Exception)):
            return
        engine, dtype = self._computed() if told else ("", "")
        report(
            Account(
                self._storyteller,
                outcome_of(error),
                seed=told.seed if told else None,
                tokens=told.tokens if told else 0,
                seconds=round(time.perf_counter() - self._started, 4),
                seconds_to_first_token=told.seconds_to_first_token if told else None,
                engine=engine,
                dtype=dtype,
                error=error if isinstance(error, Exception) else None,
            )
        )


def outcome_of(error: BaseException) -> Outcome:
    """What an error makes of a telling."""
    if isinstance(error, GeneratorExit):
        return "left"
    return "refused" if isinstance(error, StoryLabError) else "failed"
