"""The Compare tab without a browser: marks, history, links, several seeds."""

import json
from types import SimpleNamespace
from urllib.parse import parse_qsl

import gradio as gr
import pytest

from storylab.decoding import PRESETS, Settings, own_seed
from storylab.storytellers import Telling, load
from storylab.ui.cards import Card
from storylab.ui.history import _exporter, listed, read_history
from storylab.ui.links import read_link, write_query, write_settings
from storylab.ui.several import PLACES, Several
from storylab.ui.slot import Cards
from storylab.ui.texts import Say
from storylab.ui.turns import Turns
from storylab.ui.visits import OWN_NAME, Run, Visits

ROW = {"name": "seq2seq", "title": "A teller", "kind": "seq2seq", "parameters": 12_345_678}
ME = SimpleNamespace(session_hash="me", headers={}, query_params={})
SAY = Say()
DOG = "My dog ran away."


@pytest.fixture(scope="module")
def told() -> list[Telling]:
    return [load("seq2seq").tell(DOG, seed=seed) for seed in (1, 2)]


def test_a_card_marks_the_words_that_differ_from_the_pinned_story(told):
    card = Card(ROW, 0, SAY)
    assert "<mark>" not in card.told(told[0]) and "<mark>" not in card.told(told[0], pinned=told[0])
    html = card.told(told[1], pinned=told[0])
    assert "<mark>" in html and "words differ from the pinned story" in html
    same = Telling.from_dict(told[0].to_dict() | {"seconds": 9.0})
    assert "<mark>" not in card.told(same, pinned=told[0]) and "Word for word" in card.told(same, pinned=told[0])


def test_marks_and_pins_keep_strangers_text_text():
    nasty = "<img src=x onerror=alert(1)> ran."
    telling = Telling.from_dict(load("seq2seq").tell(DOG, seed=1).to_dict() | {"story": [nasty], "text": nasty})
    card = Card(ROW, 0, SAY)
    for html in (card.pinned(telling), card.told(telling, pinned=load("seq2seq").tell(DOG, seed=2))):
        assert "<img" not in html and "onerror" in html
    assert "<img" not in listed([telling], SAY)


@pytest.mark.parametrize("settings", [Settings(), PRESETS["careful"], Settings(temperature=1.2, sentences=3)])
def test_a_link_that_was_written_reads_the_same(settings):
    query = write_query(
        "compare", opening=DOG, models="seq2seq", seed=5, seeds=3, luck="own", **write_settings(settings)
    )
    link = read_link(dict(parse_qsl(query)), ["seq2seq"])
    assert not link.problems
    assert (link.opening, link.storytellers, link.seed, link.seeds, link.luck) == (DOG, ["seq2seq"], 5, 3, "own")
    assert (link.settings or Settings()) == settings


@pytest.mark.parametrize("query", [{"seeds": "99"}, {"seeds": "two"}, {"luck": "bad"}])
def test_what_is_no_good_of_seeds_and_luck_is_left_out_with_a_message(query):
    link = read_link(query, [])
    assert link.seeds is None and link.luck is None and len(link.problems) == 1


def test_a_link_leaves_out_the_storyteller_that_nobody_else_has():
    query = dict(parse_qsl(write_query("compare", opening=DOG, models=f"seq2seq,{OWN_NAME}")))
    assert query["models"] == "seq2seq" and query["run"] == "1"
    assert dict(parse_qsl(write_query("compare", opening=DOG, models=OWN_NAME))) == {"tab": "compare", "opening": DOG}
    mine = Telling.from_dict(load("seq2seq").tell(DOG, seed=1).to_dict() | {"model": OWN_NAME})
    assert "href" not in listed([mine], SAY)


def test_luck_of_ones_own_is_another_for_each_and_the_same_each_time():
    seeds = [own_seed(2**32 - 1, name) for name in ("encoder", "seq2seq", "gpt2-mini")]
    assert len(set(seeds)) == 3 and all(0 <= seed < 2**32 for seed in seeds)
    assert seeds[0] == own_seed(2**32 - 1, "encoder")


def test_a_browsers_history_is_read_as_far_as_it_is_one(told):
    data = json.loads(json.dumps(told[0].to_dict()))
    assert read_history(json.dumps([data, {"model": "x"}, 7, data])) == [told[0], told[0]]
    for wrong in ({"text": "word " * 5_000}, {"seed": -1}, {"settings": {"heat": 1}}, {"opening": ""}):
        assert read_history(json.dumps([data | wrong])) == []
    assert read_history("nonsense") == [] == read_history("{}") == read_history("[" * 100_000)


def test_a_line_of_the_history_leads_to_the_same_story(told):
    (query,) = [part.split('"')[0] for part in listed([told[0]], SAY).split('href="?')[1:]]
    link = read_link(dict(parse_qsl(query.replace("&amp;", "&"))), ["seq2seq"])
    assert load("seq2seq").tell(link.opening, link.settings, link.seed).text == told[0].text


def test_an_export_is_a_file_and_nothing_is_refused(told):
    file = json.loads(_exporter("csv", lambda visitor: told)(ME))
    assert file["name"] == "storylab.csv" and told[1].text.split(".")[0] in file["text"]
    with pytest.raises(gr.Error, match="nothing to export"):
        _exporter("csv", lambda visitor: [])(ME)


@pytest.fixture
def several() -> Several:
    return Several(Cards({"seq2seq": ROW}), Visits())


def ask(several: Several, seeds: tuple[int, ...]) -> None:
    runs = [Run("seq2seq", DOG, Settings(), seed, place=place) for seed, place in zip(seeds, PLACES, strict=False)]
    several.visits.start("me", runs)


def test_several_seeds_are_told_each_as_it_is_alone(several, told):
    ask(several, (1, 2))
    *_, (html, history) = several.tell("me", SAY, Turns(1, 1).ask("me"))
    for telling in told:
        assert all(sentence.replace("'", "&#x27;") in html for sentence in telling.story)
    assert {telling["seed"] for telling in json.loads(history)} == {1, 2}


def test_stop_ends_all_seeds(several):
    ask(several, (1, 2, 3))
    looks = several.tell("me", SAY, Turns(1, 1).ask("me"))
    next(looks)
    several.visits.stop("me")
    *_, (html, _) = looks
    assert html.count('aria-busy="false"') == 3 and html.count("stopped") >= 3


def test_one_of_several_is_told_anew_beside_the_others(several):
    ask(several, (1, 2))
    list(several.tell("me", SAY, Turns(1, 1).ask("me")))
    several._ask_again(ME, gr.EventData(None, {"place": PLACES[1]}))
    seeds = [run.seed for run in several.visits.runs("me").values()]
    assert seeds[0] == 1 and seeds[1] != 2
    list(several.tell("me", SAY, Turns(1, 1).ask("me")))
    assert [telling.seed for telling in several.visits.history("me")].count(1) == 1  # it was not told again
    with pytest.raises(gr.Error):
        several._ask_again(ME, gr.EventData(None, {"place": "nowhere"}))
