"""The limits of a deployment."""

import pytest

from storylab.decoding import PRESETS, Settings
from storylab.docstrings import field_help
from storylab.errors import StoryLabError
from storylab.limits import Limits, fields, variable


def test_what_is_not_set_keeps_its_default_and_every_preset_may_be_told():
    limits = Limits.read({"PATH": "/bin", "STORYLAB_MAX_QUEUE": "", "STORYLAB_DTYPE": "int8"})
    assert limits == Limits()
    assert all(limits.check(settings) is settings for settings in PRESETS.values())


def test_each_is_read_from_its_variable():
    for field in fields():
        high = field.metadata["high"]
        assert getattr(Limits.read({variable(field.name): f" {high} "}), field.name) == high


def test_each_says_what_it_is_and_its_range():
    said = field_help(Limits)
    for field in fields():
        low, high = field.metadata["low"], field.metadata["high"]
        assert f"{low:,}" in said[field.name] and f"{high:,}" in said[field.name], field.name


def test_a_limit_of_tellings_that_was_set_holds_for_the_machine_itself_as_well():
    assert not Limits.read({}).own_machine_counts
    assert Limits.read({"STORYLAB_MAX_TELLINGS_A_MINUTE": "120"}).own_machine_counts


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "ten", "1e3", "nan", "9" * 500, "0x10", "٣", "1001", "1 0"])
def test_nonsense_is_refused_in_one_line_that_names_the_variable(value):
    with pytest.raises(StoryLabError) as caught:
        Limits.read({"STORYLAB_MAX_QUEUE": value})
    message = str(caught.value)
    assert message.startswith("STORYLAB_MAX_QUEUE must be a whole number from 1 to 1000, not ")
    assert "\n" not in message and len(message) < 200


def test_a_limit_that_does_not_exist_is_refused():
    with pytest.raises(StoryLabError, match="no limit STORYLAB_MAX_QEUE; the limits are STORYLAB_MAX_AT_ONCE, "):
        Limits.read({"STORYLAB_MAX_QEUE": "10"})


@pytest.mark.parametrize("value", [True, 1.0, "5", None])
def test_python_is_held_to_the_same_types(value):
    with pytest.raises(StoryLabError, match="must be a whole number"):
        Limits(queue=value)


def test_more_tokens_than_are_told_here_are_refused():
    limits = Limits(tokens=200)
    assert limits.check(Settings(max_new_tokens=200)).max_new_tokens == 200
    with pytest.raises(StoryLabError, match="max_new_tokens must be at most 200 here, not 201"):
        limits.check(Settings(max_new_tokens=201))
