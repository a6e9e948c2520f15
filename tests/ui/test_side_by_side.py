"""Tellings on several cards at once, which one listener shows."""

import json
import threading
from collections.abc import Iterator
from html import escape
from types import SimpleNamespace

import gradio as gr
import pytest

from storylab.decoding import Settings
from storylab.limits import Limits
from storylab.storytellers import load
from storylab.ui import compare, slot, turns
from storylab.ui.address import Address
from storylab.ui.admission import Admission
from storylab.ui.compare import CompareTab
from storylab.ui.side_by_side import SideBySide
from storylab.ui.texts import Labels
from storylab.ui.visits import Run, Visits

ME = SimpleNamespace(session_hash="me", headers={}, query_params={})
DOG = "My dog ran away."
TELLERS = ("seq2seq", "gpt2-mini")
ROW = {"name": "seq2seq", "title": "A teller", "kind": "seq2seq", "parameters": 12_345_678}


def test_nobody_waits_for_the_slowest():
    go = threading.Event()

    def slow() -> Iterator[str]:
        go.wait()
        yield "late"

    both, seen = SideBySide({"slow": slow(), "quick": iter(["first", "last"])}), {}
    while seen.get("quick") != "last":
        seen |= both.newest()
    assert "slow" not in seen
    go.set()
    while (new := both.newest()) is not None:
        seen |= new
    assert seen == {"slow": "late", "quick": "last"} and both.newest() is None


def test_the_time_to_wait_is_heeded():
    go = threading.Event()
    waiting = SideBySide({"slow": iter(go.wait, True)})
    assert waiting.newest(0.01) == {}
    go.set()
    assert waiting.newest() == {} and waiting.newest() is None


@pytest.fixture
def tab() -> CompareTab:
    with gr.Blocks(), gr.Tab("Compare") as tab:
        return CompareTab(tab, Labels(), Visits(), Address())


def ask(tab: CompareTab, opening: str = DOG, tellers=TELLERS, **settings) -> Iterator[dict]:
    """What the listener gives, as new values by component."""
    values = (Settings(**settings)).to_dict()
    fields = [values[name] for name in tab.ask.controls.fields]
    outputs = ["problem", "query", *tab.slots, "several", "history"]
    for given in tab._tell(ME, opening, list(tellers), 1, "same", "5", *fields):
        yield dict(zip(outputs, given, strict=True))


def test_each_card_tells_what_its_storyteller_tells_alone(tab):
    first, *others = ask(tab)
    assert "seed=5" in first["query"] and first["problem"] == ""
    assert all(first[name]["visible"] == (name in TELLERS) for name in tab.slots)
    for name in TELLERS:
        *_, card = (looks[name] for looks in others if isinstance(looks[name], str))
        for sentence in load(name).tell(DOG, seed=5).story:
            assert escape(sentence) in card
    *_, history = (looks["history"] for looks in others if isinstance(looks["history"], str))
    assert {telling["model"] for telling in json.loads(history)} == set(TELLERS)


def test_what_cannot_be_told_leaves_the_cards_alone(tab):
    (only,) = ask(tab, opening=" ")
    assert 'role="alert"' in only["problem"]
    assert all(only[name] == gr.skip() for name in (*tab.slots, "several", "history", "query"))


def test_closing_the_listener_ends_all_tellings(tab):
    looks = ask(tab, temperature=5.0, top_p=1.0, sentences=10, max_new_tokens=512)
    next(looks)
    looks.close()
    assert all(run.stop.is_set() for run in tab.visits.runs("me").values())


def test_a_card_that_is_told_anew_is_left_to_its_own_listener(tab):
    looks = ask(tab, temperature=5.0, top_p=1.0, sentences=10, max_new_tokens=512)
    next(looks)
    tab.visits.again("me", "seq2seq")
    given = [next(looks) for _ in range(6)]
    assert all(one["seq2seq"] == gr.skip() for one in given)
    assert any(isinstance(one["gpt2-mini"], str) for one in given)
    looks.close()


@pytest.fixture
def line(monkeypatch) -> Admission:
    """A line before one turn, which somebody else has."""
    monkeypatch.setattr(turns, "PATIENCE", 0.01)
    narrow = Admission(Limits(at_once=1, queue=1, tellings_a_minute=3))
    for module in (compare, slot):
        monkeypatch.setattr(module, "admission", lambda: narrow)
    narrow.holder = narrow.turns.ask("somebody else")
    return narrow


def test_who_waits_in_line_is_told_their_number_and_can_stop(tab, line):
    looks = ask(tab)
    first = next(looks)
    assert all("You are number 1 in line" in first[name]["value"] for name in TELLERS)
    threading.Timer(0.05, tab.visits.stop, ["me"]).start()
    rest = list(looks)
    for name in TELLERS:
        *_, card = (looks[name] for looks in rest if looks[name] != gr.skip())
        assert "stopped" in (card if isinstance(card, str) else card["value"])
    assert line.turns.ahead(line.turns.ask("the next one")) == 1  # the place is free again


def test_who_closes_the_page_while_waiting_leaves_the_line(tab, line):
    looks = ask(tab)
    next(looks)
    looks.close()
    assert all(run.stop.is_set() for run in tab.visits.runs("me").values())
    assert line.turns.ahead(line.turns.ask("the next one")) == 1


def test_whose_turn_comes_is_told(tab, line):
    looks = ask(tab, tellers=["seq2seq"])
    next(looks)
    line.holder.leave()
    told = [looks["history"] for looks in looks if isinstance(looks["history"], str)]
    assert json.loads(told[-1])[0]["text"] == load("seq2seq").tell(DOG, seed=5).text


def test_who_finds_the_line_full_is_told_so_and_keeps_what_stood_there(tab, line):
    line.turns.ask("another")
    tab.visits.start("me", [before := Run("seq2seq", DOG, Settings(), 1)])
    (only,) = ask(tab)
    assert "Too many people are waiting" in only["problem"]
    assert all(only[name] == gr.skip() for name in tab.slots) and tab.visits.runs("me") == {"seq2seq": before}
    assert line.allowance.take("me", 3) == 0  # what was refused is not counted


def test_who_has_had_many_tellings_is_told_when_there_are_more(tab, line):
    line.holder.leave()
    list(ask(tab))
    (only,) = ask(tab)
    assert "Everybody has 3 tellings a minute here; try again in " in only["problem"]
    assert [run.telling is not None for run in tab.visits.runs("me").values()] == [True, True]


def test_a_card_that_is_told_anew_waits_in_the_same_line(line):
    place = slot.Slot("seq2seq", slot.Cards({"seq2seq": ROW}), Visits(), Labels(), visible=True)
    place.visits.start("me", [Run("seq2seq", DOG, Settings(), 1)])
    place.visits.again("me", "seq2seq")
    looks = place._tell(ME)
    assert "You are number 1 in line" in next(looks)[0]
    line.holder.leave()
    *_, (card, _), _, _ = looks
    assert 'class="card told"' in card
    line.turns.ask("a"), line.turns.ask("b")
    place.visits.again("me", "seq2seq")
    refused = next(place._tell(ME))[0]
    assert 'class="card failed"' in refused and "Too many people are waiting" in refused
