"""Many visitors at once, over plain HTTP on the same machine: what is lost, what it costs, and who waits for whom.

Each visitor has an address of their own. An answer is right if it is, to the letter, what the same storyteller tells
from the same opening and seed alone, in another process. It takes some 2,400 tellings in all, and a few minutes.
"""

import asyncio
import statistics
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence

from benchmarks.decoding import BUNDLED, OPENINGS
from benchmarks.memory import resident
from benchmarks.rows import Row, single
from benchmarks.served import Page, page
from benchmarks.visitors import Answer, Question, visit
from storylab.storytellers import load

CROWD, EACH = 200, 10
"""Visitors who come at once, and the questions of each."""
FEWER = {1: 24, 10: 5, 50: 2}
"""Questions of each visitor, by how many they are."""
SEEDS, SHORT = 4, (("sentences", 1),)
GROWTH = 1.05
"""The most that the page's memory may grow between the crowd's first questions and its last."""
QUESTIONS = tuple(Question(o, m, s, SHORT) for s in range(SEEDS) for o in OPENINGS for m in BUNDLED)


def rows(options: Namespace) -> Iterator[Row]:
    """Measure a crowd, and fewer visitors after it."""
    texts = alone(QUESTIONS)
    with page() as served:
        ready(served)
        first, _ = told(served, wishes(CROWD, 1))
        before = resident(served.process.pid)
        others, rate = told(served, wishes(CROWD, EACH - 1, 1))
        after = resident(served.process.pid)
        yield right(f"{CROWD} visitors", [*first, *others], texts)
        yield single(
            "the page's memory", "after everybody's first story", before, "after the last", after, "MiB", at_most=GROWTH
        )
        seconds, rates = {CROWD: [a.seconds for a in others]}, {CROWD: rate}
        for number, each in FEWER.items():
            answers, rates[number] = told(served, wishes(number, each))
            seconds[number] = [a.seconds for a in answers]
            yield right(f"{number} visitors" if number > 1 else "1 visitor", answers, texts)
    for number in (10, 50, CROWD):
        yield single("stories", "1 visitor", rates[1], f"{number} visitors", rates[number], "stories/s")
        alone_, crowded = (statistics.median(seconds[n]) for n in (1, number))
        yield single("from the question to the story", "1 visitor", alone_, f"{number} visitors", crowded, "s")


def alone(questions: Sequence[Question]) -> dict[Question, str]:
    """What each question's storyteller tells in this process, one after another."""
    return {q: load(q.model).tell(q.opening, dict(q.settings), q.seed).text for q in questions}


def ready(served: Page) -> None:
    """Wait until a page has told a story by each storyteller."""
    served.wait()
    for name in BUNDLED:
        served.tell(OPENINGS[0], name)


def wishes(visitors: int, each: int, from_: int = 0) -> list[list[Question]]:
    """What visitors ask: neighbours, and the same one twice in a row, never the same."""
    step = 7  # shares no divisor with the number of questions
    return [
        [QUESTIONS[(number + step * turn) % len(QUESTIONS)] for turn in range(from_, from_ + each)]
        for number in range(visitors)
    ]


def told(served: Page, asked: Sequence[Sequence[Question]]) -> tuple[list[Answer], float]:
    """Let visitors ask; returns all answers, and stories a second."""
    begun = time.perf_counter()
    visitors = asyncio.run(visit(served.url, asked))
    answers = [answer for one in visitors for answer in one.answers]
    return answers, sum(answer.told is not None for answer in answers) / (time.perf_counter() - begun)


def right(who: str, answers: Sequence[Answer], texts: dict[Question, str]) -> Row:
    """How many got the story of their question."""
    good = sum(answer.belongs(texts[answer.question]) for answer in answers)
    return single(who, "questions", len(answers), "stories that are those of their questions", good, "", at_least=1)
