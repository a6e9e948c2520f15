"""A copy of the project whose page is served to all tests, with a damaged storyteller beside the committed ones."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from tests.ui.profiles import Profile

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

COMMITTED = ("encoder", "seq2seq", "gpt2-mini", "gpt2-mini-finetuned")
HOSTILE = '<story-hit></story-hit><img src=x onerror="window.storylabHit=9"> **bolded**'
"""What the damaged checkpoint says of itself, where its makers may say what they like."""
WATCH = Path(__file__).parent.parent / "watch"
PATIENCE = 120  # seconds; a busy machine is no reason to fail
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]


@dataclass
class Server:
    process: subprocess.Popen
    url: str
    log: Path
    notes: Path
    """A line for each call that left the machine, or would have."""

    def left(self) -> str:
        return self.notes.read_text() if self.notes.exists() else ""


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
    shutil.copytree(root / "train", folder / "train", ignore=shutil.ignore_patterns("__pycache__"))
    checkpoints = folder / "checkpoints"
    checkpoints.mkdir()
    for name in COMMITTED:
        (checkpoints / name).symlink_to(root / "checkpoints" / name)
    shutil.copytree(root / "checkpoints" / "seq2seq", checkpoints / "damaged")
    weights = checkpoints / "damaged" / "model.safetensors"
    os.truncate(weights, weights.stat().st_size // 2)
    recipe, log = checkpoints / "damaged" / "recipe.toml", checkpoints / "damaged" / "log.jsonl"
    told = re.sub("^(title|note) = .*$", rf"\1 = '{HOSTILE}'", recipe.read_text(), flags=re.MULTILINE)
    recipe.write_text(told)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    told = [line | {"sample": HOSTILE} if "sample" in line else line for line in lines]
    log.write_text("".join(json.dumps(line) + "\n" for line in told))
    return folder


@pytest.fixture(scope="session")
def server(site) -> Iterator[Server]:
    """`python app.py` on a port of its own; whatever the tests did there, no call may have left the machine."""
    with _serve(site) as found:
        yield found
    assert found.left() == ""


@pytest.fixture
def restarted(site) -> Iterator[Server]:
    """Another process that serves the same page."""
    with _serve(site) as found:
        yield found


@contextmanager
def _serve(site: Path) -> Iterator[Server]:
    port = _free_port()
    log = site / f"app-{port}.log"
    address = {"GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": str(port)}
    nothing_fetched = {"HF_HOME": str(site / "hub"), "STORYLAB_CACHE": str(site / "cache")}
    nothing_fetched["STORYLAB_VOTES"] = str(site / "votes.sqlite")
    notes = site / f"left-{port}.txt"
    watch = {"PYTHONPATH": str(WATCH), "WATCH_NOTES": str(notes)}
    with open(log, "w") as file:
        process = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=site,
            env=os.environ | address | nothing_fetched | watch,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    found = Server(process, f"http://127.0.0.1:{port}/", log, notes)
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


@pytest.fixture(scope="session")
def browser(chromium) -> "Iterator[Browser]":
    """A headless Chromium."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    api.expect.set_options(timeout=500 * PATIENCE)
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS, timeout=1000 * PATIENCE)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def profiles() -> dict[str, list[Profile]]:
    """Profiles that no test is using, by their language."""
    return {}


@pytest.fixture
def open_page(browser, server, profiles) -> "Iterator[Callable[..., Page]]":
    """A function that opens the page in a profile of its own.

    Whatever the page logs as an error or asks of another host fails the test.
    """
    taken = []

    def open_page(width: int = 1280, scheme: str = "light", locale: str = "en-US", **query: str) -> "Page":
        free = profiles.setdefault(locale, [])
        profile = free.pop() if free else Profile(browser, locale, 500 * PATIENCE)
        taken.append((free, profile))
        page = profile.hand_out(width, scheme)
        page.goto(f"{server.url}?{urlencode(query)}")
        page.locator(f"#{query.get('tab', 'compare')}-run").wait_for()
        page.wait_for_function("window.storylabArrived")  # or what a test fills in is what the link's answer replaces
        if "opening" in query and "tab" not in query:
            api = pytest.importorskip("playwright.sync_api")
            api.expect(page.locator("#opening textarea")).to_have_value(query["opening"])
        return page

    yield open_page
    complaints = [complaint for _, profile in taken for complaint in profile.complaints]
    for free, profile in taken:
        profile.take_back(f"{server.url}theme.css")
        free.append(profile)
    assert not complaints
