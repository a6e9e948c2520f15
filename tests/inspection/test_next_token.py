"""The next token: its distribution stage by stage, and stories that are chosen token by token."""

import json
import math
from dataclasses import asdict, replace

import pytest
import torch

from storylab.cli import main
from storylab.decoding import PRESETS, Settings
from storylab.decoding.sampling import RandomStream, TokenChooser
from storylab.errors import StoryLabError
from storylab.inspection import next_token as module
from storylab.inspection.next_token import draw_next, expect, next_token, with_token
from storylab.inspection.tokens import read_text
from storylab.storytellers import load
from storylab.tokenizers import encode

OPENING = "My dog ran away."
PURE = PRESETS["pure"]
CUTS = {"top_k": 5, "top_p": 0.5, "min_p": 0.3, "typical_p": 0.5}


@pytest.mark.parametrize("name", ["encoder", "seq2seq", "gpt2-mini-finetuned"])
def test_the_model_expects_what_reading_a_text_says(name):
    storyteller = load(name, dtype="fp32")
    (stage,) = next_token(storyteller, OPENING, "I was", PURE)
    expected = read_text(storyteller, OPENING, "I was").tokens[-1]
    assert (stage.name, stage.kept) == ("model", len(storyteller.tokenizer))
    assert [found.token for found in stage.shown[:10]] == [found.token for found in expected.alternatives]
    assert stage.shown[0].probability == pytest.approx(expected.alternatives[0].probability, rel=1e-4)
    assert stage.entropy == pytest.approx(expected.entropy, rel=1e-4)


@pytest.mark.parametrize("name", ["encoder", "seq2seq", "gpt2-mini-finetuned"])
def test_the_context_is_that_of_a_telling(name):
    storyteller = load(name)
    expected = expect(storyteller, OPENING, "I was")
    begun = storyteller.session([OPENING]).context[0].tolist()
    assert expected.context[0].tolist() == begun + encode(storyteller.tokenizer, f"{OPENING} I was")[-2:]
    assert expected.told == 2


@pytest.mark.parametrize("name", ["encoder", "seq2seq", "gpt2-mini-finetuned"])
def test_a_text_longer_than_the_model_is_refused(name):
    with pytest.raises(StoryLabError, match=r"more than the \d+ that fit behind the opening"):
        expect(load(name), OPENING, "so " * (load(name).kind.positions + 1))


def test_each_setting_that_is_on_is_a_stage_in_the_order_of_the_telling():
    stages = next_token(load("seq2seq"), OPENING, "", Settings(temperature=0.5, repetition_penalty=1.3, **CUTS))
    assert [stage.name for stage in stages] == ["model", "repetition_penalty", "temperature", *CUTS]
    kept = [stage.kept for stage in stages[2:]]
    assert kept == sorted(kept, reverse=True)
    assert kept[1] == CUTS["top_k"]
    assert len({tuple(found.token for found in stage.shown) for stage in stages}) == 1


def test_a_low_temperature_sharpens_and_forbids_nothing():
    storyteller = load("seq2seq")
    model, cold = next_token(storyteller, OPENING, "", Settings(temperature=0.05, top_p=1))
    assert cold.entropy < model.entropy
    assert cold.kept == len(storyteller.tokenizer) - len(storyteller.mute)


def test_a_moved_slider_does_not_run_the_model(monkeypatch):
    storyteller = load("seq2seq")
    next_token(storyteller, OPENING, "He hid", PURE)
    monkeypatch.setattr(type(storyteller), "session", lambda *_: pytest.fail("the model was run"))
    assert len(next_token(storyteller, OPENING, "He hid", Settings(temperature=0.3))) == 3
    with pytest.raises(pytest.fail.Exception):
        next_token(storyteller, OPENING, "He hides", PURE)


def test_only_so_many_texts_are_remembered(monkeypatch):
    storyteller = load("seq2seq")
    monkeypatch.setattr(module, "REMEMBERED", 3)
    for word in ("one", "two", "three", "four"):
        expect(storyteller, OPENING, word)
    assert len(module._remembered[storyteller]) == 3


def test_the_cuts_leave_the_remembered_logits_as_they_were():
    storyteller = load("seq2seq")
    before = next_token(storyteller, OPENING, "", PURE)
    next_token(storyteller, OPENING, "", Settings(repetition_penalty=2, **CUTS))
    assert next_token(storyteller, OPENING, "", PURE) == before


@pytest.mark.parametrize("name", ["seq2seq", "gpt2-mini-finetuned"])
def test_draws_one_after_the_other_tell_the_story_of_the_seed(name):
    storyteller, settings, text = load(name), PRESETS["careful"], ""
    told = storyteller.tell(OPENING, settings, seed=5)
    for _ in range(10):
        text = with_token(storyteller, text, draw_next(storyteller, OPENING, text, settings, 5).token)
    assert len(text) > 20
    assert told.text.startswith(text)


