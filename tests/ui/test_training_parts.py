"""The Training tab without a browser: curves, costs, stories on the way, recipes."""

import re
from types import SimpleNamespace

import gradio as gr
import pytest

from storylab.evaluation.results import read_record
from storylab.storytellers import describe
from storylab.training.comparison import WORDS
from storylab.training.history import AXES, QUANTITIES, Point, Sample, Training, read_training
from storylab.training.recipe import Recipe
from storylab.ui import cards, training_cost
from storylab.ui.address import Address
from storylab.ui.recipes import PAIR, at_first, side_by_side
from storylab.ui.texts import LANGUAGES, Labels, Say
from storylab.ui.trained import Trained, trained
from storylab.ui.training import TrainingTab
from storylab.ui.training_cost import cost_table, told_on_the_way
from storylab.ui.training_curves import MOST_POINTS, curves, draw
from storylab.ui.visits import Visits

SAY = Say()
NASTY = "<img src=x onerror=alert(1)>"
ME = SimpleNamespace(session_hash="me", headers={}, query_params={})


@pytest.fixture(scope="module")
def known() -> list[Trained]:
    return trained(SAY)[0]


@pytest.fixture(scope="module")
def tab() -> TrainingTab:
    with gr.Blocks(), gr.Tabs(), gr.Tab("training") as place:
        return TrainingTab(place, Labels(), Visits(), Address())


