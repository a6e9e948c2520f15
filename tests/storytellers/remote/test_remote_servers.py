"""Settings in the words of each server, and those that a server lacks."""

import json

import pytest

from storylab.decoding import PRESETS, Settings
from storylab.errors import StoryLabError
from storylab.storytellers.remote.servers import SERVERS, fields_for

ALL = Settings(temperature=1.2, top_k=5, top_p=0.5, min_p=0.1, typical_p=0.7, repetition_penalty=1.3)


def test_openai_is_told_what_it_knows():
    assert fields_for("openai", Settings(max_new_tokens=9), 3) == {
        "max_tokens": 9,
        "seed": 3,
        "temperature": 0.8,
        "top_p": 0.9,
    }
    assert "top_p" not in fields_for("openai", PRESETS["pure"], 0), "TGI refuses a top_p of 1"


def test_vllm_is_told_all_so_that_no_default_of_the_model_comes_in():
    more = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0, "top_p": 1.0, "temperature": 1.0}
    assert fields_for("vllm", PRESETS["pure"], 0) == {"max_tokens": 160, "seed": 0, **more}
    assert fields_for("vllm", Settings(top_k=5, min_p=0.1, repetition_penalty=1.3), 0)["top_k"] == 5


def test_transformers_is_told_to_sample():
    config = json.loads(fields_for("transformers", ALL, 0)["generation_config"])
    wanted = {name: value for name, value in ALL.to_dict().items() if name in config}
    assert config == wanted | {"do_sample": True} and config["typical_p"] == 0.7


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("settings", [PRESETS["greedy"], Settings(strategy="beam", num_beams=1, top_k=7)])
def test_greedy_is_greedy(server, settings):
    fields = fields_for(server, settings, 0)
    assert fields.get("temperature") == 0 or not json.loads(fields["generation_config"])["do_sample"]
    assert "top_k" not in fields and "top_p" not in fields


@pytest.mark.parametrize(
    ("server", "settings", "unknown"),
    [
        ("openai", Settings(top_k=5), "top_k"),
        ("openai", PRESETS["wild"], "min_p"),
        ("openai", PRESETS["fresh"], "repetition_penalty, no_repeat_ngram_size"),
        ("vllm", PRESETS["fresh"], "no_repeat_ngram_size"),
        ("vllm", PRESETS["typical"], "typical_p"),
        ("transformers", PRESETS["beam"], "beam search"),
    ],
)
def test_a_setting_that_a_server_lacks_is_refused(server, settings, unknown):
    with pytest.raises(StoryLabError, match=unknown):
        fields_for(server, settings, 0)
