"""The query of a link, and what a browser kept: what is no good is left out, and said in a line that is no markup."""

import json

import gradio as gr
import pytest
from hypothesis import strategies as st
from nonsense import MARKUP, cases, long_texts, texts, values

from storylab.decoding import OPTIONS
from storylab.ui.address import Address
from storylab.ui.history import listed, read_history
from storylab.ui.page import TABS
from storylab.ui.texts import Labels, Say
from storylab.ui.visits import Visits

NAMES = ("opening", "models", "seed", "seeds", "luck", "preset", "text", "colour", "by", "at", "token", "story", "rate")
NAMES += (
    "tokenizer",
    "framing",
    "limit",
    "curves",
    "quantity",
    "x",
    "told",
    "first",
    "second",
    "all",
    "metric",
    "step",
)
NAMES += (*OPTIONS, "run", "lang")
numerals = st.sampled_from(("nan", "inf", "-1", "1e999", "9" * 5000, "٣", "0x10", "1_000", " 1", "+1", "1.5", "²"))
queries = st.dictionaries(
    st.one_of(st.sampled_from(NAMES), texts), st.one_of(texts, texts, numerals, numerals, long_texts), max_size=6
)


@pytest.fixture(scope="module")
def tabs():
    """Every tab of the page, by its key."""
    with gr.Blocks(), gr.Tabs():
        made = {}
        for kind in TABS:
            with gr.Tab() as place:
                made[kind.key] = kind(place, Labels(), Visits(), Address())
    return made


def htmls(blocks, filled: list) -> list[str]:
    """What of new values is put into the page as HTML."""
    told = [value.get("value") if isinstance(value, dict) else value for value in filled]
    return [value for block, value in zip(blocks, told, strict=True) if isinstance(block, gr.HTML) and value]


@cases(120, key=st.sampled_from([kind.key for kind in TABS]), query=queries)
def test_a_link_fills_a_tab_or_is_left_out(tabs, key, query):
    filled = tabs[key].arrive(query | {"tab": key}, Say())
    assert len(filled) == len(tabs[key].arriving)
    for html in htmls(tabs[key].arriving, filled):
        assert not any(markup in html for markup in MARKUP if "<" in markup)
    json.dumps([value for value in filled if not isinstance(value, dict)], default=str).encode()


FIELDS = ("model", "opening", "story", "text", "finished", "ended_by", "seed", "settings", "tokens", "seconds")
FIELDS += ("seconds_to_first_token", "tokens_per_second", "pathologies")
TELLING = {
    "model": "seq2seq",
    "opening": "My dog ran away.",
    "story": ["He came back."],
    "text": "He came back.",
    "finished": True,
    "ended_by": "end",
    "seed": 1,
    "settings": {},
    "tokens": 4,
    "seconds": 1.0,
    "seconds_to_first_token": 0.1,
    "tokens_per_second": 4.0,
    "pathologies": [],
}
forged = st.dictionaries(st.one_of(st.sampled_from(FIELDS), texts), values, max_size=3).map(lambda part: TELLING | part)
kept = st.one_of(texts, long_texts, st.lists(st.one_of(forged, values), max_size=3).map(lambda held: _written(held)))


def _written(held) -> str:
    try:
        return json.dumps(held)
    except ValueError:
        return "[NaN"


@cases(120, held=kept)
def test_a_browsers_history_holds_tellings_or_nothing(held):
    html = listed(read_history(held), Say())
    assert not any(markup in html for markup in MARKUP if "<" in markup)
    html.encode()


def test_a_telling_that_was_told_is_kept():
    assert [telling.to_dict() for telling in read_history(json.dumps([TELLING]))] == [TELLING]
