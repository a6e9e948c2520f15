"""A small Hub on this machine, which speaks the Hub's file protocol and fails as it is told to."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "someone/tiny-gpt2"
LARGE = ".safetensors"


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


def eventually(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.02)
