"""Run Python in a process of its own that ends when the download is called off."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Event

from storylab.storytellers.sources.fetching import TICK, Cancelled


def run_child(
    arguments: Sequence[str],
    folder: Path,
    cancel: Event,
    environment: Mapping[str, str],
    on_tick: Callable[[], None] = lambda: None,
) -> tuple[int, list[str]]:
    """Run this Python with some arguments, and kill it when the wait ends in any other way than by its end.

    Args:
        arguments: What follows `python` on the command line.
        folder: Where it runs; it holds its standard error afterwards.
        cancel: Kills it when set.
        environment: What is different in its environment.
        on_tick: Called ten times a second meanwhile; what it raises ends the child too.

    Returns:
        Its exit status, negative where a signal ended it, and the lines of its standard error that say something.

    Raises:
        Cancelled: `cancel` was set.
    """
    errors = folder / "stderr"
    with open(errors, "wb") as output:  # no pipe: nobody reads while it runs
        child = subprocess.Popen(
            [sys.executable, "-P", *arguments],  # -P: a torch.py in the folder is not torch
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=output,
        )
    try:
        while True:
            try:
                status = child.wait(TICK)
                break
            except subprocess.TimeoutExpired:
                if cancel.is_set():
                    raise Cancelled from None
                on_tick()
    finally:
        child.kill()  # nothing happens to one that has ended
        child.wait()
    lines = errors.read_text(encoding="utf-8", errors="replace").splitlines()
    return status, [line.strip() for line in lines if line.strip()]
