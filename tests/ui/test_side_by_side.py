"""Tellings on several cards at once, which one listener shows."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from html import escape
from types import SimpleNamespace

import gradio as gr
import pytest

from storylab.decoding import Settings
from storylab.storytellers import load
from storylab.ui import turns
from storylab.ui.address import Address
from storylab.ui.compare import CompareTab
from storylab.ui.side_by_side import SideBySide
from storylab.ui.slot import CONCURRENT_TELLINGS, Cards, Slot
from storylab.ui.texts import Labels, Say
from storylab.ui.visits import Run, Visits

ME = SimpleNamespace(session_hash="me", headers={}, query_params={})
SAY = Say()
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


def test_who_waits_in_line_can_be_stopped(monkeypatch):
    monkeypatch.setattr(turns, "PATIENCE", 0.01)
    place = Slot("seq2seq", Cards({"seq2seq": ROW}), Visits(), Labels(), visible=True)
    with ExitStack() as others:
        for _ in range(CONCURRENT_TELLINGS):
            others.enter_context(place._turns.turn(lambda: False))
        run = Run("seq2seq", DOG, Settings(), 1)
        threading.Timer(0.05, run.stop.set).start()
        *_, last = place.looks(run, SAY, "me")
    assert "stopped" in last and run.telling.tokens == 0
    with place._turns.turn(lambda: False):  # as many turns as before are free again
        assert place._turns._free == CONCURRENT_TELLINGS - 1


def test_who_came_first_has_the_next_turn():
    order, line = [], turns.Turns(1)

    def wait(number):
        with line.turn(lambda: False):
            order.append(number)

    with line.turn(lambda: False):
        threads = []
        for number in range(5):
            threads.append(threading.Thread(target=wait, args=(number,)))
            threads[-1].start()
            while len(line._line) <= number:
                time.sleep(0.001)
    for thread in threads:
        thread.join(10)
    assert order == [0, 1, 2, 3, 4]
