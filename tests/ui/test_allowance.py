"""An allowance a minute and visitor."""

import pytest

from storylab.ui.allowance import SWEEP, Allowance


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_minutes_tellings_may_come_at_once_and_then_one_after_another(clock):
    allowance = Allowance(6, clock)
    assert [allowance.take("me") for _ in range(7)] == [0] * 6 + [10]
    clock.now += 9
    assert allowance.take("me") == 1
    clock.now += 1
    assert allowance.take("me") == 0 and allowance.take("me") == 10
    clock.now += 600
    assert [allowance.take("me") for _ in range(7)] == [0] * 6 + [10]  # no more than a minute's are saved up


def test_each_visitor_has_their_own_and_what_was_not_told_is_given_back(clock):
    allowance = Allowance(2, clock)
    assert allowance.take("me", 2) == 0 and allowance.take("me") == 30
    assert allowance.take("you", 2) == 0
    allowance.give_back("me")
    assert allowance.take("me") == 0
    allowance.give_back("nobody")


def test_more_than_the_whole_counts_as_the_whole(clock):
    allowance = Allowance(4, clock)
    assert allowance.take("me", 10) == 0
    assert allowance.take("me") == 15


def test_who_has_their_whole_allowance_again_is_forgotten(clock):
    allowance = Allowance(1, clock)
    for number in range(SWEEP):
        assert allowance.take(f"visitor {number}") == 0
    clock.now += 60
    assert allowance.take("another") == 0
    assert len(allowance._full) == 1
