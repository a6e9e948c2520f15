"""A small Hub and a small GPT-2 for it to serve."""

import hashlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from storylab.storytellers import sources

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "someone/tiny-gpt2"
LARGE = ".safetensors"


def pytest_configure(config):
    config.addinivalue_line("markers", "pypi: downloads from PyPI; skipped where it can't be reached")


@pytest.fixture(autouse=True)
def nothing_failed_yet():
    sources._failures.clear()


@pytest.fixture(scope="session")
def tiny_gpt2(tmp_path_factory) -> Path:
    """A folder with a GPT-2 of random weights and a byte-level vocabulary, as a Hub repository has it."""
    import numpy as np
    from safetensors.numpy import save_file
    from tokenizers import ByteLevelBPETokenizer

    folder = tmp_path_factory.mktemp("hub") / "tiny-gpt2"
    folder.mkdir()
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(["They go to the park."], vocab_size=270, special_tokens=["<|endoftext|>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    size, width, positions, layers = tokenizer.get_vocab_size(), 128, 64, 2
    shapes = {"wte.weight": (size, width), "wpe.weight": (positions, width)}
    norms = ["ln_f"]
    for layer in range(layers):
        norms += [f"h.{layer}.ln_1", f"h.{layer}.ln_2"]
        for name, wide, narrow in (
            ("attn.c_attn", width, 3 * width),
            ("attn.c_proj", width, width),
            ("mlp.c_fc", width, 4 * width),
            ("mlp.c_proj", 4 * width, width),
        ):
            shapes |= {f"h.{layer}.{name}.weight": (wide, narrow), f"h.{layer}.{name}.bias": (narrow,)}
    shapes |= {f"{name}.{part}": (width,) for name in norms for part in ("weight", "bias")}
    draw = np.random.default_rng(0).standard_normal
    save_file({name: draw(shape, dtype=np.float32) for name, shape in shapes.items()}, folder / "model.safetensors")
    config = {"model_type": "gpt2", "vocab_size": size, "n_positions": positions, "n_embd": width, "n_layer": layers}
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    for name, content in {
        "config.json": config | ends | {"n_head": 2},
        "generation_config.json": ends,
        "tokenizer_config.json": {"tokenizer_class": "GPT2Tokenizer", "eos_token": "<|endoftext|>"},
    }.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    (folder / "README.md").write_text("not needed\n", encoding="utf-8")
    (folder / "pytorch_model.bin").write_bytes(b"never opened")
    (folder / "modeling.py").write_text("raise SystemExit\n", encoding="utf-8")
    return folder


@dataclass
class Hub:
    """What a server of the Hub's file protocol serves, and what is to go wrong."""

    files: dict[str, bytes]
    commit: str = COMMIT
    status: int = 200
    """Of the answers about the model."""
    code: str = ""
    """Goes along with it as X-Error-Code, as the Hub does."""
    file_status: int = 200
    """Of the answers to a request for a file."""
    page: bytes | None = None
    """What it answers instead of anything that makes sense."""
    cut: list[int] = field(default_factory=list)
    """After how many bytes the next connections for a large file break."""
    ranges: bool = True
    """Whether it can begin in the middle of a file."""
    pause: float = 0.0
    """Seconds between two pieces of 16 KiB of a large file."""
    silent: bool = False
    """Whether it takes questions and never answers."""
    plain_list: bool = False
    """Whether its list leaves out sizes and checksums, as some mirrors do."""
    corrupt: bool = False
    """Whether large files come with another last byte."""
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path and range of the requests so far."""
    told_who: set[str] = field(default_factory=set)
    """First parts of the paths that were asked for with a token."""
    endpoint: str = ""

    def sent(self, name: str = LARGE) -> list[str]:
        """The ranges asked for in downloads of files so called, "" where the whole was."""
        served = [(path, asked) for method, path, asked in self.requests if method == "GET" and path.endswith(name)]
        return [asked for path, asked in served if path.startswith("/cdn/") == name.endswith(LARGE)]


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        hub, path = self.hub, self.path.partition("?")[0]
        hub.requests.append((self.command, path, self.headers.get("Range", "")))
        if "Authorization" in self.headers:
            hub.told_who.add(path.split("/")[1])
        if hub.silent:
            self.connection.recv(1)  # until the other side gives up
            self.close_connection = True
            return
        if hub.page is not None:
            self._answer(200, hub.page, {"Content-Type": "text/html"})
        elif path.startswith("/api/models/"):
            self._model()
        elif path.startswith("/cdn/"):
            self._file(path.removeprefix("/cdn/"))
        else:
            self._resolve(path)

    def _model(self):
        hub = self.hub
        if hub.status != 200:
            self._answer(hub.status, b"{}", {"X-Error-Code": hub.code} if hub.code else {})
            return
        siblings = []
        for name, content in hub.files.items():
            about = {"rfilename": name}
            if not hub.plain_list:
                about |= {"size": len(content), "blobId": git_hash(content)}
                if name.endswith(LARGE):
                    about["lfs"] = {"size": len(content), "sha256": sha256(content), "pointerSize": 134}
            siblings.append(about)
        self._answer(200, json.dumps({"id": REPOSITORY, "sha": hub.commit, "siblings": siblings}).encode())

    def _resolve(self, path):
        name = path.rpartition("/")[2]
        content = self.hub.files.get(name)
        status = self.hub.file_status if content is not None else 404
        if status != 200:
            self._answer(status, b"", {"X-Error-Code": "GatedRepo"} if status == 403 else {})
            return
        headers = {"X-Repo-Commit": self.hub.commit}
        if not name.endswith(LARGE):
            self._answer(200, content, headers | {"ETag": f'"{git_hash(content)}"'})
            return
        headers |= {"X-Linked-Etag": f'"{sha256(content)}"', "X-Linked-Size": str(len(content))}
        elsewhere = self.hub.endpoint.replace("127.0.0.1", "localhost")  # large files come from another host
        self._answer(302, b"", headers | {"Location": f"{elsewhere}/cdn/{name}"})

    def _file(self, name):
        hub, content, headers, status = self.hub, self.hub.files[name], {}, 200
        if hub.corrupt:
            content = content[:-1] + bytes([content[-1] ^ 1])
        whole = len(content)
        if (asked := self.headers.get("Range")) and hub.ranges:
            start = int(asked.removeprefix("bytes=").partition("-")[0])
            content, status = content[start:], 206
            headers["Content-Range"] = f"bytes {start}-{whole - 1}/{whole}"
        self._answer(status, content, headers, large=True)

    def _answer(self, status, content, headers=None, large=False):
        self.send_response(status)
        for key, value in {"Content-Length": len(content), **(headers or {})}.items():
            self.send_header(key, str(value))
        self.end_headers()
        if self.command == "HEAD":
            return
        limit = self.hub.cut.pop(0) if large and self.hub.cut else len(content)
        for start in range(0, min(limit, len(content)), 2**14):
            self.wfile.write(content[start : min(start + 2**14, limit)])
            if large and self.hub.pause:
                self.wfile.flush()
                time.sleep(self.hub.pause)
        if limit < len(content):
            self.close_connection = True

    def log_message(self, *arguments):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # clients that break off are what these tests are about


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@pytest.fixture
def hub(tiny_gpt2, tmp_path, monkeypatch) -> Iterator[Hub]:
    """A server that speaks the Hub's file protocol, and an empty cache, for this process and those that it starts."""
    from huggingface_hub import constants

    served = Hub({path.name: path.read_bytes() for path in tiny_gpt2.iterdir()})
    server = Server(("127.0.0.1", 0), type("TheseAnswers", (Answers,), {"hub": served}))
    served.endpoint = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    for name, value in {
        "ENDPOINT": served.endpoint,
        "HUGGINGFACE_CO_URL_TEMPLATE": served.endpoint + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(tmp_path / "home" / "hub"),
        "HF_HUB_OFFLINE": False,
        "HF_TOKEN_PATH": str(tmp_path / "token"),
    }.items():
        monkeypatch.setattr(constants, name, value)
    for name, value in {
        "HF_ENDPOINT": served.endpoint,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_OFFLINE": "0",
    }.items():
        monkeypatch.setenv(name, value)  # for programs that a test starts
    yield served
    server.shutdown()
    server.server_close()


@pytest.fixture
def start(root) -> Iterator[Callable[..., subprocess.Popen]]:
    """A function that starts Python with a text of ours in a process of its own."""
    started = []

    def run(code: str, **options) -> subprocess.Popen:
        child = subprocess.Popen(
            [sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
        )
        started.append(child)
        return child

    yield run
    for child in started:
        child.kill()
        child.communicate()


def eventually(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.02)
