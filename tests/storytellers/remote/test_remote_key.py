"""The key comes from the environment, goes to its endpoint, and is seen nowhere else."""

import logging

import pytest
from fake_endpoint import status

from storylab.cli import main
from storylab.errors import StoryLabError
from storylab.storytellers import describe
from storylab.ui.api import models

DOG, KEY = "My dog ran away.", "sk-0123456789abcdef"


@pytest.fixture
def key(monkeypatch) -> str:
    monkeypatch.setenv("FAR_KEY", KEY + "\n")  # as a file of keys leaves it
    return "FAR_KEY"


@pytest.mark.parametrize("instruction", ["", "Go on."], ids=["text", "chat"])
def test_the_key_is_sent_with_every_question(fake, far, key, instruction):
    far(key=key, instruction=instruction).tell(DOG)
    assert fake.asked[0]["key"] == f"Bearer {KEY}" and fake.looked == [f"Bearer {KEY}"]


@pytest.mark.parametrize("instruction", ["", "Go on."], ids=["text", "chat"])
def test_the_hubs_token_is_nobody_elses(fake, far, monkeypatch, instruction):
    monkeypatch.setenv("HF_TOKEN", "hf_not_for_endpoints")
    far(instruction=instruction).tell(DOG)
    assert fake.asked[0]["key"] == "" and fake.looked == [""]


def test_the_key_is_in_no_message_log_or_list(fake, own, key, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    own(endpoint=f'model = "m", key = "{key}"')
    fake.answers = [status(401, {"error": {"message": f"Incorrect API key provided: {KEY}."}})]
    assert main(["tell", DOG, "--model", "far"]) == 2
    fake.answers = [status(400, f"{KEY} " * 3)]
    assert main(["tell", DOG, "--model", "far"]) == 2
    assert main(["models"]) == 0
    out, errors = capsys.readouterr()
    assert "Incorrect API key provided: [the key]." in errors and "400: [the key] [the key]" in errors
    for place in (out, errors, caplog.text, str(describe()), str(models())):
        assert KEY not in place
    fake.answers = [status(401, "x " * 140 + KEY * 9)]  # cut in the middle of it
    assert main(["tell", DOG, "--model", "far"]) == 2
    assert KEY[:6] not in capsys.readouterr().err
    assert len(fake.asked) > 1 and fake.asked[0]["key"].endswith(KEY)


@pytest.mark.parametrize("value", [None, "", "  ", "two words", "naïve", "line\nbreak"])
def test_a_key_that_is_none_is_said_to_be_missing_before_anybody_is_asked(fake, own, far, monkeypatch, value):
    monkeypatch.delenv("FAR_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("FAR_KEY", value)
    with pytest.raises(StoryLabError, match="the environment variable FAR_KEY") as refused:
        far(key="FAR_KEY").tell(DOG)
    assert not (value or "").strip() or value not in str(refused.value)
    own(endpoint='model = "m", key = "FAR_KEY"')
    (row,) = [row for row in describe() if row["name"] == "far"]
    assert row["state"] == "broken" and "FAR_KEY" in row["reason"]
    assert not fake.asked and not fake.looked
