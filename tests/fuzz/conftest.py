"""A page in this process, served to all tests here; every test has as many cases as it promises."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nonsense
import pytest


@pytest.fixture(autouse=True)
def as_many_cases_as_promised(request) -> Iterator[None]:
    name = request.node.originalname if hasattr(request.node, "originalname") else request.node.name
    nonsense.RUN[name] = 0
    yield
    failed = getattr(request.node, "failed_here", False)
    assert failed or nonsense.RUN[name] >= nonsense.DECLARED.get(name, 0)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    item.failed_here = getattr(item, "failed_here", False) or outcome.get_result().failed


@dataclass(repr=False)
class Served:
    """The page as it is served; Hypothesis would write all of it into its reports."""

    url: str
    uploads: Path
    """The folders that it writes into."""
    votes: Path


@pytest.fixture(scope="session")
def app(tmp_path_factory) -> Iterator[Served]:
    """The page, until the last test."""
    folder = tmp_path_factory.mktemp("served")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    places = {"GRADIO_TEMP_DIR": str(folder / "uploads"), "STORYLAB_VOTES": str(folder / "votes" / "votes.sqlite")}
    places |= {"HF_HOME": str(folder / "hub"), "STORYLAB_CACHE": str(folder / "cache")}
    places |= {"GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": str(port)}
    patch = pytest.MonkeyPatch()
    for name, value in places.items():
        patch.setenv(name, value)
    from storylab.ui.page import build, serve

    page = build()
    url = serve(page)
    yield Served(url.rstrip("/"), folder / "uploads", folder / "votes")
    page.close(verbose=False)
    patch.undo()


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
