"""The tour's parts that need no browser: a step as HTML, the curves, and what runs for a visitor."""

import re
import threading
from types import SimpleNamespace
from urllib.parse import parse_qs, parse_qsl, urlsplit

import gradio as gr
import pytest

from storylab.errors import StoryLabError
from storylab.exhibits import TOUR, Shown, begin
from storylab.exhibits.parts import Doing, Figure, Guess, Level, Loss
from storylab.storytellers import Telling
from storylab.ui import tour
from storylab.ui.address import Address
from storylab.ui.compare import CompareTab
from storylab.ui.decoding import DecodingTab
from storylab.ui.plots import Line, lines
from storylab.ui.tab import PageTab
from storylab.ui.texts import LANGUAGES, Labels, Say
from storylab.ui.tokens import TokensTab
from storylab.ui.tour import TourTab
from storylab.ui.tour_view import step
from storylab.ui.training import TrainingTab
from storylab.ui.visits import Visits

SAY = Say()
NASTY = "<img src=x onerror=alert(1)> {{7*7}}"
ME = SimpleNamespace(session_hash="me", headers={}, query_params={})


def telling(text: str) -> Telling:
    settings = {"temperature": 0.8}
    return Telling("nobody", NASTY, [text], text, True, "end", 7, settings, 3, 1.0, 0.1, 3.0)


def full(name: str):
    """An exhibit with a part of each kind."""
    exhibit = begin(name)
    exhibit.add(Level("unigram", "", 5.0))
    for side in ("failure", "repair"):
        exhibit.add(Loss(side, 5, 9.0))
        exhibit.add(Loss(side, 10, 4.0))
        exhibit.add(Guess("", side, "learnt_next", NASTY, [(NASTY, 0.25)]))
        exhibit.add(Shown("", telling(NASTY), side, "sampled"))
    exhibit.add(Figure("accuracy", "", "failure", 0.68, "share"))
    return exhibit


# A step


@pytest.fixture(scope="module")
def there() -> dict[str, PageTab]:
    """The tabs that the steps lead to."""
    kinds = (CompareTab, TokensTab, DecodingTab, TrainingTab)
    with gr.Blocks(), gr.Tabs():
        return {kind.key: _build(kind) for kind in kinds}


def _build(kind: type[PageTab]) -> PageTab:
    with gr.Tab(kind.key) as place:
        return kind(place, Labels(), Visits(), Address())


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", TOUR)
def test_a_step_leads_on_in_the_visitors_language(name, language):
    html = step(name, Say(language))
    link = parse_qs(urlsplit(re.search(r'href="([^"]+)"', html)[1].replace("&amp;", "&")).query)
    assert link["lang"] == [language] and link["tab"][0] in ("tokens", "training", "decoding", "compare")
    assert f"python -m storylab exhibit {name}" in html


@pytest.mark.parametrize("name", TOUR)
def test_a_steps_link_fills_its_tab(name, there):
    html = step(name, SAY)
    link = urlsplit(re.search(r'href="([^"]+)"', html)[1].replace("&amp;", "&"))
    query = dict(parse_qsl(link.query, strict_parsing=True))
    tab = there[query["tab"]]
    values = tab.arrive(query, SAY)
    assert len(values) == len(tab.arriving)
    assert not any('role="alert"' in str(value) for value in values)
    filled = [value.get("value") if isinstance(value, dict) else value for value in values]
    for part in query.keys() - {"tab", "lang", "run"}:
        names = query[part].split(",") if part == "models" else query[part]
        # A tab with a single storyteller takes its name, others a list.
        assert names in filled or (part == "models" and len(names) == 1 and names[0] in filled), part


def test_what_models_write_is_no_markup():
    html = step("unigram", SAY, full("unigram"))
    assert "<img" not in html and html.count("&lt;img src=x") >= 8


def test_a_side_has_its_own_parts_and_a_figure_that_only_one_has_is_none_of_the_other():
    html = step("unigram", SAY, full("unigram"))
    failure, repair = html.split('<section class="tour-side repair">')
    assert failure.count('class="told"') == repair.count('class="told"') == 1
    assert "<td>68.0%</td><td>–</td>" in html
    assert html.count("<polyline") == 3  # two trainings and a level


