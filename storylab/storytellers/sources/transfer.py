"""One file over HTTP: what is missing of it, over as many connections as it takes."""

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx2
from huggingface_hub.utils import get_session

from storylab.errors import StoryLabError
from storylab.storytellers.sources.fetching import Cancelled, megabytes, read_ahead

ATTEMPTS = 4  # connections in a row that bring nothing new
STALL = 10.0  # seconds without a byte after which a connection counts as broken
_CONNECT = 3.0  # seconds to wait for one


class Refused(StoryLabError):
    """The server won't give the file, or gives another one; what came of it is of no use."""


def refusal(status: int) -> str:
    """What an answer of the Hub other than success means."""
    if status in {401, 403}:
        return "is private, or its terms have to be accepted on the Hub first; HF_TOKEN says who asks"
    return "is not on the Hub" if status in {404, 410} else f"can't be had: the Hub answered {status}"


def bring(
    url: str,
    headers: Mapping[str, str],
    target: Path,
    size: int,
    on_position: Callable[[int], None],
    cancel: threading.Event,
) -> None:
    """Complete a file to its size, from where it is cut.

    huggingface_hub's own download would begin a large file anew each time, and see a wish to stop only once in
    ten megabytes.

    Args:
        url: Where the file is; redirects are followed.
        headers: What is sent along, to the first server only where it is a secret.
        target: The file, with what earlier attempts brought.
        size: Its bytes once it is whole.
        on_position: Called with the bytes that are here.
        cancel: Ends the download when set.

    Raises:
        Cancelled: `cancel` was set.
        Refused: The server won't give it, or gives more than it.
        StoryLabError: The connection broke too often; what came so far stays in `target`.
        OSError: The disk is full or broken.
    """
    with open(target, "ab") as file:
        have = farthest = file.tell()
        failures = 0
        while have != size:
            if have > size:  # bytes that can't be this file's
                file.truncate(0)
                have = 0
            try:
                for start, chunk in read_ahead(lambda at=have: _stream(url, headers, at), cancel, STALL):
                    if start != have:  # the server knows no ranges
                        file.truncate(start)
                    file.write(chunk)
                    have = start + len(chunk)
                    on_position(have)
                    if have > size:
                        raise Refused(f"is longer than the {size:,} bytes that the Hub states")
                cause = "the connection was closed early"
            except (httpx2.RequestError, httpx2.InvalidURL, TimeoutError) as error:
                cause = str(error) or type(error).__name__
            file.flush()
            failures = 0 if have > farthest else failures + 1
            farthest = max(farthest, have)
            if failures == ATTEMPTS:
                told = f"broke off after {megabytes(have)} of {megabytes(size)} ({cause})"
                raise StoryLabError(f"{told}; another download goes on from there")
            if failures and cancel.wait(2.0 ** (failures - 2)):
                raise Cancelled


def _stream(url: str, headers: Mapping[str, str], at: int) -> Iterator[tuple[int, bytes]]:
    """The bytes from a place on, each piece with its place in the file."""
    asked = {**headers, "Accept-Encoding": "identity"}  # sizes and places are those of the file itself
    if at:
        asked["Range"] = f"bytes={at}-"
    limits = httpx2.Timeout(STALL, connect=_CONNECT)
    with get_session().stream("GET", url, headers=asked, timeout=limits, follow_redirects=True) as response:
        if response.status_code in {408, 429} or response.status_code >= 500:
            raise httpx2.RemoteProtocolError(f"the Hub answered {response.status_code}")  # it may pass
        if response.status_code not in {200, 206}:
            raise Refused(refusal(response.status_code))
        place = at if response.status_code == 206 else 0
        for chunk in response.iter_raw():
            yield place, chunk
            place += len(chunk)
