"""The parts of the Tokens tab that need no server: its HTML, its chart, what a browser or a link may say."""

import html
import json
import math
import re
from urllib.parse import parse_qsl

import pytest

from storylab.errors import StoryLabError
from storylab.inspection.tokens import Alternative, Reading, ReadToken, read_text
from storylab.storytellers import load
from storylab.ui import tokens
from storylab.ui.texts import LANGUAGES, Say
from storylab.ui.token_branch import Fork, View, branched, read_seed
from storylab.ui.token_chart import CHARACTER, END, LEFT, Row, chart
from storylab.ui.token_reading import Asked, looks
from storylab.ui.token_view import COLOURS, LEVELS, SCRIPT, level, readings, share
from storylab.ui.visits import Visits

SAY = Say()
NASTY = "<img src=x onerror=alert(1)> & {{value}} ${value} `x` \" '"


def token(text: str, start: int, probability: float = 0.5, rank: int = 1, entropy: float = 1.0) -> ReadToken:
    others = (Alternative(7, text, probability),)
    surprise = -math.log2(probability)
    return ReadToken(7, text, text, start, math.log(probability), surprise, rank, entropy, others)


def row(name: str = "teller", text: str = "He ran.", cuts: tuple = (" He", " ran", "."), problem: str = "") -> Row:
    starts = [sum(map(len, cuts[:number])) - 1 for number in range(len(cuts))]
    read = [*map(token, cuts, starts), token("</s>", len(text))]
    reading = None if problem else Reading(name, "It rained.", text, tuple(read), 3, 12.5)
    return Row(name, f"A {name}", "#0072b2", reading, problem)


def test_what_people_and_models_write_is_never_markup():
    nasty = row(name=NASTY, text=NASTY, cuts=(f" {NASTY}",))
    for made in (
        readings([nasty], "1", SAY),
        readings([row(problem=NASTY)], "1", SAY),
        branched(NASTY, NASTY, NASTY, NASTY, SAY),
    ):
        assert "<img" not in made
        assert "&lt;img src=x onerror=alert(1)&gt; &amp;" in made


def test_the_browser_gets_every_token_with_its_alternatives():
    made = readings([row()], "1", SAY)
    data = json.loads(html.unescape(re.search(r'data-tokens="([^"]+)"', made)[1]))
    assert [found["text"] for found in data] == [" He", " ran", ".", "</s>"]
    assert data[0] | {"others": None} == {
        "id": 7,
        "text": " He",
        "start": -1,
        "probability": 0.5,
        "surprise": 1.0,
        "rank": 1,
        "entropy": 1.0,
        "others": None,
    }
    assert data[0]["others"] == [[7, " He", 0.5]]
    assert made.count('class="token"') == 4
    assert made.count('class="word"') == 3  # the stop belongs to its word, the end to none


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_script_says_only_what_it_is_given(language):
    made = readings([row()], "1", Say(language))
    given = json.loads(html.unescape(re.search(r'data-words="([^"]+)"', made)[1]))
    assert set(re.findall(r"words\.([a-z_]+)\b(?!\()", SCRIPT)) <= given.keys()
    assert {"{token}", "{probability}", "{rank}", "{guess}", "{share}"} == set(
        re.findall(r"\{\w+\}", given["elsewhere"])
    )
    assert "{token}" in given["branch_with"]


@pytest.mark.parametrize(
    ("colour", "values", "levels"),
    [
        ("probability", [1.0, 0.5, 0.49, 0.1, 0.09, 0.01, 0.009, 0.001, 0.0009], [0, 0, 1, 1, 2, 2, 3, 3, 4]),
        ("rank", [1, 2, 10, 11, 100, 101, 1000, 1001], [0, 1, 1, 2, 2, 3, 3, 4]),
        ("entropy", [0.0, 0.99, 1.0, 1.99, 2.0, 4.0, 6.0, 12.0], [0, 0, 1, 1, 2, 3, 4, 4]),  # bits
    ],
)
def test_each_colour_has_five_steps(colour, values, levels):
    made = {
        "probability": lambda value: token("x", 0, probability=value),
        "rank": lambda value: token("x", 0, rank=value),
        "entropy": lambda value: token("x", 0, entropy=value),
    }[colour]
    assert [level(colour, made(value)) for value in values] == levels
    assert len(LEVELS[colour]) == 5


@pytest.mark.parametrize(
    ("probability", "said"),
    [(1, "100%"), (0.412, "41%"), (0.05, "5%"), (0.0123, "1.2%"), (0.00000371, "0.00037%"), (1e-9, "<0.0001%")],
)
def test_a_probability_has_two_digits(probability, said):
    assert share(probability) == said


def test_storytellers_that_cut_differently_share_the_axis():
    whole, cut = row("whole"), row("cut", cuts=(" H", "e", " r", "an", "."))
    made = chart([whole, row(problem="gone"), cut], SAY)
    paths = re.findall(r'<path d="(M[^"]+)" stroke-dasharray="([^"]+)"/><circle', made)
    ends = [[float(end) for end in re.findall(r"H([\d.]+)", path)] for path, _ in paths]
    at = lambda character: pytest.approx(LEFT + CHARACTER * character, abs=0.06)  # noqa: E731
    assert ends[0] == [at(2), at(6), at(7), at(7 + END)]
    assert ends[1] == [at(1), at(2), at(4), at(6), at(7), at(7 + END)]
    assert paths[0][1] != paths[1][1]
    assert made.count("<circle") == 4 + 6
    assert 'role="region" tabindex="0"' in made


