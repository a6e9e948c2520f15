"""Those who compute take turns; nobody computes with more others than may, and nobody is forgotten."""

import threading
import time
from itertools import pairwise

import pytest

from storylab.engines import round_robin
from storylab.engines.round_robin import RoundRobin

LONG = 60.0
"""Seconds that a test which waits for them doesn't pass in."""


class Owner:
    """Somebody who computes in steps."""


def steps(turns: RoundRobin, owner: Owner, count: int, done: list, seconds: float = 0.001) -> threading.Thread:
    """A thread that takes some steps for an owner and notes each."""

    def work() -> None:
        for _ in range(count):
            with turns.step(owner):
                done.append(id(owner))
                time.sleep(seconds)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def taken(turns: RoundRobin, owner: Owner, other: Owner) -> None:
    """Make it an owner's turn, and not its first, which is of one step; `other` is known too."""
    for who in (owner, other, owner):
        with turns.step(who):
            pass


def test_a_turn_is_of_several_steps():
    turns, done, owners = RoundRobin(1), [], [Owner() for _ in range(3)]
    for thread in [steps(turns, owner, 100, done) for owner in owners]:
        thread.join(LONG)
    assert sorted(done) == sorted(id(owner) for owner in owners for _ in range(100))
    changes = sum(one != other for one, other in pairwise(done))
    assert changes < 100  # of 300 steps; in turns of 50 ms about ten


def test_who_comes_new_has_a_step_before_the_turn_is_over(monkeypatch):
    monkeypatch.setattr(round_robin, "QUANTUM", LONG)
    turns, done, first, second = RoundRobin(1), [], Owner(), Owner()
    taken(turns, first, Owner())
    thread = steps(turns, first, 300, done)
    while not done:
        time.sleep(0.001)
    steps(turns, second, 1, done).join(LONG / 2)
    assert done.count(id(second)) == 1 and len(done) < 300
    thread.join(LONG)


def test_a_forgotten_owner_has_no_turn(monkeypatch):
    monkeypatch.setattr(round_robin, "QUANTUM", LONG)
    turns, done, gone, other = RoundRobin(1), [], Owner(), Owner()
    taken(turns, gone, other)
    waits = steps(turns, other, 3, done)
    waits.join(0.2)
    assert waits.is_alive()  # it is the first one's turn still
    del gone
    waits.join(LONG / 2)
    assert len(done) == 3


def test_a_turn_that_nobody_comes_back_to_is_taken_when_it_is_over(monkeypatch):
    monkeypatch.setattr(round_robin, "QUANTUM", 0.1)
    turns, done, away, other = RoundRobin(1), [], Owner(), Owner()
    taken(turns, away, other)
    steps(turns, other, 3, done).join(LONG)
    assert len(done) == 3 and away is not None


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_no_more_compute_at_once_than_may(at_once, monkeypatch):
    monkeypatch.setattr(round_robin, "QUANTUM", 0.002)
    turns, computing, most, done = RoundRobin(at_once), [], [], []
    owners = [Owner() for _ in range(6)]

    def work(owner: Owner) -> None:
        for _ in range(50):
            with turns.step(owner):
                computing.append(owner)
                most.append(len(computing))
                time.sleep(0.001)
                computing.remove(owner)
        done.append(owner)

    threads = [threading.Thread(target=work, args=[owner]) for owner in owners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert len(done) == 6 and max(most) == at_once


def test_a_step_that_fails_stands_in_nobodys_way():
    turns, done, owner = RoundRobin(1), [], Owner()
    with pytest.raises(ValueError, match="lost"), turns.step(owner):
        raise ValueError("lost")
    steps(turns, owner, 1, done).join(LONG)
    steps(turns, Owner(), 1, done).join(LONG)
    assert len(done) == 2
