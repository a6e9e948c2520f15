"""The memory of the page with its four bundled storytellers loaded, against their weights and the bare imports.

Resident memory (VmRSS of /proc) of fresh processes, after each storyteller has told one story through the web API. It
is held against that of a process which has imported gradio, torch and transformers and nothing else, and the bytes of
all parameters in fp32, those of the fine-tuned storyteller counted as a model of its own.
"""

import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from benchmarks.decoding import BUNDLED, OPENINGS
from benchmarks.rows import Row, compare
from benchmarks.served import BARE, QUIET, page
from storylab.engines.names import DTYPE_VARIABLE
from storylab.errors import StoryLabError
from storylab.storytellers.catalog import find, state_of

MEGABYTE = 2**20
WAITING = f"{BARE}; print(flush=True); input()"
PEER = "bare imports and fp32 weights"


def rows(options: Namespace) -> Iterator[Row]:
    """Measure both; nothing where the system does not tell a process's memory."""
    if not Path("/proc/self/status").exists():
        return
    weights = 4 * sum(state_of(find(name)).parameters or 0 for name in BUNDLED) / MEGABYTE
    sides = {PEER: lambda: bare() + weights}
    for dtype in ("fp32", "int8"):
        sides[f"python app.py, {dtype}"] = lambda dtype=dtype: told(dtype)
    asked = {"python app.py, int8": 1.3}  # which is the default
    yield from compare("memory with four storytellers loaded", sides, options.turns, "MiB", at_most=asked)


def bare() -> float:
    """MiB of a process that has imported what such a program imports at least."""
    imported = subprocess.Popen(
        [sys.executable, "-c", WAITING], env=os.environ | QUIET, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with imported:
        imported.stdout.readline()
        found = resident(imported.pid)
        imported.stdin.write(b"\n")
    return found


def told(dtype: str) -> float:
    """MiB of the page's process once all four have told."""
    with page({DTYPE_VARIABLE: dtype}) as served:
        served.wait()
        for name in BUNDLED:
            served.tell(OPENINGS[0], name)
        return resident(served.process.pid)


def resident(process: int) -> float:
    """MiB of memory that a process has in use, files that it has mapped among them.

    Raises:
        StoryLabError: It has ended.
    """
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise StoryLabError("the process whose memory is measured has ended")
