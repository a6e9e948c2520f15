"""Those who compute take turns; nobody computes with more others than may, and nobody waits for ever."""

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


class Steps:
    """A thread that takes steps for an owner, one behind the other, and notes each.

    Args:
        turns: What it takes them by.
        owner: For whom; a new one for each step where there is none.
        done: Where the owners' ids are noted.
        count: How many steps; None to go on until `end`.
    """

    def __init__(self, turns: RoundRobin, owner: Owner | None, done: list, count: int | None = None):
        self._ended = threading.Event()

        def work() -> None:
            left = count
            while left != 0 and not self._ended.is_set():
                whose = owner or Owner()
                with turns.step(whose):
                    done.append(id(owner))
                    time.sleep(0.001)
                left = None if left is None else left - 1

        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()

    def join(self, seconds: float = LONG) -> None:
        """Wait until the steps are taken."""
        self._thread.join(seconds)
        assert not self._thread.is_alive()

    def end(self) -> None:
        """Take no more."""
        self._ended.set()
        self.join()


def until(true) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + LONG
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def known(turns: RoundRobin) -> Owner:
    """An owner who is not new any more."""
    owner = Owner()
    with turns.step(owner):
        return owner


@pytest.fixture
def endless(monkeypatch):
    """Turns that are over only where something else ends them."""
    monkeypatch.setattr(round_robin, "QUANTUM", 10 * LONG)
    monkeypatch.setattr(round_robin, "PATIENCE", 10 * LONG)


def test_a_turn_is_of_several_steps(monkeypatch):
    monkeypatch.setattr(round_robin, "QUANTUM", 0.5)
    monkeypatch.setattr(round_robin, "PAUSE", 0.5)
    turns, done = RoundRobin(1), []
    owners = [known(turns) for _ in range(3)]
    for steps in [Steps(turns, owner, done, 100) for owner in owners]:
        steps.join()
    assert sorted(done) == sorted(id(owner) for owner in owners for _ in range(100))
    assert sum(one != other for one, other in pairwise(done)) < 100  # of 299; a turn a step would be nearly all


def test_a_turn_ends(monkeypatch):
    monkeypatch.setattr(round_robin, "QUANTUM", 0.02)
    monkeypatch.setattr(round_robin, "PAUSE", 10 * LONG)
    turns, done = RoundRobin(1), []
    going = Steps(turns, known(turns), done)
    Steps(turns, known(turns), done, 30).join()
    going.end()


def test_who_comes_new_has_a_first_step_in_the_midst_of_a_turn(endless, monkeypatch):
    monkeypatch.setattr(round_robin, "PAUSE", 2.0)
    turns, done = RoundRobin(1), []
    first, new = known(turns), Owner()
    going = Steps(turns, first, done)
    until(lambda: done)
    comes = Steps(turns, new, done, 2)
    until(lambda: done.count(id(new)) >= 1)
    told = len(done)
    until(lambda: len(done) > told + 20)
    assert done.count(id(new)) == 1  # the next waits for a turn of its own
    going.end()
    comes.join()


def test_who_comes_new_does_not_wait_for_one_who_chooses_a_token(endless, monkeypatch):
    monkeypatch.setattr(round_robin, "PAUSE", 10 * LONG)
    turns = RoundRobin(1)
    away = known(turns)
    Steps(turns, Owner(), [], 1).join()
    with turns.step(away):
        pass


def test_those_who_come_new_do_not_keep_others_out_for_ever(monkeypatch):
    monkeypatch.setattr(round_robin, "QUANTUM", 10 * LONG)
    turns, done = RoundRobin(1), []
    owner = known(turns)
    crowd = [Steps(turns, None, []) for _ in range(3)]
    Steps(turns, owner, done, 5).join()
    for steps in crowd:
        steps.end()


def test_an_owner_that_is_gone_has_no_turn(endless, monkeypatch):
    monkeypatch.setattr(round_robin, "PAUSE", 10 * LONG)
    turns, done = RoundRobin(1), []
    other, gone = known(turns), known(turns)
    waits = Steps(turns, other, done, 3)
    time.sleep(0.2)
    assert not done  # it is the other's turn still
    del gone
    waits.join()


def test_one_who_stays_away_has_no_turn(endless):
    turns, done = RoundRobin(1), []
    other, away = known(turns), known(turns)
    Steps(turns, other, done, 3).join()
    with turns.step(away):  # and may come back
        pass


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_no_more_compute_at_once_than_may(at_once, monkeypatch):
    monkeypatch.setattr(round_robin, "QUANTUM", 0.002)
    turns, computing, most, done = RoundRobin(at_once), [], [], []

    def work() -> None:
        owner = Owner()
        for _ in range(50):
            with turns.step(owner):
                computing.append(owner)
                most.append(len(computing))
                time.sleep(0.001)
                computing.remove(owner)
        done.append(owner)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert len(done) == 6 and max(most) == at_once


def test_a_step_that_fails_stands_in_nobodys_way():
    turns, done, owner = RoundRobin(1), [], Owner()
    with pytest.raises(ValueError, match="lost"), turns.step(owner):
        raise ValueError("lost")
    Steps(turns, owner, done, 1).join()
    Steps(turns, Owner(), done, 1).join()
    assert len(done) == 2
