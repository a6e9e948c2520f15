"""The Decoding tab's parts that need no server: its HTML, its charts, what stops its work."""

import pytest

from storylab.decoding import Settings
from storylab.inspection.next_token import next_token
from storylab.inspection.strategies import STRATEGIES
from storylab.inspection.sweep import TEMPERATURES, SweepPoint
from storylab.storytellers import load
from storylab.ui import decoding_charts, decoding_view
from storylab.ui.decoding_next import SLIDERS, next_settings
from storylab.ui.decoding_stops import Stops
from storylab.ui.texts import LANGUAGES, Say

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


def test_newer_work_ends_the_older_and_a_stop_ends_the_newest():
    stops = Stops()
    first, other = stops.begin("me"), stops.begin("you")
    second = stops.begin("me")
    assert first.is_set() and not second.is_set() and not other.is_set()
    assert stops.is_last("me", second) and not stops.is_last("me", first)
    stops.end("me")
    assert second.is_set()
    stops.leave("you")
    assert other.is_set() and not stops.is_last("you", other)
