"""Turns: first come, first served, but nobody twice before everybody once; short, and left at will."""

import threading
import time

from hypothesis import given
from hypothesis import strategies as st

from storylab.ui.turns import Turns


def never() -> bool:
    return False


def test_as_many_as_may_have_a_turn_at_once_and_the_others_in_their_order():
    turns = Turns(2, 10)
    first, second, third, fourth = (turns.ask(visitor) for visitor in "abcd")
    assert [place.ahead for place in (first, second, third, fourth)] == [0, 0, 1, 2] and len(turns) == 2
    second.leave()
    assert third.has_turn and fourth.ahead == 1
    first.leave(), third.leave()
    assert fourth.has_turn


def test_a_visitor_with_many_wishes_does_not_keep_one_with_a_single_one_waiting():
    turns = Turns(1, 100)
    many = [turns.ask("greedy") for _ in range(50)]
    one = turns.ask("modest")
    assert one.ahead == 1  # behind the one that has its turn, before all that wait
    many[0].leave()
    assert one.has_turn


def test_dear_wishes_go_further_back():
    turns = Turns(1, 10)
    turns.ask("somebody")
    turns.ask("dear", cost=10)
    again, cheap = turns.ask("dear"), [turns.ask("cheap") for _ in range(5)]
    assert again.ahead == 7 and cheap[-1].ahead == 6


def test_a_full_line_refuses_and_whoever_has_most_of_it_makes_room_for_others():
    turns = Turns(1, 4)
    turns.ask("greedy")
    waiting = [turns.ask("greedy") for _ in range(4)]
    assert turns.ask("greedy") is None
    assert (one := turns.ask("modest")) is not None and one.ahead == 1
    assert waiting[-1].lost and waiting[-1].called.is_set() and waiting[-1].ahead == 0
    assert list(waiting[-1].waiting(never)) == []
    for visitor in ("another", "third"):
        assert turns.ask(visitor) is not None
    assert turns.ask("fourth") is None  # greedy has but one by now, as all others
    assert [place.lost for place in waiting] == [False, True, True, True]


def test_whoever_leaves_frees_the_place_and_leaving_twice_does_no_harm():
    turns = Turns(1, 2)
    told, waits, last = turns.ask("a"), turns.ask("b"), turns.ask("c")
    waits.leave()
    assert last.ahead == 1 and turns.ask("d") is not None
    told.leave(), told.leave(), waits.leave()
    assert last.has_turn
    assert turns.ask("e").ahead == 2  # not two turns at once


def test_who_waits_is_told_how_many_are_ahead_and_stops_waiting_with_the_turn_or_when_they_give_up():
    turns = Turns(1, 10)
    told, given_up = turns.ask("a"), threading.Event()
    waits, leaves = turns.ask("b"), turns.ask("c")
    ahead = leaves.waiting(given_up.is_set)
    assert next(ahead) == 2
    waits.leave()
    assert next(ahead) == 1
    given_up.set()
    assert list(ahead) == [] and not leaves.has_turn
    leaves.leave()
    last = turns.ask("d")
    threading.Timer(0.05, told.leave).start()
    assert list(last.waiting(never)) == [1] and last.has_turn


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["ask", "leave"]), st.integers(0, 20)), max_size=60))
def test_whatever_comes_and_goes_nobody_is_forgotten(steps):
    turns, places = Turns(2, 5), []
    for visitor, what, number in steps:
        if what == "ask" and (place := turns.ask(visitor, 1 + number % 3)):
            places.append(place)
        elif what == "leave" and places:
            places.pop(number % len(places)).leave()
        here = [place for place in places if not place.lost]
        having = [place for place in here if place.has_turn]
        assert len(having) == min(2, len(here))
        assert sorted(place.ahead for place in here if not place.has_turn) == list(
            range(1, 1 + len(here) - len(having))
        )


def test_many_threads_have_their_turns_one_after_another():
    turns, at_once, most, done = Turns(3, 100), [0], [0], []
    guard = threading.Lock()

    def visit(number: int) -> None:
        place = turns.ask(f"visitor {number}")
        for _ in place.waiting(never):
            pass
        with guard:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        time.sleep(0.001)
        with guard:
            at_once[0] -= 1
            done.append(number)
        place.leave()

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == list(range(40)) and most[0] <= 3
