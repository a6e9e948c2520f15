"""A storyteller that lives elsewhere, on the page: asked by those who choose it, and by nobody else."""

import math
import re
from types import SimpleNamespace

import gradio as gr
import pytest
from fake_endpoint import STORY, endless, status, told

from storylab.decoding import Settings
from storylab.storytellers import describe
from storylab.storytellers.remote.reach import breaker_of
from storylab.ui import tellers
from storylab.ui.address import Address
from storylab.ui.api import tell
from storylab.ui.compare import CompareTab
from storylab.ui.slot import Cards, Slot
from storylab.ui.texts import LANGUAGES, Labels, Say
from storylab.ui.tokens import TokensTab
from storylab.ui.visits import Run, Visits

DOG = "My dog ran away."
ME = SimpleNamespace(session_hash="me", headers={}, query_params={})


def card_of(visits: Visits, run: Run, say: Say | None = None) -> str:
    """The last look of a card."""
    rows = {row["name"]: row for row in describe()}
    slot = Slot("far", Cards(rows), visits, Labels(), visible=True)
    *_, last = slot.looks(run, say or Say(), "me")
    return last


def surprise_on(card: str) -> str:
    return re.search(rf"<dt>{Say()('figure_surprise')}</dt><dd>(.*?)</dd>", card)[1]


@pytest.fixture
def tab(own) -> CompareTab:
    own()
    label, visits = Labels(), Visits()
    with gr.Blocks(), gr.Tab(label("tab_compare")) as built:
        return CompareTab(built, label, visits, Address())


def names(choices: list) -> list[str]:
    return [name for _, name in choices]


def test_a_card_tells_and_leaves_out_the_surprise_that_nobody_gave(own, fake):
    own()
    visits, run = Visits(), Run("far", DOG, Settings(), 1)
    visits.start("me", [run])
    card = card_of(visits, run)
    assert "We went on." in card and not re.search(r"\bnan\b", card, re.IGNORECASE)
    assert surprise_on(card) == Say()("none")
    assert run.log_probability is None and visits.history("me") == [run.telling]
    assert run.telling.text == "".join(STORY)


def test_a_card_has_the_surprise_that_was_given(own, fake):
    own()
    fake.answers = [told(["It", " ran", "."], given=[-1, -1, -2])]
    visits, run = Visits(), Run("far", DOG, Settings(), 1)
    visits.start("me", [run])
    card = card_of(visits, run)
    assert run.log_probability == -4 and float(surprise_on(card)) == pytest.approx(math.exp(4 / 2), rel=0.01)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_card_says_why_nothing_was_told(own, fake, language):
    own()
    fake.answers = [status(404, "<b>no</b> such model")]
    card = card_of(Visits(), Run("far", DOG, Settings(), 1), Say(language))
    assert "far can" in card and "<b>no" not in card and fake.url in card


def test_stop_ends_what_a_card_is_told(own, fake):
    own()
    fake.answers = [endless(" and")]
    slot = Slot("far", Cards({row["name"]: row for row in describe()}), Visits(), Labels(), visible=True)
    run = Run("far", DOG, Settings(), 1)
    looks = slot.looks(run, Say(), "me")
    next(looks)
    run.stop.set()
    *_, last = looks
    assert run.telling.ended_by == "stopped" and "stopped" in last
    assert fake.left.wait(60)


def test_nobody_elsewhere_is_chosen_before_the_visitor_does(tab, fake):
    assert "far" in names(tab.ask.chosen.choices) and "far" not in tab.ask.chosen.value
    breaker_of(fake.url).open("is not there")
    chosen, *_ = tab.ask.look(ME)
    (label,) = [words for words, name in chosen["choices"] if name == "far"]
    assert Say()("state_unreachable") in label, "it can't be looked for any more"
    assert not fake.looked and not fake.asked


def test_who_has_no_key_can_not_be_chosen(own, monkeypatch):
    monkeypatch.delenv("FAR_KEY", raising=False)
    own(endpoint='model = "m", key = "FAR_KEY"')
    label, visits = Labels(), Visits()
    with gr.Blocks(), gr.Tab(label("tab_compare")) as built:
        ask = CompareTab(built, label, visits, Address()).ask
    assert "far" not in names(ask.chosen.choices) and "FAR_KEY" in ask._not_ready(describe(), Say())


def test_what_looks_inside_offers_only_those_who_are_here(tab):
    assert "far" not in [row["name"] for row in tellers.ready()]
    assert "far" not in names(tellers.choices(ME, Say(), tab.visits))
    run = Run("far", DOG, Settings(), 1)
    tab.visits.start("me", [run])
    card_of(tab.visits, run)
    selected, opening, text, readers, _ = tab._look_inside(ME, SimpleNamespace(place="far"))
    assert (selected.selected, opening, text) == (TokensTab.key, DOG, run.telling.text)
    assert "value" not in readers and "seq2seq" in names(readers["choices"])


def test_the_web_api_tells_with_it(own, fake):
    own()
    assert tell(DOG, "far", 1, {})["text"] == "".join(STORY)
    with pytest.raises(gr.Error, match="doesn't know the setting top_k"):
        tell(DOG, "far", 1, {"top_k": 5})
    assert len(fake.asked) == 1
