"""The line before a page that is busy: who is refused, what those who wait are told, and that nobody holds it up."""

import asyncio
import json
import re
import statistics
from argparse import Namespace
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

from benchmarks.load import QUESTIONS, alone, ready
from benchmarks.rows import Row, single
from benchmarks.served import PATIENCE, page
from benchmarks.visitors import Form, Question, Visitor, client
from storylab.ui.texts import Say

OPENING = "My dog ran away."
QUICK = Question(OPENING, "seq2seq", 1)
LONG = Question(
    OPENING,
    "gpt2-mini",
    1,
    (("strategy", "beam"), ("num_beams", 16), ("sentences", 10), ("no_repeat_ngram_size", 3), ("max_new_tokens", 160)),
)
"""Takes some seconds, in which a line before one turn stands still."""
HOLDING = 3
"""Visitors with such a question who are before all others."""
NUMBER = re.compile(Say()("in_line", number=r"(\d+)").split(" …")[0])
MANY, MODEST, WAITING = 60, 8, 8
"""Questions that one visitor asks at once, those that another asks one after another, visitors of a page who wait."""


def rows(options: Namespace) -> Iterator[Row]:
    """Measure all of it: the usual line, and then a short one before a page that tells to one visitor at once."""
    texts = alone(QUESTIONS)
    with page() as served:
        ready(served)
        yield asyncio.run(starved(served.url))
    with page({"STORYLAB_MAX_AT_ONCE": "1", "STORYLAB_MAX_QUEUE": "10"}) as served:
        ready(served)
        yield asyncio.run(refused(served.url, texts))
        yield from asyncio.run(numbered(served.url))
        yield asyncio.run(left(served.url))


async def starved(url: str) -> Row:
    """How long a visitor with one question at a time waits beside one who asks for very many at once."""
    async with client() as shared:
        modest, greedy = Visitor(1000, shared, url), Visitor(1001, shared, url)
        await modest.ask_all([QUICK] * MODEST)
        many = [asyncio.create_task(greedy.ask(QUICK)) for _ in range(MANY)]
        while not greedy.answers:  # until the line is there
            await asyncio.sleep(0.01)
        await modest.ask_all([QUICK] * MODEST)
        await asyncio.gather(*many)
    seconds = [answer.seconds for answer in modest.answers]
    before, beside = statistics.median(seconds[:MODEST]), statistics.median(seconds[MODEST:])
    return single(
        "from the question to the story", "alone", before, f"beside one who asks {MANY} at once", beside, "s",
        at_most=8,  # four stories that are told already, on two cores, and one's own among four
    )  # fmt: skip


async def refused(url: str, texts: dict[Question, str], visitors: int = 30) -> Row:
    """What becomes of visitors of whom the line does not take all: a story or one sentence."""
    async with client() as shared:
        asking = [Visitor(number, shared, url) for number in range(visitors)]
        questions = [question for question in texts][:visitors]
        await asyncio.gather(*(one.ask(question) for one, question in zip(asking, questions, strict=True)))
    answers, sentence = [answer for one in asking for answer in one.answers], Say()("problem_full")
    good = sum(answer.belongs(texts[answer.question]) or answer.refusal == sentence for answer in answers)
    turned_away = sum(answer.refusal == sentence for answer in answers)
    return single(
        f"{visitors} visitors, a line of ten", "visitors", visitors,
        f"their story, or, {turned_away} times, that the line is full", good, "", at_least=1,
    )  # fmt: skip


async def numbered(url: str) -> list[Row]:
    """Visitors of the page who have to wait: how many are told their number, and how many get their stories."""
    form, models = Form.of(url), ("seq2seq", "encoder")
    async with client() as shared:
        holding = asyncio.create_task(Visitor(999, shared, url).ask(LONG))
        await asyncio.sleep(0.2)
        asking = [Visitor(number, shared, url) for number in range(WAITING)]
        found = await asyncio.gather(*(_press(one, form, models) for one in asking))
        await holding
    told_numbers = sum(bool(numbers) for numbers, _ in found)
    good = sum({(t["model"], t["seed"]) for t in told} == {(m, one.number) for m in models}
               for one, (_, told) in zip(asking, found, strict=True))  # fmt: skip
    return [
        single("the page, a line before it", "visitors", WAITING, "told their number", told_numbers, "", at_least=1),
        single("the page, a line before it", "visitors", WAITING, "both of their stories", good, "", at_least=1),
    ]


async def left(url: str) -> Row:
    """The number of a visitor once those of the page who came before have closed their pages."""
    form = Form.of(url)
    async with client() as shared:
        holding = [asyncio.create_task(Visitor(900 + one, shared, url).ask(LONG)) for one in range(HOLDING)]
        await asyncio.sleep(0.2)
        waiting = []
        for number in range(WAITING):
            waiting.append(_Open(Visitor(number, shared, url), form))
            await waiting[-1].numbered.wait()
        last, before = waiting[-1], waiting[-1].number
        for one in waiting[:-1]:
            await one.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(last.moved.wait(), PATIENCE)
        after = last.number
        for task in (*holding, *last.tasks):
            task.cancel()
        await asyncio.gather(*holding, *last.tasks, return_exceptions=True)
    return single(
        f"in the line behind {WAITING - 1} who leave", "number before", before, "number after", after, "",
        at_most=HOLDING / before,
    )  # fmt: skip


class _Open:
    """A page that waits in the line, and can be closed."""

    def __init__(self, visitor: Visitor, form: Form):
        self.visitor, self.number = visitor, 0
        self.numbered, self.moved = asyncio.Event(), asyncio.Event()
        """Set once it shows a number, and once that is smaller by all pages that can have left."""
        self.tasks = [asyncio.create_task(self._wait(form)), asyncio.create_task(self._beat())]

    async def close(self) -> None:
        """Close it, as a browser does: all connections end."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _wait(self, form: Form) -> None:
        async for number in _numbers(self.visitor, form, ("seq2seq",)):
            self.number = number
            self.numbered.set()
            if number <= HOLDING:
                self.moved.set()

    async def _beat(self) -> None:
        address = f"{self.visitor.url}gradio_api/heartbeat/{self.visitor.session}"
        async with self.visitor.client.stream("GET", address) as lines:
            async for _ in lines.aiter_lines():
                pass


async def _press(visitor: Visitor, form: Form, models: tuple[str, ...]) -> tuple[list[int], list[dict]]:
    """Press Tell: the numbers in the line that the cards show, and the tellings that the history gets."""
    numbers, history = [], []
    values = form.filled(OPENING, models, visitor.number)
    async for _, data in visitor.events(form.name, await visitor.call(form.name, values, visitor.session)):
        numbers += _shown(data)
        if isinstance(data, list) and isinstance(data[-1], str) and data[-1].startswith("["):
            history = json.loads(data[-1])
    return numbers, history


async def _numbers(visitor: Visitor, form: Form, models: tuple[str, ...]) -> AsyncIterator[int]:
    values = form.filled(OPENING, models, visitor.number)
    async for _, data in visitor.events(form.name, await visitor.call(form.name, values, visitor.session)):
        for number in _shown(data)[:1]:
            yield number


def _shown(data: object) -> list[int]:
    return [int(number) for number in NUMBER.findall(json.dumps(data, ensure_ascii=False))]
