"""What every download needs: a wait that can be called off, one at a time, and files checked before they count."""

import hashlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from storylab.errors import StoryLabError

Item = TypeVar("Item")
OnProgress = Callable[[int, int], None]
"""Called with the bytes fetched and the bytes in all; 0 in all where nobody knows."""
TICK = 0.1  # seconds between two looks at whether somebody called the download off
_BLOCK = 2**20  # bytes hashed between two such looks


class Cancelled(StoryLabError):
    """The person called the download off; what it left on the disk is gone."""

    def __init__(self):
        super().__init__("the download was cancelled")


def ignore_progress(done: int, total: int) -> None:
    """An `OnProgress` for those who don't look."""


def read_ahead(source: Callable[[], Iterator[Item]], cancel: threading.Event, patience: float) -> Iterator[Item]:
    """Items of an iterator, read by a thread of its own, so that waiting for one has an end.

    A name look-up or a silent socket can't be interrupted, and a look-up knows no time limit. So the caller
    waits here, and leaves a thread that hangs to itself: it holds nothing but its socket.

    Args:
        source: Opens the iterator; called in the thread.
        cancel: Ends the wait when set.
        patience: Seconds to wait for any one item.

    Raises:
        Cancelled: `cancel` was set.
        TimeoutError: No item came in time.
        Exception: What the source raised.
    """
    items: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(maxsize=16)
    left = threading.Event()

    def put(item: Any, error: BaseException | None = None) -> None:
        while not left.is_set():
            try:
                return items.put((item, error), timeout=TICK)
            except queue.Full:
                continue  # the disk is slower than the network

    def read() -> None:
        try:
            for item in source():
                put(item)
                if left.is_set():
                    return
            put(None, StopIteration())
        except BaseException as error:
            put(None, error)

    threading.Thread(target=read, name="storylab-download", daemon=True).start()
    try:
        while True:
            item, error = _next(items, cancel, time.monotonic() + patience)
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item
    finally:
        left.set()


def _next(items: queue.Queue, cancel: threading.Event, deadline: float) -> tuple[Any, BaseException | None]:
    while not cancel.is_set():
        try:
            return items.get(timeout=TICK)
        except queue.Empty:
            if time.monotonic() > deadline:
                raise TimeoutError("no answer in time") from None
    raise Cancelled


@contextmanager
def alone(lock_file: Path, cancel: threading.Event) -> Iterator[None]:
    """Hold a lock that no other thread or process holds, waiting for it as long as it takes.

    Raises:
        Cancelled: `cancel` was set while waiting.
    """
    from filelock import FileLock, Timeout

    lock_file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(lock_file)
    try:
        lock.acquire(poll_interval=TICK, cancel_check=cancel.is_set)
    except Timeout:
        raise Cancelled from None
    try:
        yield
    finally:
        lock.release()


def digest(path: Path, algorithm: str, cancel: threading.Event, prefix: bytes = b"") -> str:
    """The checksum of a file in hexadecimal.

    Args:
        path: The file.
        algorithm: "sha256" or "sha1".
        cancel: Ends the reading when set.
        prefix: What counts as standing before the file's bytes.

    Raises:
        Cancelled: `cancel` was set.
    """
    checksum = hashlib.new(algorithm, prefix, usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            if cancel.is_set():
                raise Cancelled
            checksum.update(block)
    return checksum.hexdigest()


def megabytes(count: int) -> str:
    """A number of bytes as people say it: "93 MB"."""
    return f"{count / 1e6:,.0f} MB" if count >= 1e6 else f"{count:,} bytes"