def test_a_draw_names_the_probability_that_the_model_gives():
    storyteller = load("seq2seq")
    drawn = draw_next(storyteller, OPENING, "", PRESETS["greedy"], 1)
    (likeliest, *_) = next_token(storyteller, OPENING, "", PURE)[0].shown
    assert (drawn.token, drawn.text) == (likeliest.token, likeliest.text)
    assert math.isclose(drawn.probability, likeliest.probability, rel_tol=1e-4)


def test_a_token_that_is_no_text_is_not_added():
    storyteller = load("seq2seq")
    assert with_token(storyteller, "He ran.", storyteller.kind.end) == "He ran."
    byte = storyteller.tokenizer.convert_tokens_to_ids("<0xE2>")
    for token in (byte, storyteller.mute[0], -1, 10**6):
        with pytest.raises(StoryLabError):
            with_token(storyteller, "He ran.", token)
    with pytest.raises(StoryLabError, match="no text by itself"):
        with_token(storyteller, "He ran.", line_break(storyteller))  # the text would lose it, and draw it for ever


def line_break(storyteller) -> int:
    return storyteller.tokenizer.convert_tokens_to_ids("<0x0A>")


@pytest.fixture
def expecting(monkeypatch):
    """A function that changes what a storyteller expects, where its weights hardly ever would."""

    def change(**changes) -> None:
        monkeypatch.setattr(module, "expect", lambda *text: replace(expect(*text), **changes))

    return change


@pytest.mark.parametrize("strategy", ["greedy", "sample"])
def test_a_draw_passes_over_tokens_that_are_no_text(strategy, expecting):
    storyteller = load("seq2seq")
    settings = Settings(strategy=strategy, temperature=1, top_p=1)
    before, logits = (
        draw_next(storyteller, OPENING, "He ran", settings, 3),
        expect(storyteller, OPENING, "He ran").logits,
    )
    logits = logits.clone()
    for token in (line_break(storyteller), storyteller.tokenizer.convert_tokens_to_ids("<0xE2>")):
        logits[token] = logits.max() + 50
    expecting(logits=logits)
    assert draw_next(storyteller, OPENING, "He ran", settings, 3).token == before.token  # as if they were not there


def test_a_draw_says_so_where_only_tokens_that_are_no_text_are_left(expecting):
    storyteller = load("seq2seq")
    logits = torch.full_like(expect(storyteller, OPENING, "He ran").logits, -torch.inf)
    logits[line_break(storyteller)] = 0
    expecting(logits=logits)
    with pytest.raises(StoryLabError, match="no token that is text"):
        draw_next(storyteller, OPENING, "He ran", PURE, 1)


def test_where_every_token_is_forbidden_the_models_own_distribution_stands(expecting):
    storyteller = load("seq2seq")
    expected = expect(storyteller, OPENING, "")
    every = torch.arange(len(expected.logits))[None]
    expecting(context=every)  # all tokens have been told
    settings = Settings(temperature=0.5, top_p=0.9, no_repeat_ngram_size=1)
    stages = next_token(storyteller, OPENING, "", settings)
    assert [stage.name for stage in stages] == ["model", "no_repeat_ngram_size", "temperature", "top_p"]
    for stage in stages:
        assert stage.shown == stages[0].shown and math.isfinite(stage.entropy)
    chosen = TokenChooser(settings, RandomStream(1), storyteller.mute).transform(every, expected.logits)
    assert stages[-1].shown[0].probability == pytest.approx(float(chosen.exp().max()), rel=1e-4)
    greedy = next_token(storyteller, OPENING, "", replace(settings, strategy="greedy"))
    assert greedy[-1].shown[0].probability == 1 and greedy[-1].entropy == 0


def test_the_command_draws(capsys):
    arguments = ["next", OPENING, "He", "--model", "seq2seq", "--preset", "pure"]
    assert main([*arguments, "--draw", "--seed", "5", "--json"]) in (0, None)
    printed = json.loads(capsys.readouterr().out)
    drawn = draw_next(load("seq2seq"), OPENING, "He", PURE, 5)
    assert printed["drawn"] == pytest.approx(asdict(drawn)) and printed["seed"] == 5
    assert main([*arguments, "--json"]) in (0, None)
    assert json.loads(capsys.readouterr().out) == printed["stages"]  # the list that the endpoint returns
    assert main([*arguments, "--draw", "--seed", "5"]) in (0, None)
    out = capsys.readouterr().out
    assert f"drawn with seed 5: {drawn.text!r}" in out and " bits: " in out
    assert main([*arguments, "--seed", "5"]) not in (0, None)
    assert "--draw" in capsys.readouterr().err


def test_a_beam_search_has_no_next_token():
    with pytest.raises(StoryLabError, match="whole texts"):
        next_token(load("seq2seq"), OPENING, "", PRESETS["beam"])
