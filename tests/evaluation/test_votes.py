"""Votes: none is lost or counted twice, and strengths are those of the model that drew them."""

import math
import multiprocessing
import random
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from storylab.errors import StoryLabError
from storylab.evaluation.votes import Vote, Votes, bradley_terry, strengths, votes_file


def vote(number: int, first: str = "a", second: str = "b", better: str = "first") -> Vote:
    return Vote(f"ballot-{number}", "It rained.", first, second, 1, 2, better)


def test_votes_come_back_in_order_and_a_ballot_counts_once(tmp_path):
    votes = Votes(tmp_path / "new" / "votes.sqlite")
    assert votes.all() == []
    assert not votes.path.exists()
    assert [votes.add(vote(number)) for number in (3, 1, 2, 1)] == [True, True, True, False]
    assert votes.add(vote(3, better="second")) is False
    assert votes.all() == [vote(3), vote(1), vote(2)]


def test_text_of_any_kind_is_kept_as_it_is(tmp_path):
    votes = Votes(tmp_path / "votes.sqlite")
    odd = Vote("x'); DROP TABLE votes; --", "'\"\u2028 <b>", "a", "b", 0, 2**32 - 1, "tie")
    votes.add(odd)
    assert votes.all() == [odd]


def cast(path: Path, first: int) -> None:
    votes = Votes(path)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(votes.add, (vote(number) for number in range(first, first + 50))))


def test_concurrent_voters_in_threads_and_processes_lose_nothing(tmp_path):
    path = tmp_path / "votes.sqlite"
    context = multiprocessing.get_context("spawn")
    voters = [context.Process(target=cast, args=(path, 50 * number)) for number in range(3)]
    for voter in voters:
        voter.start()
    for voter in voters:
        voter.join(120)
        assert voter.exitcode == 0
    assert {found.ballot for found in Votes(path).all()} == {f"ballot-{number}" for number in range(150)}


def test_a_vote_that_is_cut_off_leaves_the_others(tmp_path):
    votes = Votes(tmp_path / "votes.sqlite")
    votes.add(vote(1))
    half = sqlite3.connect(votes.path)
    half.execute(
        "INSERT INTO votes (ballot, opening, first, second, first_seed, second_seed, better) "
        "VALUES ('half', 'x', 'a', 'b', 1, 2, 'first')"
    )
    half.close()  # without a commit, as a killed process leaves it
    votes.add(vote(2))
    assert votes.all() == [vote(1), vote(2)]


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0" + b"x" * 200])
def test_a_damaged_file_is_one_clear_error(tmp_path, content):
    path = tmp_path / "votes.sqlite"
    path.write_bytes(content)
    with pytest.raises(StoryLabError, match=r"the votes in votes.sqlite can't be kept"):
        Votes(path).add(vote(1))
    assert path.read_bytes() == content


def test_the_file_is_where_the_variable_says(monkeypatch, tmp_path):
    monkeypatch.setenv("STORYLAB_VOTES", str(tmp_path / "x.sqlite"))
    assert votes_file() == tmp_path / "x.sqlite"
    monkeypatch.delenv("STORYLAB_VOTES")
    assert votes_file().name == "votes.sqlite"


def test_two_players_strengths_by_hand():
    # With w wins each, and a tie each against strength 0: w = 3 : 1 has its maximum where
    # 3.5 = 4p/(p+q) + p/(p+1) and 1.5 = 4q/(p+q) + q/(q+1), which has q = 1/p: 3.5 = 4p²/(p²+1) + p/(p+1).
    found, errors = bradley_terry(np.array([[0.0, 3.0], [1.0, 0.0]]))
    p = math.exp(found[0])
    assert 4 * p * p / (p * p + 1) + p / (p + 1) == pytest.approx(3.5)
    assert found[1] == pytest.approx(-found[0])
    assert errors[0] == pytest.approx(errors[1]) and errors[0] > 0.5


def test_strengths_are_those_that_drew_the_votes():
    true, luck = {"a": 1.0, "b": 0.0, "c": -1.0}, random.Random(0)
    votes = []
    for number in range(3000):
        first, second = luck.sample(sorted(true), 2)
        chance = 1 / (1 + math.exp(true[second] - true[first]))
        votes.append(vote(number, first, second, "first" if luck.random() < chance else "second"))
    found = strengths(votes)
    assert [row.name for row in found] == ["a", "b", "c"]
    for row in found:
        assert row.low < true[row.name] < row.high
        assert row.high - row.low < 0.4
        assert row.strength == pytest.approx(true[row.name], abs=0.15)
    assert sum(row.votes for row in found) == 6000
    assert found[0].share > 0.6 > found[2].share


def test_no_votes_one_vote_and_only_ties():
    assert strengths([]) == []
    winner, loser = strengths([vote(1)])
    assert (winner.name, loser.name) == ("a", "b") and 0 < winner.strength < math.inf
    equal = strengths([vote(number, better="tie") for number in range(5)])
    assert [row.strength for row in equal] == pytest.approx([0, 0]) and equal[0].share == 0.5


def test_who_never_lost_has_a_finite_strength_that_grows_with_the_votes():
    few, many = (strengths([vote(number) for number in range(count)])[0].strength for count in (3, 30))
    assert 0 < few < many < 10


def test_few_votes_are_told_as_few():
    one = strengths([vote(1)])[0]
    many = strengths([vote(number, better="first" if number % 3 else "second") for number in range(300)])[0]
    assert one.low < 0 < one.high
    assert 0 < many.low < many.high and many.high - many.low < (one.high - one.low) / 4
