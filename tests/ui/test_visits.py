"""What visitors asked for, what was told to them, and whose storyteller is whose."""

from types import SimpleNamespace

import pytest

from storylab.decoding import Settings
from storylab.errors import StoryLabError
from storylab.storytellers import Telling, load
from storylab.ui.visits import MOST_OWN, MOST_TELLINGS, OWN_NAME, Run, Visits


def run(name: str = "teller", place: str = "") -> Run:
    return Run(name, "It rained.", Settings(), 1, place=place)


def telling(seed: int = 1) -> Telling:
    return load("seq2seq").tell("It rained.", {"max_new_tokens": 8}, seed)


def test_stop_ends_all_that_a_visitor_asked_for_and_nothing_else():
    visits, mine, other, theirs = Visits(), run("a"), run("b"), run("a")
    visits.start("me", [mine, other])
    visits.start("they", [theirs])
    assert visits.take("me", "a") is mine
    visits.stop("me")
    assert mine.stop.is_set() and other.stop.is_set() and not theirs.stop.is_set()
    assert visits.take("me", "b") is other  # still in line: it is taken up, and says that it was stopped


def test_a_new_telling_replaces_the_one_before():
    visits, before, after = Visits(), run(), run()
    visits.start("me", [before])
    visits.start("me", [after])
    assert before.stop.is_set() and before.replaced
    assert visits.take("me", "teller") is after
    assert visits.take("me", "teller") is None  # each is told once


def test_again_keeps_all_but_the_seed():
    visits, before = Visits(), run()
    assert visits.again("me", "teller") is None
    visits.start("me", [before])
    again = visits.again("me", "teller")
    assert (again.opening, again.settings) == (before.opening, before.settings)
    assert again.seed != before.seed and not again.stop.is_set()
    assert visits.take("me", "teller") is again
    visits.stop("me")
    assert again.stop.is_set()


def test_a_closed_page_ends_its_tellings_and_is_forgotten():
    visits, mine = Visits(), run()
    visits.start("me", [mine])
    visits.leave("me")
    assert mine.stop.is_set()
    assert visits.take("me", "teller") is None


def test_what_was_told_is_remembered_the_newest_first_and_no_more_than_fits():
    visits, asked, told = Visits(), run(), telling()
    visits.start("me", [asked])
    visits.note("me", asked, told)
    newer = telling(2)
    visits.note("me", asked, newer)
    assert visits.runs("me")["teller"].telling is newer
    visits.remember("me", [told] * MOST_TELLINGS)
    assert visits.history("me")[:2] == [newer, told] and len(visits.history("me")) == MOST_TELLINGS
    assert visits.history("they") == []
    visits.forget("me")
    assert visits.history("me") == [] and visits.runs("me")["teller"].telling is newer


def test_an_empty_telling_is_no_history():
    visits, asked = Visits(), run()
    visits.start("me", [asked])
    visits.note("me", asked, Telling.from_dict(telling().to_dict() | {"story": [], "text": ""}))
    assert visits.history("me") == []


def test_two_places_of_one_storyteller_are_kept_apart():
    visits, first, second = Visits(), run(place="seed-1"), run(place="seed-2")
    visits.start("me", [first, second])
    assert visits.take("me", "teller") is None
    assert visits.take("me", "seed-2") is second and visits.take("me", "seed-1") is first
    assert visits.again("me", "seed-1").place == "seed-1"


def test_a_pin_stays_until_it_is_taken_away_and_is_nobody_elses():
    visits, told = Visits(), telling()
    visits.pin("me", told)
    visits.start("me", [run()])
    assert visits.pinned("me") is told and visits.pinned("they") is None
    visits.pin("me", None)
    assert visits.pinned("me") is None


def test_ones_own_storyteller_is_ones_own_until_the_page_is_closed():
    visits, mine = Visits(), SimpleNamespace(name=OWN_NAME)
    visits.keep_own("me", mine)
    assert visits.load("me", OWN_NAME) is mine
    assert visits.load("they", "seq2seq") is load("seq2seq")
    with pytest.raises(StoryLabError, match="train it again"):
        visits.load("they", OWN_NAME)
    for number in range(MOST_OWN):
        visits.keep_own(str(number), mine)
    assert visits.own("me") is None  # the oldest is given up
    visits.leave("0")
    assert visits.own("0") is None
