"""A text, token by token."""

import math

import pytest
import torch

from storylab.cli import main
from storylab.errors import StoryLabError
from storylab.evaluation.score import score, story_losses
from storylab.inspection.tokens import entropy, read_text
from storylab.stories import Story
from storylab.storytellers import load

STORY = Story(
    (
        "Mara planted three seeds in an old teapot.",
        "She watered them every morning before school.",
        "One day a small green leaf appeared.",
        "Her brother laughed and took a picture.",
        "By summer the teapot was full of flowers.",
    )
)
BUNDLED = ("encoder", "seq2seq", "gpt2-mini-finetuned")


@pytest.mark.parametrize("name", BUNDLED)
def test_the_log_probabilities_add_up_to_the_score(name):
    storyteller = load(name)
    reading = read_text(storyteller, STORY.opening, STORY.continuation)
    nll, tokens = story_losses(storyteller, [STORY])
    assert len(reading.tokens) == tokens[0]
    assert -sum(token.log_probability for token in reading.tokens) == pytest.approx(nll[0], rel=1e-4)


@pytest.mark.parametrize("name", BUNDLED)
def test_each_token_has_its_text_rank_entropy_and_alternatives(name):
    storyteller = load(name)
    reading = read_text(storyteller, STORY.opening, STORY.continuation)
    assert "".join(token.text for token in reading.tokens).strip() == STORY.continuation
    assert reading.tokens[-1].token == storyteller.kind.end
    for token in reading.tokens:
        probabilities = [other.probability for other in token.alternatives]
        assert len(probabilities) == 10
        assert probabilities == sorted(probabilities, reverse=True)
        assert 0 <= token.entropy <= math.log2(len(storyteller.tokenizer)) + 1e-3
        if token.entropy < 0.5:  # bits: nearly certain
            assert probabilities[0] > 0.5
        named = [other.token for other in token.alternatives]
        assert (token.token in named) == (token.rank <= 10)
        if token.rank <= 10:
            mine = token.alternatives[token.rank - 1]
            assert mine.probability == pytest.approx(math.exp(token.log_probability), rel=1e-4)


@pytest.mark.parametrize("name", BUNDLED)
def test_each_token_has_its_place_in_the_text_and_its_surprise(name):
    reading = read_text(load(name), STORY.opening, STORY.continuation)
    for token in reading.tokens[:-1]:
        assert f" {reading.text}"[token.start + 1 :].startswith(token.text)
        assert 2**-token.surprise == pytest.approx(math.exp(token.log_probability))
    assert (reading.tokens[0].start, reading.tokens[-1].start) == (-1, len(reading.text))


def test_the_perplexity_per_word_is_that_of_the_score():
    reading = read_text(load("gpt2-mini"), STORY.opening, STORY.continuation)
    expected = score(load("gpt2-mini"), [STORY])
    assert reading.words == expected.words
    assert reading.perplexity_per_word == pytest.approx(expected.perplexity_per_word, rel=1e-4)


def test_a_word_of_many_odd_tokens_has_no_perplexity_that_is_a_number():
    odd = "qZ7xJ%vK2" * 25
    assert read_text(load("gpt2-mini"), "My dog ran away.", odd).perplexity_per_word is None


def test_the_likeliest_token_is_what_a_greedy_telling_begins_with():
    storyteller = load("gpt2-mini-finetuned")
    greedy = storyteller.tell("My dog ran away", {"strategy": "greedy"}, seed=0)
    reading = read_text(storyteller, "My dog ran away", "")
    first = reading.tokens[0]
    assert len(reading.tokens) == 1  # the end, which is not what it expects here
    assert first.rank > 1
    assert greedy.text.startswith(first.alternatives[0].text.strip())


def test_characters_of_several_bytes_are_spelt_once_whole():
    reading = read_text(load("seq2seq"), "My dog ran away.", "He saw a 🐕 at 7 a.m.")
    assert "".join(token.text for token in reading.tokens).strip() == "He saw a 🐕 at 7 a.m."


def test_the_command_names_its_units(capsys):
    assert main(["tokens", "My dog ran away.", "He ran.", "--model", "seq2seq"]) in (0, None)
    head, *rows = capsys.readouterr().out.splitlines()
    assert "surprise, bits" in head and "entropy, bits" in head
    reading = read_text(load("seq2seq"), "My dog ran away.", "He ran.")
    assert f"{reading.tokens[0].surprise:.2f}" in rows[0] and f"{reading.tokens[0].entropy:.2f}" in rows[0]


def test_the_entropy_is_the_expected_surprise_in_bits():
    assert entropy(torch.tensor([0.5, 0.25, 0.25, 0.0])) == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("opening", "text", "message"),
    [
        ("", "He ran.", "empty"),
        ("My dog ran away.", "word " * 500, "at most 2,000"),
        ("My dog ran away.", "🐕" * 1000, "tokens"),
        ("My dog ran away.", "\ud800", "surrogate"),
    ],
)
def test_bad_input_is_answered_in_words(opening, text, message):
    with pytest.raises(StoryLabError, match=message):
        read_text(load("seq2seq"), opening, text)