def test_the_bytes_of_a_character_share_its_width():
    reading = Reading("a", "It rained.", "🐕", tuple(token("", 0) for _ in range(3)), 2, None)
    reading = Reading("a", "It rained.", "🐕", (*reading.tokens, token("🐕", 0), token("</s>", 1)), 2, None)
    made = chart([Row("a", "A", "#000", reading)], SAY)
    ends = [
        float(end)
        for end in re.findall(r"H([\d.]+)", re.search(r'd="(M[\d][^"]+)" stroke-dasharray="none"/><c', made)[1])
    ]
    assert ends == pytest.approx([LEFT + CHARACTER * end for end in (0.25, 0.5, 0.75, 1, 1 + END)], abs=0.06)


# What a browser or a link may say


def test_a_fork_is_what_the_browser_says():
    said = {"reader": "a", "position": 3, "token": 7}
    assert Fork.read(said, ("a", "b"), SAY) == Fork("a", 3, 7)
    assert Fork.read(said | {"token": None}, ("a", "b"), SAY) == Fork("a", 3, None)


@pytest.mark.parametrize(
    "said",
    [
        None,
        "a",
        [1],
        {},
        {"reader": "c", "position": 3, "token": 7},
        {"reader": ["a"], "position": 3, "token": 7},
        {"reader": "a", "position": "3", "token": 7},
        {"reader": "a", "position": 3.0, "token": 7},
        {"reader": "a", "position": True, "token": 7},
        {"reader": "a", "position": 3, "token": "7"},
    ],
)
def test_what_is_no_fork_is_refused_in_words(said):
    with pytest.raises(StoryLabError, match="Read again"):
        Fork.read(said, ("a", "b"), SAY)


def test_the_seed_field_may_be_empty():
    assert [read_seed(words) for words in ("", " ", None, " 7 ", "0", "4294967295")] == [None] * 3 + [7, 0, 4294967295]
    for words in ("x", "-1", "1.5", "²", "4294967296", "9" * 20):
        with pytest.raises(StoryLabError, match="seed must be a whole number"):
            read_seed(words)


def test_a_view_is_a_link():
    view = View("It rained.", "He ran.", ("a", "b"))
    assert view.query("rank") == "tab=tokens&models=a%2Cb&opening=It+rained.&text=He+ran.&colour=rank&run=1"
    link = dict(parse_qsl(view.query("entropy", (Fork("a", 0, None), 5))))
    assert (link["by"], link["at"], link["seed"], link["colour"]) == ("a", "0", "5", "entropy") and "token" not in link


def test_a_link_does_not_name_the_visitors_own_storyteller():
    view = View("It rained.", "He ran.", ("a", "yours"))
    assert "yours" not in view.query("rank", (Fork("yours", 3, 7), 5))
    assert "run=1" not in View("It rained.", "He ran.", ("yours",)).query("rank")


def test_a_branch_can_begin_while_the_second_reader_still_reads():
    asked = Asked("My dog ran away.", "He came back.", ("seq2seq", "encoder"), None)
    names = []
    for name, value in looks(Visits(), "me", asked, SAY):
        names.append(name)
        if name == "view":
            asked.stop.set()  # after the first
        if name == "shown":
            assert value == View("My dog ran away.", "He came back.", ("seq2seq", "encoder"))
    assert names == ["status", "shown", "view"]


def test_the_seed_of_a_told_text_is_that_of_its_branches():
    said = list(looks(Visits(), "me", Asked("My dog ran away.", "", ("seq2seq",), None), SAY))
    view = next(value for name, value in said if name == "shown")
    assert view.text == load("seq2seq").tell("My dog ran away.", seed=view.seed).text


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({"by": "a", "at": "3", "token": "7"}, {"reader": "a", "position": 3, "token": 7}),
        ({"by": "a", "at": "0"}, {"reader": "a", "position": 0, "token": None}),
        ({"by": "a", "at": "x"}, None),
        ({"by": "a", "at": "1" * 5000}, None),
        ({"by": "a", "at": "1", "token": "x"}, None),
        ({"at": "1"}, None),
        ({}, None),
    ],
)
def test_a_link_may_ask_for_a_fork(query, wanted):
    assert tokens._wanted(query) == wanted


def test_the_example_has_one_absurd_word_that_the_fine_tuned_one_finds():
    reading = read_text(load("gpt2-mini-finetuned"), tokens.EXAMPLE_OPENING, tokens.EXAMPLE_TEXT)
    oddest = max(reading.tokens, key=lambda token: token.surprise)
    assert oddest.text == " elephant" and oddest.rank > 1000
    assert oddest.alternatives[0].text == " police"


def test_each_colour_has_levels():
    assert set(COLOURS) == LEVELS.keys()
