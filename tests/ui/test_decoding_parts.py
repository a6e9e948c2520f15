"""The Decoding tab's parts that need no server: its HTML and its charts."""

from types import SimpleNamespace

import gradio as gr
import pytest

from storylab.decoding import Settings
from storylab.inspection.next_token import next_token
from storylab.inspection.strategies import STRATEGIES
from storylab.inspection.sweep import TEMPERATURES, SweepPoint
from storylab.storytellers import load
from storylab.ui import decoding_charts, decoding_view
from storylab.ui.address import Address
from storylab.ui.admission import admission
from storylab.ui.allowance import Allowance
from storylab.ui.decoding import DecodingTab
from storylab.ui.decoding_next import SLIDERS, next_settings
from storylab.ui.texts import LANGUAGES, Labels, Say
from storylab.ui.visits import OWN_NAME, Visits

SAY = Say()
NASTY = "<img src=x onerror=alert(1)> & {{value}}"
POINTS = [
    SweepPoint(temperature, 8, 0.5, 0.9, 1.0, 30.0, 10.0**place) for place, temperature in enumerate(TEMPERATURES)
]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_strategy_has_a_card_with_its_name_and_meaning(language):
    shown = decoding_view.strategies({}, None, False, Say(language))
    assert [shown.count(f'data-strategy="{name}"') for name in STRATEGIES] == [1] * len(STRATEGIES)
    assert shown.count('class="strategy idle"') == len(STRATEGIES)


def test_stories_are_escaped_and_named_faults_stand_beside_them():
    told = load("seq2seq").tell("My dog ran away.", {"strategy": "greedy", "max_new_tokens": 3}, seed=1)
    shown = decoding_view.strategies({"greedy": told, "beam": NASTY}, 7, True, SAY)
    assert NASTY not in shown and "&lt;img" in shown
    assert "Cut off." in shown and 'aria-busy="true"' in shown and "seed 7" in shown
    assert shown.count("waiting") == len(STRATEGIES) - 2


def test_bars_have_a_row_a_token_and_a_column_a_stage():
    storyteller = load("seq2seq")
    settings = Settings(temperature=0.5, top_p=1, top_k=2)
    stages = next_token(storyteller, "My dog ran away.", "", settings)
    shown = decoding_view.bars(stages, settings, storyteller.kind.end, SAY)
    assert shown.count("<tr>") == 13 and shown.count('class="bar"') == 36
    assert "Temperature 0.5" in shown and "Top-k 2" in shown and "2 tokens" in shown
    assert f"{stages[0].entropy:.2f} bits" in shown
    assert shown.count("<b>–</b>") == 10  # cut off by top-k
    for found in stages[0].shown:
        assert f'data-token="{found.token}"' in shown


def test_the_sliders_make_settings_that_sample():
    settings = next_settings([1.2, 0.7, 40, 0.9, 0.05, 0.8])
    assert [getattr(settings, name) for name in SLIDERS] == [1.2, 0.7, 40, 0.9, 0.05, 0.8]
    assert settings.strategy == "sample"


def test_the_charts_hold_every_point_and_keep_their_axes():
    for points in ([], POINTS):
        shares = decoding_charts.shares(points, TEMPERATURES, SAY).to_dict()
        surprise = decoding_charts.surprise(points, TEMPERATURES, 53.3, SAY).to_dict()
        assert len(shares["layer"][0].get("data", shares.get("data"))["values"]) == 3 * len(points)
        domain = surprise["layer"][0]["encoding"]["x"]["scale"]["domain"]
        assert domain == [0, max(TEMPERATURES)]
        assert surprise["layer"][-1]["mark"]["type"] == "rule"
    assert "10" in decoding_view.sweep_table(POINTS, SAY)


# What a visitor asks for, and when

VALUES = [1, 1, 0, 1, 0, 1]


@pytest.fixture(scope="module")
def tab():
    with gr.Blocks(), gr.Tabs(), gr.Tab("decoding") as place:
        return DecodingTab(place, Labels(), Visits(), Address())


@pytest.fixture
def me(tab):
    visitor = SimpleNamespace(session_hash="me", headers={}, query_params={})
    yield visitor
    tab.line.leave("me")
    tab.sweep.line.leave("me")


def ask(tab, me, seed: str, name: str = "seq2seq", text: str = "") -> list:
    return tab._ask(me, "My dog ran away.", name, seed, text, *VALUES)


def test_each_thing_that_was_asked_for_is_told_once_and_the_newest_counts(tab, me):
    ask(tab, me, "1")
    ask(tab, me, "2")
    *_, told = tab._tell(me)
    assert "seed 2" in told and told.count('class="strategy told"') == len(STRATEGIES)
    assert list(tab._tell(me)) == [gr.skip()]  # the listener of the first


def test_what_waits_in_line_can_be_stopped(tab, me):
    ask(tab, me, "1")
    assert tab._stop(me).count('class="strategy idle"') == len(STRATEGIES)
    assert list(tab._tell(me)) == [gr.skip()]
    progress, *_ = tab.sweep._ask(me, "seq2seq")
    assert "Waiting in line" in progress
    assert "Stopped" in tab.sweep._stop(me)
    assert [look[0] for look in tab.sweep._run(me)] == [gr.skip()]
    assert tab.sweep._stop(me) == gr.skip()  # nothing is left


def test_a_newer_press_ends_what_is_told_and_nothing_old_is_shown(tab, me):
    ask(tab, me, "1")
    telling = tab._tell(me)
    assert "seed 1" in next(telling)
    ask(tab, me, "2")
    assert set(map(str, telling)) <= {str(gr.skip())}
    tab._stop(me)


def test_whatever_goes_wrong_is_said_and_logged(tab, me, monkeypatch, capsys):
    ask(tab, me, "1", OWN_NAME)  # that is gone
    assert "train it again" in list(tab._tell(me))[-1]
    monkeypatch.setattr(tab.visits, "load", lambda *_: 1 / 0)
    for asked, looks in ((ask, tab._tell), (lambda *_: tab.sweep._ask(me, "seq2seq"), tab.sweep._run)):
        asked(tab, me, "1")
        assert "Something went wrong" in str(list(looks(me))[-1])
        assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_text_with_half_a_character_is_refused_in_words(tab, me):
    assert "surrogate" in ask(tab, me, "1", text="He \ud800")[0]
    assert tab._follow("My dog ran away.", "seq2seq", "1", None, "\ud800", *VALUES) == gr.skip()


def test_a_link_with_a_text_that_is_too_long_leaves_the_text_as_it_was(tab):
    values = dict(zip(tab.arriving, tab.arrive({"text": "x" * 2001}, SAY), strict=True))
    assert "at most 2,000" in values[tab.problem] and values[tab.next.text] == gr.skip()


def test_a_storyteller_that_is_gone_is_chosen_no_longer(tab, me):
    update, *_ = tab._open(me, OWN_NAME)
    assert update["value"] in [name for _, name in update["choices"]] and update["value"] != OWN_NAME


def test_a_sweep_that_is_stopped_before_its_turn_takes_nothing_off_the_allowance(tab, me, monkeypatch):
    allowance = Allowance(len(TEMPERATURES))
    monkeypatch.setattr(admission(), "allowance", allowance)
    tab.sweep._ask(me, "seq2seq")
    assert allowance.take("me", 1) > 0  # it takes the whole
    tab.sweep._stop(me)
    assert allowance.take("me", len(TEMPERATURES)) == 0
