"""Many visitors at once, before a page that is soon full: the load test of `benchmarks/`, made small."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from benchmarks import line
from benchmarks.load import alone
from benchmarks.visitors import Question, Visitor, client, visit

NAMES = ("encoder", "seq2seq")
QUESTIONS = [
    Question(opening, name, seed, (("max_new_tokens", 30),))
    for seed in range(5)
    for opening in ("My dog ran away.", "Tom baked a cake.")
    for name in NAMES
]


def run(asked: Coroutine) -> Any:
    """Run it in a thread: Playwright's own event loop runs in this one once a test has opened a page."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, asked).result()


@pytest.fixture(scope="module")
def texts() -> dict[Question, str]:
    return alone(QUESTIONS)


def test_ten_visitors_get_forty_stories_and_each_is_that_of_its_question(narrow, texts):
    wishes = [[QUESTIONS[(visitor + 3 * turn) % 20] for turn in range(4)] for visitor in range(10)]
    answers = [answer for one in run(visit(narrow.url, wishes)) for answer in one.answers]
    assert [answer.question for answer in answers] == [question for asked in wishes for question in asked]
    assert [answer for answer in answers if not answer.belongs(texts[answer.question])] == []
    assert len(set(texts.values())) == len(QUESTIONS)  # else a story that was mixed up could pass


def test_who_finds_the_line_full_is_told_so_and_the_others_get_their_stories(narrow, texts):
    row = run(line.refused(narrow.url, texts, visitors=20))
    assert row.reached, row
    assert ", 0 times," not in row.ours


def test_visitors_of_the_page_are_told_their_number_and_then_their_stories(narrow):
    rows = run(line.numbered(narrow.url))
    assert all(row.reached for row in rows), rows


def test_those_who_close_their_pages_leave_the_line(narrow):
    row = run(line.left(narrow.url))
    assert row.reached, row


def test_nobody_has_more_than_their_minutes_tellings_and_others_go_on(narrow, texts):
    async def refused(number: int, fours: int) -> list[str]:
        """Ask four at a time, as what the tests before left in the line has its places there too, until refused."""
        async with client() as shared:
            one, told = Visitor(number, shared, narrow.url), []
            while fours and not told:
                await asyncio.gather(*(one.ask(QUESTIONS[0]) for _ in range(4)))
                fours, told = fours - 1, [answer.refusal for answer in one.answers if answer.refusal]
            return told

    told = run(refused(5000, 20))
    assert told and all("Everybody has 12 tellings a minute here; try again in" in one for one in told)
    assert run(refused(5001, 1)) == []


def test_more_tokens_than_are_told_here_are_refused(narrow):
    async def ask() -> list[str]:
        async with client() as shared:
            one = Visitor(6000, shared, narrow.url)
            for tokens in (201, 200):
                await one.ask(Question("It rained.", "encoder", 1, (("max_new_tokens", tokens),)))
            return [answer.refusal for answer in one.answers]

    assert run(ask()) == ["max_new_tokens must be at most 200 here, not 201", ""]


def test_a_limit_that_is_nonsense_ends_the_page_with_one_line(root):
    wrong = os.environ | {"STORYLAB_MAX_QUEUE": "many"}
    ended = subprocess.run([sys.executable, "app.py"], cwd=root, env=wrong, capture_output=True, text=True, timeout=200)
    assert ended.returncode == 1
    assert ended.stderr == "app.py: STORYLAB_MAX_QUEUE must be a whole number from 1 to 1000, not 'many'\n"
