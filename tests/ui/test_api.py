"""The named endpoints, as a client in another process sees them."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from storylab import load
from storylab.storytellers import describe

OPENING = "My dog ran away during the storm."


@pytest.fixture(scope="module")
def client(server) -> Client:
    return Client(server.url, verbose=False)


def tell(client: Client, **changes) -> dict:
    arguments = {"opening": OPENING, "model": "seq2seq", "seed": 3, "settings": {}} | changes
    return client.predict(**arguments, api_name="/tell")


def test_only_the_documented_endpoints_are_public(client):
    endpoints = client.view_api(return_format="dict", print_info=False)
    assert set(endpoints["named_endpoints"]) == {"/models", "/tell"}
    assert not endpoints["unnamed_endpoints"]
    parameters = endpoints["named_endpoints"]["/tell"]["parameters"]
    assert [p["parameter_name"] for p in parameters] == ["opening", "model", "seed", "settings"]
    assert [p["parameter_has_default"] for p in parameters] == [False, False, True, True]


def test_models_are_those_of_the_command_line_and_a_damaged_one_says_why(client):
    rows = {row["name"]: row for row in client.predict(api_name="/models")}
    damaged = rows.pop("damaged")
    assert damaged["state"] == "broken"
    assert "damaged" in damaged["reason"]
    here = ("encoder", "seq2seq", "gpt2-mini", "gpt2-mini-finetuned")
    assert {name: rows[name] for name in here} == {row["name"]: row for row in describe() if row["name"] in here}


def test_a_telling_is_that_of_the_package(client):
    told, ours = tell(client), load("seq2seq").tell(OPENING, seed=3).to_dict()
    assert told.keys() == ours.keys()
    timing = {"seconds", "seconds_to_first_token", "tokens_per_second"}
    assert {k: told[k] for k in told.keys() - timing} == {k: ours[k] for k in ours.keys() - timing}


def test_answers_stay_with_their_seeds_when_many_ask_at_once(client):
    with ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(lambda number: tell(client, seed=number % 4)["text"], range(12)))
    assert all(texts[number] == texts[number % 4] for number in range(12))
    assert len(set(texts)) == 4


def test_a_seed_and_settings_left_out_are_drawn_and_default(client):
    told = client.predict(OPENING, "encoder", api_name="/tell")
    assert 0 <= told["seed"] < 2**32
    assert told["settings"]["temperature"] == 0.8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"opening": ""}, "opening is empty"),
        ({"opening": "x" * 5000}, "at most 300"),
        ({"opening": ["My dog ran away."]}, "opening must be text"),
        ({"model": "nobody"}, "no storyteller 'nobody'"),
        ({"model": "../../etc"}, "no storyteller"),
        ({"model": "checkpoints/seq2seq"}, "no storyteller"),
        ({"model": "hub:openai-community/gpt2"}, "no storyteller"),
        ({"model": 7}, "name of a storyteller"),
        ({"model": "damaged"}, "damaged is broken"),
        ({"seed": -1}, "seed must be"),
        ({"seed": 1.5}, "seed must be"),
        ({"settings": {"temperature": -1}}, "temperature must be"),
        ({"settings": {"heat": 1}}, "unknown setting 'heat'"),
        ({"settings": "hot"}, "settings must be"),
    ],
)
def test_bad_input_is_refused_in_one_line(client, changes, message):
    with pytest.raises(AppError, match=message) as refusal:
        tell(client, **changes)
    assert "\n" not in str(refusal.value).strip()
