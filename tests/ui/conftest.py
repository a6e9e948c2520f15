"""A copy of the project whose page is served to all tests, with a damaged storyteller beside the committed ones."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

COMMITTED = ("encoder", "seq2seq", "gpt2-mini", "gpt2-mini-finetuned")
PATIENCE = 120  # seconds; a busy machine is no reason to fail


@dataclass
class Server:
    process: subprocess.Popen
    url: str
    log: Path


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="session")
def site(tmp_path_factory, root) -> Path:
    """The files of the page, the committed checkpoints, and `damaged`: one whose weights are cut short."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(root / "app.py", folder)
    shutil.copytree(root / "storylab", folder / "storylab", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(root / "docs", folder / "docs")
    checkpoints = folder / "checkpoints"
    checkpoints.mkdir()
    for name in COMMITTED:
        (checkpoints / name).symlink_to(root / "checkpoints" / name)
    shutil.copytree(root / "checkpoints" / "seq2seq", checkpoints / "damaged")
    weights = checkpoints / "damaged" / "model.safetensors"
    os.truncate(weights, weights.stat().st_size // 2)
    return folder


@pytest.fixture(scope="session")
def server(site) -> Iterator[Server]:
    """`python app.py` on a port of its own."""
    port, log = _free_port(), site / "app.log"
    address = {"GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": str(port)}
    nothing_fetched = {"HF_HOME": str(site / "hub"), "STORYLAB_CACHE": str(site / "cache")}
    nothing_fetched["STORYLAB_VOTES"] = str(site / "votes.sqlite")
    with open(log, "w") as file:
        process = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=site,
            env=os.environ | address | nothing_fetched,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    found = Server(process, f"http://127.0.0.1:{port}/", log)
    try:
        _wait_until_served(found)
        yield found
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_until_served(server: Server) -> None:
    started = time.monotonic()
    while True:
        try:
            urllib.request.urlopen(server.url, timeout=5).close()
            return
        except OSError:
            late = time.monotonic() - started > PATIENCE
            if late or server.process.poll() is not None:
                pytest.fail(f"the page does not start:\n{server.log.read_text()[-2000:]}")
            time.sleep(0.1)
