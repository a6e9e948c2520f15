"""A small endpoint on this machine, which speaks OpenAI's protocol and fails as it is told to."""

import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STORY = ["It", " ran", " far", ".", " I", " ran", " after", " it", ".", " We", " met", ".", " We", " went", " on", "."]
Answer = Callable[["Answers"], None]


@dataclass
class Fake:
    """What an endpoint answers, and what it was asked."""

    answers: list[Answer] = field(default_factory=list)
    """To the questions for a text, in their order; the last one to all that follow."""
    models: Answer | None = None
    """To those for the list of models; None: a list."""
    asked: list[dict] = field(default_factory=list)
    """The bodies of the questions for a text, with path and key."""
    looked: list[str] = field(default_factory=list)
    """The keys that came with the questions for the list, empty where there was none."""
    left: threading.Event = field(default_factory=threading.Event)
    """Set once somebody went away in the middle of an answer."""
    go_on: threading.Event = field(default_factory=threading.Event)
    """What `silent` waits for."""
    url: str = ""


class Answers(BaseHTTPRequestHandler):
    fake: Fake

    def do_GET(self):
        self.fake.looked.append(self.headers.get("Authorization", ""))
        (self.fake.models or status(200, {"object": "list", "data": []}))(self)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fake = self.fake
        fake.asked.append(body | {"path": self.path, "key": self.headers.get("Authorization", "")})
        (fake.answers.pop(0) if len(fake.answers) > 1 else fake.answers[0])(self)

    def send(self, code: int, kind: str, headers: dict[str, str] | None = None):
        self.send_response(code)
        for name, value in {"Content-Type": kind, "Connection": "close", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()

    def message(self, message: dict):
        try:
            self.wfile.write(b"data: " + json.dumps(message).encode() + b"\n\n")
            self.wfile.flush()
        except OSError:
            self.fake.left.set()
            raise

    def log_message(self, *arguments):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # whoever breaks off is what these tests are about


def status(code: int, body: dict | str = "", headers: dict[str, str] | None = None) -> Answer:
    """An answer that is no text."""

    def answer(to: Answers):
        words = body if isinstance(body, str) else json.dumps(body)
        to.send(code, "text/plain" if isinstance(body, str) else "application/json", headers)
        to.wfile.write(words.encode())

    return answer


def told(texts: Iterable[str], finish: str | None = "stop", given: Iterable | None = None) -> Answer:
    """A text, a token at a time; `given` are its log-probabilities. Without a `finish` it is cut."""
    texts = list(texts)
    probabilities = [None] * len(texts) if given is None else list(given)

    def answer(to: Answers):
        chat = to.path.endswith("/chat/completions")
        to.send(200, "text/event-stream")
        if chat:
            to.message({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
        for text, value in zip(texts, probabilities, strict=True):
            to.message({"choices": [_choice(text, value, chat, given is not None)]})
        if finish:
            to.message({"choices": [{"index": 0, "text": "", "delta": {}, "finish_reason": finish}]})
            to.message({"choices": [], "usage": {"completion_tokens": len(texts)}})
            to.wfile.write(b"data: [DONE]\n\n")

    return answer


def _choice(text: str, value: float | None, chat: bool, given: bool) -> dict:
    if chat:
        content = {"logprobs": {"content": [{"token": text, "logprob": value}]}} if given else {}
        return {"index": 0, "delta": {"content": text}, **content}
    return {"index": 0, "text": text, **({"logprobs": {"token_logprobs": [value]}} if given else {})}


def silent(texts: Iterable[str] = (), headers: bool = True) -> Answer:
    """Says something, then nothing for as long as the test lasts."""

    def answer(to: Answers):
        if headers:
            to.send(200, "text/event-stream")
        for text in texts:
            to.message({"choices": [{"index": 0, "text": text}]})
        to.fake.go_on.wait(60)

    return answer


def endless(text: str) -> Answer:
    """Goes on and on."""

    def answer(to: Answers):
        to.send(200, "text/event-stream")
        while not to.fake.go_on.wait(0.005):
            to.message({"choices": [{"index": 0, "text": text}]})

    return answer


def raw(*blocks: bytes) -> Answer:
    """Bytes in place of a stream."""

    def answer(to: Answers):
        to.send(200, "text/event-stream")
        for block in blocks:
            to.wfile.write(block)

    return answer
