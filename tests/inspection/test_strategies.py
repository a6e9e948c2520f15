"""Strategies side by side, and the sweep over the temperature."""

import json
import threading

import pytest

from storylab.cli import main
from storylab.errors import StoryLabError
from storylab.inspection.strategies import STRATEGIES, stream_strategies, tell_strategies
from storylab.inspection.sweep import OPENINGS, TEMPERATURES, sweep
from storylab.storytellers import load
from storylab.storytellers.telling import Piece

OPENING = "My dog ran away."


def test_the_strategies_are_those_of_the_field():
    settings = list(STRATEGIES.values())
    assert {one.strategy for one in settings} == {"greedy", "beam", "sample"}
    temperatures = [one.temperature for name, one in STRATEGIES.items() if name.startswith("temperature")]
    assert (min(temperatures), max(temperatures)) == (0.1, 1.5)
    for cut, off in {"top_k": 0, "top_p": 1, "min_p": 0, "typical_p": 1}.items():
        alone = [one for one in settings if one.strategy == "sample" and getattr(one, cut) != off]
        assert len(alone) == 1 and alone[0].temperature == 1


@pytest.mark.parametrize("name", ["seq2seq", "gpt2-mini-finetuned"])
def test_each_strategy_tells_what_it_tells_alone(name):
    storyteller = load(name)
    told = dict(tell_strategies(storyteller, OPENING, seed=1))
    assert told.keys() == STRATEGIES.keys()
    for strategy, settings in STRATEGIES.items():
        alone = storyteller.tell(OPENING, settings, seed=1)
        assert (told[strategy].text, told[strategy].ended_by) == (alone.text, alone.ended_by), strategy
        assert told[strategy].settings == settings.to_dict()


def test_the_pieces_of_all_stories_come_in_turns_and_stop_when_asked():
    stop, pieces, told = threading.Event(), [], {}
    for name, new in stream_strategies(load("seq2seq"), OPENING, 1, stop):
        if isinstance(new, Piece):
            pieces.append(name)
        else:
            told[name] = new
        if len(pieces) == 18:
            stop.set()
    assert len(set(pieces)) == 9 and len(pieces) <= 18 + 9
    assert told.keys() == STRATEGIES.keys()
    assert {telling.ended_by for telling in told.values()} == {"stopped"}


def test_a_drawn_seed_is_shared_and_reported():
    (_, first), *rest = tell_strategies(load("seq2seq"), OPENING)
    assert {telling.seed for _, telling in rest} == {first.seed}


def test_a_bad_opening_is_refused_before_anything_is_told():
    with pytest.raises(StoryLabError, match="empty"):
        next(stream_strategies(load("seq2seq"), "", 1))


@pytest.mark.parametrize("name", ["seq2seq", "gpt2-mini-finetuned"])
def test_a_sweep_goes_from_collapse_to_word_salad(name):
    cold, hot = sweep(load(name), OPENINGS[:4], (0.1, 1.5))
    assert cold.repetition_4 > hot.repetition_4 == 0
    assert cold.distinct_2 < 0.9 < hot.distinct_2
    assert cold.perplexity_per_word < 15  # people's stories: about 50
    assert hot.perplexity_per_word > 500
    assert cold.four_sentences > hot.four_sentences


def test_a_point_measures_the_stories_that_are_told_alone():
    storyteller = load("seq2seq")
    (point,) = sweep(storyteller, [OPENING], [0.7], seed=3)
    *pieces, told = storyteller.stream(OPENING, {"temperature": 0.7, "top_p": 1}, seed=3)
    assert point.words == len(told.text.split())
    assert told.finished == (point.four_sentences == 1.0)  # that of this seed has four and ends
    assert point.stories == 1 and point.perplexity_per_word > 1
    assert pieces


def test_a_stopped_sweep_gives_no_point_that_is_not_whole():
    stop = threading.Event()
    points = []
    for point in sweep(load("seq2seq"), OPENINGS[:2], TEMPERATURES, stop=stop):
        points.append(point)
        stop.set()
    assert len(points) == 1


def test_the_openings_share_a_batch():
    for name in ("seq2seq", "gpt2-mini"):
        kind = load(name).kind
        assert len({kind.prompt(opening)["input_ids"].shape[1] for opening in OPENINGS}) == 1


def test_the_command_prints_every_strategy(capsys):
    assert main(["strategies", OPENING, "--model", "seq2seq", "--seed", "1", "--json"]) in (0, None)
    printed = json.loads(capsys.readouterr().out)
    assert {one["strategy"] for one in printed} == STRATEGIES.keys()
    assert {one["seed"] for one in printed} == {1}
