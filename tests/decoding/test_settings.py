"""Settings: every value is in its range or refused in one line that names the range."""

import dataclasses
import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storylab.decoding.settings import (
    OPTIONS,
    PRESET_DESCRIPTIONS,
    PRESETS,
    Settings,
    check_opening,
    check_seed,
    option_help,
)
from storylab.errors import StoryLabError

NUMBERS = [option for option in OPTIONS.values() if option.kind is not str]
NOT_NUMBERS = [None, True, False, "1", "", [1], {}, b"1", 1j, object()]


def one_line(error: pytest.ExceptionInfo[StoryLabError]) -> str:
    message = str(error.value)
    assert message.isprintable() and len(message) < 300
    return message


def test_the_default_preset_is_what_the_contract_says():
    assert Settings() == PRESETS["default"]
    assert Settings().to_dict() == {
        "strategy": "sample",
        "temperature": 0.8,
        "top_k": 0,
        "top_p": 0.9,
        "min_p": 0.0,
        "typical_p": 1.0,
        "num_beams": 5,
        "repetition_penalty": 1.0,
        "no_repeat_ngram_size": 0,
        "sentences": 4,
        "max_new_tokens": 160,
    }


def test_a_refusal_names_the_option_the_range_and_the_value():
    with pytest.raises(StoryLabError) as error:
        Settings(temperature=math.nan)
    assert str(error.value) == "temperature must be a number from 0.05 to 5, not nan"
    with pytest.raises(StoryLabError, match=r"^top_p must be a number above 0 and up to 1, not 0$"):
        Settings(top_p=0)
    with pytest.raises(StoryLabError, match=r"^top_k must be a whole number from 0 to 1000, not 2\.5$"):
        Settings(top_k=2.5)
    with pytest.raises(StoryLabError, match=r"^strategy must be one of greedy, beam, sample, not 'nucleus'$"):
        Settings(strategy="nucleus")


@pytest.mark.parametrize("option", NUMBERS, ids=lambda option: option.name)
def test_the_limits_themselves_are_allowed_and_what_lies_beyond_is_not(option):
    for inside in (option.high, option.high - option.step, option.low + option.step):
        assert getattr(Settings(**{option.name: inside}), option.name) == inside
    outside = [
        option.high * 1.001,
        option.low - 0.001,
        -1,
        math.nan,
        math.inf,
        -math.inf,
        10**5000,
        -(10**5000),
    ]
    if option.above:
        outside.append(option.low)
    else:
        Settings(**{option.name: option.low})
    for value in outside:
        with pytest.raises(StoryLabError) as error:
            Settings(**{option.name: value})
        assert one_line(error).startswith(f"{option.name} must be {option.limits}, not ")


@pytest.mark.parametrize("value", NOT_NUMBERS, ids=lambda value: repr(value).partition(" at 0x")[0])
@pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda option: option.name)
def test_another_type_is_refused(option, value):
    with pytest.raises(StoryLabError) as error:
        Settings.from_mapping({option.name: value})
    assert option.name in one_line(error)


def test_ints_serve_as_floats_and_whole_floats_as_ints():
    settings = Settings.from_mapping({"temperature": 1, "top_k": 40.0, "top_p": np.float64(0.5)})
    assert (settings.temperature, settings.top_k, settings.top_p) == (1.0, 40, 0.5)
    # transformers' processors insist on the exact type.
    for name, value in settings.to_dict().items():
        assert type(value) is OPTIONS[name].kind


def test_a_mapping_overrides_its_preset():
    assert Settings.from_mapping({}) == Settings()
    assert Settings.from_mapping({"top_k": 3}, preset="careful") == dataclasses.replace(PRESETS["careful"], top_k=3)
    assert Settings.from_mapping({"preset": "beam", "num_beams": 2}) == Settings(strategy="beam", num_beams=2)


@pytest.mark.parametrize("preset", PRESETS)
def test_settings_survive_json(preset):
    settings = PRESETS[preset]
    assert Settings.from_mapping(json.loads(json.dumps(settings.to_dict()))) == settings