def made(points: int = 3, stages: int = 1, **changes) -> Trained:
    """A training of which every point has every figure."""
    course = [Point(1 + n * stages // points, n, 10 * n, 36.0 * n, 3.0, 0.1, 100, 3.0, 20.0) for n in range(1, points)]
    plain = {"name": "mine", "title": "Mine", "recipe": None, "points": tuple(course), "samples": ()}
    plain |= {"parameters": None, "trained_parameters": None, "hardware": None}
    return Trained(Training(**plain | changes), "Mine", "#000", ())


def plain(html: str) -> str:
    return re.sub("<.*?>", " ", html)


# Who is shown


def test_lines_have_the_colours_of_the_cards(known):
    places = {row["name"]: number for number, row in enumerate(describe())}
    assert [one.name for one in known] == sorted((one.name for one in known), key=places.get)
    assert {one.name: one.colour for one in known} == {one.name: cards.EDGES[places[one.name]] for one in known}
    assert len({one.title for one in known}) == len(known)


# Curves


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("quantity", QUANTITIES)
def test_a_chart_holds_the_figures_of_the_logs(root, known, quantity, axis):
    spec = curves(known, quantity, axis, SAY).to_dict()
    rows = spec["layer"][0]["data"]["values"] if "data" in spec["layer"][0] else spec["data"]["values"]
    for one in known:
        course = read_training(root / "checkpoints" / one.name).curve(quantity, axis)
        shown = [(row["place"], row["value"]) for row in rows if row["name"] == one.name]
        per = 3600 if axis == "seconds" else 1
        assert shown == [(place / per, value) for place, value in course]


def test_a_long_log_is_thinned_out_and_keeps_its_end():
    one = made(points=5 * MOST_POINTS)
    rows = curves([one], "loss", "step", SAY).to_dict()["data"]["values"]
    assert len(rows) <= MOST_POINTS + 1
    assert rows[-1]["place"] == one.training.steps


def test_a_later_stage_is_marked_where_it_begins_and_told():
    one = made(points=9, stages=2)
    spec = curves([one], "loss", "step", SAY).to_dict()
    rules = [layer for layer in spec["layer"] if layer["mark"]["type"] == "rule"]
    (start,) = rules[0]["data"]["values"]
    ends = [point.step for point in one.training.points if point.stage == 1]
    assert start["place"] == ends[-1]
    assert SAY("training_stages") in plain(draw([one], ["mine"], "loss", "step", SAY)[2])
    assert SAY("training_stages") not in plain(draw([made()], ["mine"], "loss", "step", SAY)[2])


def test_nobody_and_nothing_to_draw_are_answered(known):
    for chosen, said in (([], "problem_choose"), (["nobody"], "training_no_curve")):
        message, chart, _ = draw(known, chosen, "loss", "step", SAY)
        assert SAY(said) in message and 'role="alert"' in message and chart is None


def test_prose_is_said_not_to_compare_with_stories(known):
    names = [one.name for one in known]
    for language in LANGUAGES:
        remark = draw(known, names, "perplexity_per_word", "step", Say(language))[2]
        assert "GPT-2 mini" in remark
    assert "GPT-2 mini" not in draw(known, ["seq2seq"], "perplexity_per_word", "step", SAY)[2]


# Cost


def test_costs_are_those_of_logs_cards_and_results(known):
    html = cost_table(known, {"bare": "no log"}, SAY)
    row = next(row for row in html.split("<tr") if "Encoder-decoder" in row)
    record = read_record()["models"]["seq2seq"]["perplexity_per_word"]
    for figure in ("8.74 M", "19.74 M", "1 h 35 min", "2 processor threads in bf16", "51.34", f"{record['value']:.1f}"):
        assert figure in row
    assert "its own earlier weights" in row
    assert "<b>bare</b> no log" in html


def test_other_weights_have_no_test_figure(known, monkeypatch):
    monkeypatch.setattr(training_cost, "checkpoint_hashes", lambda folder: {"sha256": "another"})
    figure = f"{read_record()['models']['seq2seq']['perplexity_per_word']['value']:.1f}"
    assert f"<td>{figure}" not in cost_table(known, {}, SAY)


def test_what_is_not_known_is_left_open():
    html = cost_table([made(points=2, hardware=NASTY)], {NASTY: NASTY}, SAY)
    assert html.count("<td>–") == 4  # where it starts from, parameters, trained, test
    assert "<img" not in html
    assert 'role="alert"' in cost_table([], {}, SAY)


# Stories on the way


def test_stories_of_a_training_are_shown_from_the_first_to_the_last(known):
    training = next(one.training for one in known if one.name == "seq2seq")
    html = told_on_the_way(known, "seq2seq", SAY)
    assert html.count("<li>") == len(training.samples)
    assert training.recipe.sample in html.replace("&#x27;", "'")
    many = tuple(Sample(1, step, 20.0, f"Story {step}. {NASTY}") for step in range(1, 101))
    html = told_on_the_way([made(samples=many)], "mine", SAY)
    assert html.count("<li>") == 12 and "Story 1." in html and "Story 100." in html and "<img" not in html
    for nobody in (None, "nobody", "mine"):
        assert SAY("told_none") in told_on_the_way([made()], nobody, SAY)


# Recipes


def test_every_setting_is_explained_in_every_language():
    needed = {f"recipe_{name}" for name in Recipe.__dataclass_fields__ if name not in WORDS}
    for table in LANGUAGES.values():
        assert needed <= table.keys()


def test_differences_are_marked_by_a_sign_and_counted():
    html = side_by_side(*PAIR, True, SAY)
    rows = html.split("<tr")[2:]
    assert all("≠" in row and 'aria-label="differs"' in row for row in rows)
    assert f"{len(rows)} of " in html
    everything = side_by_side(*PAIR, False, SAY).split("<tr")[2:]
    assert len(everything) > len(rows) == sum("≠" in row for row in everything)
    assert "0 of " in side_by_side(PAIR[0], PAIR[0], True, SAY)
    assert SAY("training_no_recipe") in side_by_side(None, PAIR[0], True, SAY)


def test_where_the_first_pair_is_not_there_others_are_compared():
    assert at_first(["train/a", *PAIR]) == PAIR
    assert at_first(["train/a", "train/b"]) == ("train/a", "train/b")
    assert at_first(["train/a"]) == ("train/a", "train/a")
    assert at_first([]) == (None, None)


# Links


def test_a_link_fills_the_fields_and_what_is_no_good_is_left_out(tab):
    query = {"curves": "seq2seq,nobody", "quantity": "loss", "x": "tokens", "told": "gpt2-mini"}
    query |= {"first": "train/seq2seq", "second": "nothing", "all": "1"}
    chosen, quantity, axis, told, first, second, only, *_ = tab.arrive(query, SAY)
    assert (chosen["value"], quantity, axis, told["value"]) == (["seq2seq"], "loss", "tokens", "gpt2-mini")
    assert (first["value"], second["value"], only) == ("train/seq2seq", PAIR[1], False)
    chosen, quantity, axis, *_ = tab.arrive({"quantity": NASTY, "x": ""}, SAY)
    assert len(chosen["value"]) >= 4
    assert quantity == axis == gr.skip()
    assert len(tab.arrive({}, SAY)) == len(tab.arriving)


def test_a_link_says_what_is_shown_and_runs_nothing(tab):
    link = tab._link(ME, ["seq2seq", "encoder"], "loss", "step", "encoder", *PAIR, True)
    assert "tab=training&curves=seq2seq%2Cencoder&quantity=loss&told=encoder&first=" in link
    assert "run=" not in link and "x=" not in link and "all=" not in link


def test_opening_the_tab_fills_every_view(tab):
    values = [field.value for field in tab._fields]
    opened = tab._open(ME, *values)
    assert len(opened) == len(tab._views)
    legend, chart = opened[4], opened[5]
    assert legend.count("<li>") == len(values[0]) and chart is not None
