"""An endpoint to be asked, and a catalogue of the user's own that names it."""

import threading
from collections.abc import Callable, Iterator

import pytest
from fake_endpoint import STORY, Answers, Fake, Server, told

from storylab.storytellers import catalog, registry
from storylab.storytellers.remote import reach
from storylab.storytellers.remote.endpoint import Endpoint
from storylab.storytellers.remote.teller import RemoteStoryteller


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    """Nobody has been asked yet; a busy machine gets more than a second to answer."""
    reach.breaker_of.cache_clear()
    monkeypatch.setattr(reach, "REACH", 20.0)
    monkeypatch.setattr(registry, "_loaded", {})
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def fake() -> Iterator[Fake]:
    """An endpoint that tells a story of four sentences, unless it is told otherwise."""
    one = Fake([told(STORY)])
    server = Server(("127.0.0.1", 0), type("TheseAnswers", (Answers,), {"fake": one}))
    one.url = f"http://127.0.0.1:{server.server_port}/v1"
    threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    yield one
    one.go_on.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def far(fake) -> Callable[..., RemoteStoryteller]:
    """A function that makes a storyteller at that endpoint."""

    def make(**about) -> RemoteStoryteller:
        return RemoteStoryteller("far", "Far away", Endpoint(fake.url, **{"model": "m", **about}))

    return make


@pytest.fixture
def own(tmp_path, monkeypatch, fake) -> Callable[..., None]:
    """A function that writes a catalogue of the user's own with that endpoint, `far`, and uses it."""

    def write(source: str = fake.url, endpoint: str = 'model = "m"', more: str = "") -> None:
        entry = f'name = "far"\ntitle = "Far away"\nkind = "remote"\nsource = "{source}"\nendpoint = {{ {endpoint} }}\n'
        path = tmp_path / f"mine-{len(list(tmp_path.iterdir()))}.toml"  # a file is read once
        path.write_text(f"[[storyteller]]\n{entry}{more}", encoding="utf-8")
        monkeypatch.setenv(catalog.OWN, str(path))

    return write
