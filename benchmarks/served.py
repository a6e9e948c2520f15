"""The page in a process of its own, as `python app.py` starts it, for whoever measures it from outside."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from storylab.errors import StoryLabError

ROOT = Path(__file__).resolve().parents[1]
QUIET = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
"""Nothing is asked over the network, by the page or by what it is held against."""
BARE = "import gradio, torch, transformers"
"""What a program of this kind imports at least."""
PATIENCE = 300  # seconds
LOOK = 0.02
"""Seconds between two tries to reach a page that is not there yet."""


@dataclass(frozen=True)
class Page:
    """A page that is being started, or is there."""

    process: subprocess.Popen
    url: str
    started: float
    """When its process was started, by `time.perf_counter`."""

    def wait(self) -> float:
        """Wait for the page's HTML; returns the seconds since its process was started.

        Raises:
            StoryLabError: The page does not come.
        """
        while time.perf_counter() - self.started < PATIENCE and self.process.poll() is None:
            with suppress(OSError), urllib.request.urlopen(self.url, timeout=PATIENCE) as answer:
                answer.read()
                return time.perf_counter() - self.started
            time.sleep(LOOK)
        raise StoryLabError("the page does not start: python app.py says why")

    def tell(self, opening: str, model: str, seed: int = 0) -> float:
        """Have a story told through the web API; returns the seconds from the process's start to the answer.

        Raises:
            StoryLabError: The answer is no story.
        """
        body = json.dumps({"data": [opening, model, seed, {}]}).encode()
        call = f"{self.url}gradio_api/call/tell"
        asked = urllib.request.Request(call, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
            event = json.load(answer)["event_id"]
        with urllib.request.urlopen(f"{call}/{event}", timeout=PATIENCE) as answer:
            told = answer.read().decode()
        if "event: complete" not in told:
            raise StoryLabError(f"{model} tells nothing: {told[:200]}")
        return time.perf_counter() - self.started


@contextmanager
def page(environment: Mapping[str, str] | None = None, downloads: bool = False) -> Iterator[Page]:
    """Start the page on a free port; its process ends with the block.

    Args:
        environment: Variables to set for its process.
        downloads: Whether it sees the storytellers that were downloaded, else only those that come with the project.
    """
    with tempfile.TemporaryDirectory() as scratch, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        listener.close()
        variables = os.environ | QUIET | {"GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": str(port)}
        variables["STORYLAB_VOTES"] = f"{scratch}/votes.sqlite"
        if not downloads:
            variables |= {"STORYLAB_CACHE": scratch, "HF_HOME": scratch}
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=ROOT,
            env=variables | dict(environment or {}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield Page(process, f"http://127.0.0.1:{port}/", started)
        finally:
            process.kill()
            process.wait()
