"""The named endpoints, called as gradio calls them: whatever is wrong, one line says so before any model runs."""

import gradio as gr
import pytest
from hypothesis import strategies as st
from nonsense import BROKEN, PATHS, cases, is_one_line, long_texts, numbers, scalars, texts, values

from storylab.decoding import OPTIONS, PRESETS, check_opening
from storylab.errors import StoryLabError
from storylab.storytellers import describe
from storylab.ui import api, api_inspection

OPENING, TEXT, MODEL = "My dog ran away.", "Nobody could find him.", "seq2seq"
CALLS = (api.tell, api_inspection.tokens, api_inspection.branch, api_inspection.next, api_inspection.strategies)


def _is_opening(value) -> bool:
    try:
        return bool(check_opening(value))
    except StoryLabError:
        return False


letters = st.text("abc ", min_size=1, max_size=20)
broken = st.sampled_from([part for part in BROKEN if part.strip()]).filter(lambda part: not _is_opening(f"a{part}"))
bad_openings = st.one_of(
    values.filter(lambda value: not isinstance(value, str)),
    st.builds("{}{}{}".format, letters, broken, letters),
    st.text("<>{}[]!?.#*_ \t\n", max_size=40),
    long_texts,
    st.text("ab ", min_size=301, max_size=400).map(lambda text: text.replace(" ", "x")),
)
bad_names = st.one_of(
    values.filter(lambda value: value not in [row["name"] for row in describe()]),
    st.sampled_from(
        [*PATHS, "checkpoints/seq2seq", "./checkpoints/seq2seq", "hub:openai-community/gpt2", "Seq2seq", "yours"]
    ),
)
bad_seeds = st.one_of(
    scalars.filter(lambda value: value is not None and not (type(value) in (int, float) and 0 <= value < 2**32)),
    st.floats(0, 2**32).filter(lambda value: value != int(value)),
    st.lists(st.integers(), max_size=2),
)
bad_options = st.sampled_from(sorted(OPTIONS)).flatmap(
    lambda name: (
        st.one_of(numbers, texts, st.lists(numbers, max_size=2))
        .filter(lambda value: not _takes(name, value))
        .map(lambda value: {name: value})
    )
)
bad_settings = st.one_of(
    values.filter(lambda value: value is not None and not isinstance(value, dict)),
    bad_options,
    st.dictionaries(
        texts.filter(lambda name: name not in OPTIONS and name != "preset"), scalars, min_size=1, max_size=2
    ),
    st.builds(lambda value: {"preset": value}, values.filter(lambda value: value not in list(PRESETS))),
)


def _takes(name: str, value) -> bool:
    try:
        OPTIONS[name].check(value)
    except StoryLabError:
        return False
    return True


def refused(call, **arguments) -> None:
    with pytest.raises(gr.Error) as refusal:
        call(**arguments)
    assert is_one_line(refusal.value.message) and not refusal.value.print_exception


def arguments_of(call) -> dict:
    text = {} if call in (api.tell, api_inspection.strategies) else {"text": TEXT}
    return {"opening": OPENING, "model": MODEL, **text, **({"position": 0} if call is api_inspection.branch else {})}


@cases(120, call=st.sampled_from(CALLS), opening=bad_openings)
def test_an_opening_that_is_none(call, opening):
    refused(call, **arguments_of(call) | {"opening": opening})


@cases(120, call=st.sampled_from(CALLS), model=bad_names)
def test_a_storyteller_that_there_is_not(call, model):
    refused(call, **arguments_of(call) | {"model": model})


@cases(120, call=st.sampled_from((api.tell, api_inspection.strategies)), seed=bad_seeds)
def test_a_seed_that_is_none(call, seed):
    refused(call, **arguments_of(call) | {"seed": seed})


@cases(180, call=st.sampled_from((api.tell, api_inspection.next)), settings=bad_settings)
def test_settings_that_are_none(call, settings):
    refused(call, **arguments_of(call) | {"settings": settings})


bad_texts = st.one_of(values.filter(lambda value: not isinstance(value, str)), long_texts, st.just("a\ud800b"))


@cases(40, call=st.sampled_from((api_inspection.tokens, api_inspection.branch, api_inspection.next)), text=bad_texts)
def test_a_text_that_is_none(call, text):
    refused(call, **arguments_of(call) | {"text": text})


bad_positions = values.filter(lambda value: not (type(value) is int and 0 <= value < 50))
bad_tokens = values.filter(lambda value: value is not None and not isinstance(value, str | int))


@cases(
    40,
    changes=st.one_of(
        st.builds(lambda p: {"position": p}, bad_positions), st.builds(lambda t: {"token": t}, bad_tokens)
    ),
)
def test_a_place_to_branch_at_that_is_none(changes):
    refused(api_inspection.branch, **arguments_of(api_inspection.branch) | changes)
