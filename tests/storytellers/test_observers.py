"""What observers hear of tellings: how each ended, once, and nothing of those that nobody asked for."""

import threading

import pytest

from storylab.decoding import Settings
from storylab.errors import StoryLabError
from storylab.storytellers import load, observers
from storylab.storytellers.together import tell_side_by_side, tell_together

OPENING = "It rained."
SHORT = Settings.from_mapping({"max_new_tokens": 5})


@pytest.fixture(scope="module")
def teller():
    return load("seq2seq", dtype="fp32")


@pytest.fixture
def heard():
    accounts = []
    end = observers.observe(accounts.append)
    yield accounts
    end()


def test_a_telling_is_heard_of_with_what_it_says_of_itself(teller, heard):
    telling = teller.tell(OPENING, SHORT, seed=3)
    (account,) = heard
    assert account.telling is telling and account.error is None
    assert (account.storyteller, account.seed, account.tokens) == (teller.name, 3, telling.tokens)
    assert (account.ended_by, account.seconds) == (telling.ended_by, telling.seconds)
    assert account.seconds_to_first_token == telling.seconds_to_first_token > 0
    assert (account.engine, account.dtype) == ("onnx", "fp32")


def test_a_beam_search_is_heard_of_too(teller, heard):
    teller.tell(OPENING, {"strategy": "beam", "num_beams": 2, "max_new_tokens": 5}, seed=3)
    assert [account.ended_by for account in heard] == ["tokens"]


def test_somebody_who_goes_away_leaves_a_telling_that_was_left(teller, heard):
    pieces = teller.stream(OPENING, SHORT, seed=3)
    next(pieces), next(pieces)
    assert heard == [] and observers.running() == 1
    pieces.close()
    (account,) = heard
    assert (account.ended_by, account.tokens, account.seed, account.telling) == ("left", 2, 3, None)
    assert account.seconds >= account.seconds_to_first_token > 0 and observers.running() == 0


def test_going_away_behind_the_telling_changes_nothing(teller, heard):
    pieces = teller.stream(OPENING, SHORT, seed=3)
    while not heard:
        next(pieces)
    pieces.close()
    assert [account.ended_by for account in heard] == ["tokens"]


def test_a_stopped_telling_is_stopped(teller, heard):
    stop = threading.Event()
    stop.set()
    list(teller.stream(OPENING, SHORT, seed=3, stop=stop))
    assert [(account.ended_by, account.tokens, account.seconds_to_first_token) for account in heard] == [
        ("stopped", 0, None)
    ]


@pytest.mark.parametrize(("opening", "settings"), [("", {}), ("x" * 301, {}), (OPENING, {"temperature": -1})])
def test_what_is_refused_is_heard_of_as_refused(teller, heard, opening, settings):
    with pytest.raises(StoryLabError) as refusal:
        teller.tell(opening, settings, seed=3)
    (account,) = heard
    assert (account.ended_by, account.error, account.seed, account.engine) == ("refused", refusal.value, None, "")
    assert observers.observed(refusal.value) and observers.running() == 0


def test_a_model_that_breaks_is_heard_of_as_failed(teller, heard, monkeypatch):
    monkeypatch.setattr(type(teller), "session", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        teller.tell(OPENING, SHORT, seed=3)
    assert [(account.ended_by, account.seed, type(account.error)) for account in heard] == [
        ("failed", 3, ZeroDivisionError)
    ]


def test_a_storyteller_that_cannot_be_loaded_is_heard_of(heard, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(StoryLabError):
        load(f"{tmp_path}/")
    assert [(account.storyteller, account.ended_by) for account in heard] == [(f"{tmp_path}/", "refused")]


def test_stories_told_together_are_heard_of_one_by_one(teller, heard):
    openings = [OPENING, "She laughed.", "He ran home."]
    told = dict(tell_together(teller, openings, SHORT, [1, 2, 3]))
    assert sorted(account.seed for account in heard) == [1, 2, 3]
    assert {account.seed: account.telling for account in heard} == {n + 1: telling for n, telling in told.items()}


def test_stories_told_side_by_side_are_counted_while_they_are_told(teller):
    tellings = [teller.begin(OPENING, SHORT, seed) for seed in (1, 2)]
    counts = [observers.running() for _ in tell_side_by_side(teller, tellings)]
    assert counts == [2] * 5 and observers.running() == 0


def test_what_nobody_asked_for_is_not_heard_of(teller, heard):
    with observers.unobserved():
        teller.tell(OPENING, SHORT, seed=3)
    assert heard == []
    teller.tell(OPENING, SHORT, seed=3)
    assert len(heard) == 1


def test_observers_are_heard_no_more_once_they_end(teller):
    accounts = []
    observers.observe(accounts.append)()
    teller.tell(OPENING, SHORT, seed=3)
    assert accounts == []