@pytest.mark.parametrize("mapping", [None, [], "{}", 3, [("top_k", 3)], Settings()], ids=repr)
def test_what_is_no_mapping_is_refused(mapping):
    with pytest.raises(StoryLabError, match="settings must be an object") as error:
        Settings.from_mapping(mapping)
    one_line(error)


@pytest.mark.parametrize("name", ["temprature", "seed", "top-p", "", None, 3, "x" * 10_000, "a\nb"], ids=repr)
def test_an_unknown_setting_is_refused_by_name(name):
    with pytest.raises(StoryLabError, match="unknown setting") as error:
        Settings.from_mapping({name: 1})
    assert "temperature, top_k" in one_line(error)


@pytest.mark.parametrize("preset", ["Default", "", None, 3, ["default"]], ids=repr)
def test_an_unknown_preset_is_refused(preset):
    with pytest.raises(StoryLabError, match="preset must be one of default, careful") as error:
        Settings.from_mapping({}, preset=preset)
    one_line(error)


@given(st.dictionaries(st.sampled_from([*OPTIONS, "else"]), st.integers() | st.floats() | st.text() | st.none()))
def test_any_mapping_is_accepted_or_refused_in_one_line(mapping):
    try:
        settings = Settings.from_mapping(mapping)
    except StoryLabError as error:
        assert str(error).isprintable()
    else:
        for name, value in mapping.items():
            assert getattr(settings, name) == value


def test_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().temperature = 2.0


def test_every_option_explains_itself_with_its_range():
    help_texts = option_help()
    assert list(help_texts) == list(OPTIONS)
    for name, option in OPTIONS.items():
        for limit in option.choices or (f"{option.low:g}", f"{option.high:g}"):
            assert limit in help_texts[name], name


def test_every_preset_has_its_line():
    assert list(PRESETS) == list(PRESET_DESCRIPTIONS)
    assert len(set(PRESETS.values())) == len(PRESETS)


def test_an_opening_is_stripped_and_its_whitespace_put_in_order():
    assert check_opening("  David\tnoticed \n it. ") == "David noticed it."
    for opening in ("A", "7", "Ünïcode — “quoted” 🙂", "故事", "</s> is text", "x" * 300, " " * 999 + "x"):
        assert check_opening(opening) == opening.strip()


@pytest.mark.parametrize(
    ("opening", "message"),
    [
        ("", "the opening is empty"),
        (" \n\t ", "the opening is empty"),
        ("x" * 301, "the opening has 301 characters, at most 300 are allowed"),
        ("A\0B", r"character 2 of the opening \(U\+0000\)"),
        ("A\x1b[0m", r"U\+001B"),
        ("Half \ud83d of it", r"U\+D83D"),
        ("... !", "no letter or digit"),
        ("🙂", "no letter or digit"),
        (None, "must be text, not None"),
        (5, "must be text, not 5"),
        (["A story."], "must be text, not a value of type list"),
        (b"A story.", "must be text, not a value of type bytes"),
    ],
)
def test_what_is_no_opening_is_refused(opening, message):
    with pytest.raises(StoryLabError, match=message) as error:
        check_opening(opening)
    one_line(error)


def test_a_seed_is_kept_or_drawn():
    for seed in (0, 7, 7.0, 2**32 - 1):
        assert check_seed(seed) == seed and type(check_seed(seed)) is int
    drawn = {check_seed(None) for _ in range(100)}
    assert len(drawn) > 90 and all(0 <= seed < 2**32 for seed in drawn)


@pytest.mark.parametrize("seed", [-1, 2**32, 0.5, math.nan, math.inf, 10**5000, True, "7", [7]], ids=type)
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(StoryLabError, match="seed must be a whole number from 0 to 4294967295, not") as error:
        check_seed(seed)
    one_line(error)


def test_settings_and_sentences_load_without_torch():
    """Printing help should not pay for the seconds that torch takes to load."""
    code = "import sys, storylab.decoding; print(*{'torch', 'transformers'} & set(sys.modules))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.split() == []
