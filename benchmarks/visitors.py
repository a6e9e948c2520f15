"""Visitors of a page over plain HTTP, many at once: what each asks, and what each is answered."""

import asyncio
import json
import time
import urllib.request
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from benchmarks.served import PATIENCE

FORWARDED = "X-Forwarded-For"
"""Makes visitors on one machine visitors of many: uvicorn believes it of a proxy on the page's own machine."""
TELL = "tell"


@dataclass(frozen=True)
class Question:
    """What a visitor asks."""

    opening: str
    model: str
    seed: int
    settings: tuple[tuple[str, Any], ...] = ()

    @property
    def data(self) -> list[Any]:
        """The arguments of `/tell`."""
        return [self.opening, self.model, self.seed, dict(self.settings)]


@dataclass(frozen=True)
class Answer:
    """What came of it."""

    question: Question
    told: dict[str, Any] | None
    """The telling; None where it was refused."""
    refusal: str
    """Why; empty where it was told."""
    seconds: float

    def belongs(self, text: str) -> bool:
        """Whether it is the story of its question, which is that text."""
        asked, told = self.question, self.told or {}
        same = [told.get(name) for name in ("opening", "model", "seed")] == [asked.opening, asked.model, asked.seed]
        return same and told.get("text") == text


@dataclass
class Visitor:
    """Somebody with an address and a session of their own."""

    number: int
    client: httpx.AsyncClient
    url: str
    answers: list[Answer] = field(default_factory=list)

    @property
    def headers(self) -> dict[str, str]:
        """What tells their address."""
        return {FORWARDED: f"10.{self.number >> 16 & 255}.{self.number >> 8 & 255}.{self.number & 255}"}

    @property
    def session(self) -> str:
        """The number of their open page."""
        return f"visitor{self.number}"

    async def ask(self, question: Question) -> Answer:
        """Ask for a story through the web API, wait, and keep the answer."""
        begun, told, refusal = time.perf_counter(), None, "the connection was closed"
        async for kind, data in self.events(TELL, await self.call(TELL, question.data)):
            if kind == "complete":
                told, refusal = data[0], ""
            elif kind == "error":
                refusal = str((data or {}).get("error"))
        self.answers.append(Answer(question, told, refusal, time.perf_counter() - begun))
        return self.answers[-1]

    async def ask_all(self, questions: Sequence[Question]) -> None:
        """Ask one after another."""
        for question in questions:
            await self.ask(question)

    async def call(self, name: str, data: Sequence[Any], session: str | None = None) -> str:
        """Call a listener of the page by its name; returns the number of the call."""
        body = {"data": list(data), "session_hash": session}
        answer = await self.client.post(f"{self.url}gradio_api/call/{name}", json=body, headers=self.headers)
        answer.raise_for_status()
        return answer.json()["event_id"]

    async def events(self, name: str, event: str) -> AsyncIterator[tuple[str, Any]]:
        """What comes of a call: generating, complete, error, and their data; leaving off leaves the page."""
        address, kind = f"{self.url}gradio_api/call/{name}/{event}", ""
        async with self.client.stream("GET", address, headers=self.headers) as lines:
            async for line in lines.aiter_lines():
                head, _, value = line.partition(": ")
                if head == "event":
                    kind = value
                elif head == "data" and kind != "heartbeat":
                    yield kind, json.loads(value)


@dataclass(frozen=True)
class Form:
    """The Compare tab as a browser gets it: the listener behind Tell, and what stands in its fields."""

    name: str
    values: tuple[Any, ...]
    places: dict[str, int]
    """Where the fields are among the values, by the ids that they have in the page."""

    @classmethod
    def of(cls, url: str) -> "Form":
        """That of a page."""
        with urllib.request.urlopen(f"{url}config", timeout=PATIENCE) as answer:
            config = json.load(answer)
        components = {one["id"]: one["props"] for one in config["components"]}
        (button,) = (number for number, props in components.items() if props.get("elem_id") == "compare-run")
        listener = next(
            one for one in config["dependencies"] if [button, "click"] in one["targets"] and one["backend_fn"]
        )
        fields = [components[number] for number in listener["inputs"]]
        places = {props["elem_id"]: place for place, props in enumerate(fields) if props.get("elem_id")}
        return cls(listener["api_name"], tuple(props.get("value") for props in fields), places)

    def filled(self, opening: str, models: Sequence[str], seed: int) -> list[Any]:
        """The values for a comparison."""
        values = list(self.values)
        for name, value in {"opening": opening, "storytellers": list(models), "seed": str(seed)}.items():
            values[self.places[name]] = value
        return values


def client() -> httpx.AsyncClient:
    """A client for any number of visitors at once, each call over a connection of its own."""
    return httpx.AsyncClient(
        timeout=PATIENCE, limits=httpx.Limits(max_connections=None, max_keepalive_connections=0), trust_env=False
    )


async def visit(url: str, wishes: Sequence[Sequence[Question]]) -> list[Visitor]:
    """Let visitors ask at once, each their questions one after another.

    Args:
        url: The page's.
        wishes: The questions of each.
    """
    async with client() as shared:
        visitors = [Visitor(number, shared, url) for number in range(len(wishes))]
        await asyncio.gather(*(one.ask_all(asked) for one, asked in zip(visitors, wishes, strict=True)))
    return visitors