def test_work_under_way_is_seen_on_its_side():
    html = step("padding", SAY, begin("padding"), Doing("training", "failure", 3, 9))
    failure, repair = html.split('<section class="tour-side repair">')
    assert 'value="3" max="9"' in failure and "<progress" not in repair
    assert 'aria-busy="true"' in failure


# Curves


def test_curves_stay_inside_and_a_level_goes_from_side_to_side():
    html = lines(
        [Line("a", [(0, 1.0), (50, 3.0), (100, 2.0)], "red"), Line("b", [(0, 2.5)], "blue", level=True)], "", "", ""
    )
    curve, level = (
        [tuple(map(float, p.split(","))) for p in found.split()] for found in re.findall('points="([^"]+)"', html)
    )
    assert all(0 <= x <= 1000 and 0 <= y <= 400 for x, y in curve + level)
    assert curve[1][1] < curve[2][1] < curve[0][1]  # the larger, the higher
    assert (level[0][0], level[1][0]) == (0, 1000) and level[0][1] == level[1][1]
    assert lines([Line("a", [], "red")], "", "", "") == ""


# What runs


@pytest.fixture
def tab() -> TourTab:
    with gr.Blocks(), gr.Tabs(), gr.Tab("tour") as place:
        return TourTab(place, Labels(), Visits(), Address())


def run_with(monkeypatch, parts):
    """Let the tour watch some parts instead of an exhibit."""

    def watch(name, stop):
        for part in parts:
            yield part
            if stop.is_set():
                return

    monkeypatch.setattr(tour, "watch", watch)
    monkeypatch.setattr(tour, "REFRESH", 0)


def test_a_run_shows_its_parts_and_then_its_link(tab, monkeypatch):
    run_with(
        monkeypatch, [Doing("training", "failure"), Loss("failure", 1, 9.0), Figure("moved", "", "repair", 0, "share")]
    )
    tab._ask(ME, "padding")
    *_, last = tab._run(ME)
    assert last[1] == "tab=tour&step=2&run=1"
    assert "<polyline" in last[2 + TOUR.index("padding")]
    assert sum(isinstance(value, str) for value in last[2:]) == 1  # the other steps stay as they are
    assert tab.line.get("me") is None


def test_stop_ends_a_run_and_leaves_no_link(tab, monkeypatch):
    run_with(monkeypatch, [Loss("failure", number, 9.0) for number in range(100)])
    tab._ask(ME, "unigram")
    looks = tab._run(ME)
    next(looks)
    assert "Stopped" in tab._stop(ME)
    rest = list(looks)
    assert len(rest) == 1 and not isinstance(rest[0][1], str)
    assert 'aria-busy="false"' in rest[0][2]


def test_a_run_that_was_asked_for_anew_is_run_once(tab, monkeypatch):
    run_with(monkeypatch, [Loss("failure", 1, 9.0)])
    tab._ask(ME, "unigram")
    tab._ask(ME, "packing")
    first, second = list(tab._run(ME)), list(tab._run(ME))
    assert "tour-step" in first[-1][2 + TOUR.index("packing")]
    assert not any(isinstance(value, str) for value in second[-1])


def test_leaving_the_page_ends_the_run(tab):
    tab._ask(ME, "unigram")
    walk = tab.line.get("me")
    tab._leave(ME)
    assert walk.stop.is_set() and tab.line.get("me") is None


def test_what_cannot_be_shown_is_said(tab, monkeypatch):
    def watch(name, stop: threading.Event):
        raise StoryLabError("this exhibit needs one of a, b, and none is ready")
        yield

    monkeypatch.setattr(tour, "watch", watch)
    tab._ask(ME, "unigram")
    *_, last = tab._run(ME)
    assert 'role="alert"' in last[0] and "none is ready" in last[0]


@pytest.mark.parametrize(("query", "number"), [({"step": "3"}, 3), ({"step": "9"}, 1), ({"step": "<b>"}, 1), ({}, 1)])
def test_a_link_names_the_step(tab, query, number):
    step, before, _, *panels = tab.arrive({"tab": "tour"} | query, SAY)
    assert step["value"] == TOUR[number - 1]
    assert [panel["visible"] for panel in panels].index(True) == number - 1
    assert before["interactive"] == (number > 1)
