"""A text told anew from one of its tokens on."""

import json
import threading

import pytest

from storylab.cli import main
from storylab.errors import StoryLabError
from storylab.inspection.branch import branch, branch_stream, token_named
from storylab.inspection.tokens import read_text
from storylab.storytellers import Piece, load

OPENING = "My dog ran away."
TEXT = "I looked for him all day. I put up posters. The next day my neighbor called the elephant."
BUNDLED = ("encoder", "seq2seq", "gpt2-mini-finetuned")


def place_of(name: str, word: str, text: str = TEXT) -> int:
    tokens = read_text(load(name), OPENING, text).tokens
    return next(number for number, token in enumerate(tokens) if token.text == word)


@pytest.mark.parametrize("name", BUNDLED)
@pytest.mark.parametrize("settings", [None, {"strategy": "greedy"}, {"repetition_penalty": 1.3, "sentences": 2}])
def test_from_the_beginning_it_is_a_telling(name, settings):
    telling = load(name).tell(OPENING, settings, seed=7)
    told = branch(load(name), OPENING, TEXT, 0, settings=settings, seed=7)
    assert (told.kept, told.new) == ("", telling.text)
    same = ("text", "story", "ended_by", "tokens", "seed", "settings", "pathologies")
    assert [getattr(told.telling, field) for field in same] == [getattr(telling, field) for field in same]


@pytest.mark.parametrize("name", BUNDLED)
def test_with_its_own_seed_a_telling_goes_on_as_it_was(name):
    telling = load(name).tell(OPENING, seed=11)
    read = read_text(load(name), OPENING, telling.text).tokens
    assert len(read) == telling.tokens + 1  # it was told in the tokens that reading cuts it into
    for position in (1, 5, len(read) - 1):
        assert branch(load(name), OPENING, telling.text, position, seed=11).telling.text == telling.text


@pytest.mark.parametrize("name", BUNDLED)
def test_the_token_stands_where_it_was_put_and_all_before_it_is_kept(name):
    storyteller, place = load(name), place_of(name, " elephant")
    police = token_named(storyteller, " police")
    first, again = (branch(storyteller, OPENING, TEXT, place, police, seed=3) for _ in range(2))
    assert first.kept == TEXT[: TEXT.index(" elephant")]
    assert first.new.startswith(" police")
    assert first.telling.text == first.kept + first.new == again.telling.text
    assert len(first.telling.story) <= 4
    assert branch(storyteller, OPENING, TEXT, place, police, seed=4).new != first.new


def test_the_end_put_anywhere_ends_the_story():
    storyteller = load("seq2seq")
    told = branch(storyteller, OPENING, TEXT, 7, storyteller.kind.end, seed=1)
    assert (told.new, told.telling.text, told.telling.ended_by) == ("", "I looked for him all day.", "end")


def test_bytes_of_a_character_that_is_cut_in_two_are_kept():
    text = "He saw a 🐕 there."
    storyteller = load("seq2seq")
    read = read_text(storyteller, OPENING, text).tokens
    third = next(n for n, token in enumerate(read) if token.piece == "<0x9F>") + 1
    told = branch(storyteller, OPENING, text, third, read[third].token, {"max_new_tokens": 2, "sentences": 9}, seed=1)
    assert told.kept.strip() == "He saw a"
    assert told.telling.tokens == third + 2
    whole = branch(storyteller, OPENING, text, third + 2, seed=1)
    assert whole.kept == "He saw a 🐕"


def test_the_limits_of_the_settings_hold():
    told = branch(load("seq2seq"), OPENING, TEXT, 3, settings={"max_new_tokens": 2}, seed=1)
    assert (told.telling.tokens, told.telling.ended_by) == (5, "tokens")
    hot = {"temperature": 3, "top_p": 1, "sentences": 3}
    told = branch(load("seq2seq"), OPENING, TEXT, place_of("seq2seq", " The"), settings=hot, seed=1)
    assert len(told.telling.story) <= 3
    with pytest.raises(StoryLabError, match=r"1 sentences .* end before token"):
        branch(load("seq2seq"), OPENING, TEXT, place_of("seq2seq", " neighbor"), settings={"sentences": 1})


def test_stop_ends_it():
    stop = threading.Event()
    pieces = branch_stream(load("gpt2-mini"), OPENING, TEXT, 3, seed=1, stop=stop)
    for _ in range(3 + 3):  # kept, told
        assert isinstance(next(pieces), Piece)
    stop.set()
    (told,) = pieces
    assert told.telling.ended_by == "stopped"
    assert told.telling.tokens == 6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"position": -1}, "position must be"),
        ({"position": 10**9}, "position must be"),
        ({"position": True}, "position must be"),
        ({"position": "1"}, "position must be"),
        ({"position": 1.0}, "position must be"),
        ({"token": -1}, "token must be"),
        ({"token": 10**9}, "token must be"),
        ({"token": 0}, "token must be"),  # padding
        ({"token": "x"}, "token must be"),
        ({"token": False}, "token must be"),
        ({"settings": {"strategy": "beam"}}, "beam"),
        ({"settings": {"heat": 1}}, "unknown setting"),
        ({"seed": -1}, "seed"),
        ({"opening": ""}, "empty"),
        ({"text": "x" * 2001}, "at most 2,000"),
        ({"text": "🐕" * 200, "position": 700}, "fills all"),
    ],
)
def test_bad_input_is_answered_in_words(changes, message):
    asked = {"opening": OPENING, "text": TEXT, "position": 1} | changes
    with pytest.raises(StoryLabError, match=message):
        branch(load("seq2seq"), **asked)


def test_tokens_have_names():
    storyteller = load("seq2seq")
    named = lambda text: storyteller.tokenizer.convert_ids_to_tokens(token_named(storyteller, text))  # noqa: E731
    assert [named(" police"), named("police"), named("ing"), named("</s>")] == [" police", " police", "ing", "</s>"]
    with pytest.raises(StoryLabError, match="cuts it into ' ', ' police', ' dog'"):
        token_named(storyteller, " police dog")


def test_the_command_says_what_the_function_says(capsys):
    place = place_of("gpt2-mini", " elephant")
    asked = ["branch", OPENING, TEXT, "--model", "gpt2-mini", "--at", str(place), "--token", " police", "--seed", "5"]
    assert main([*asked, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    told = branch(load("gpt2-mini"), OPENING, TEXT, place, token_named(load("gpt2-mini"), " police"), seed=5)
    assert (said["kept"], said["new"], said["token"]) == (told.kept, told.new, told.token)
    assert main(asked) == 0
    assert f"{OPENING} {told.kept}[{told.new}]" in capsys.readouterr().out
    assert main([*asked[:-3], "cat dog"]) == 2
    error = capsys.readouterr().err
    assert "is no token of gpt2-mini" in error and error.count("\n") == 1
