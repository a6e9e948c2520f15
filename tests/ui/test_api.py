"""The named endpoints, as a client in another process sees them."""

import json
import math
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from storylab import load
from storylab.decoding import Settings
from storylab.inspection.branch import branch
from storylab.inspection.next_token import next_token
from storylab.inspection.strategies import STRATEGIES
from storylab.inspection.tokens import read_text
from storylab.storytellers import describe
from storylab.ui.api import ENDPOINTS
from storylab.ui.api_endpoint import one_line_each

OPENING = "My dog ran away during the storm."
NAMES = [f"/{endpoint.name}" for endpoint in ENDPOINTS]


@pytest.fixture(scope="module")
def client(server) -> Client:
    return Client(server.url, verbose=False)


def tell(client: Client, **changes) -> dict:
    arguments = {"opening": OPENING, "model": "seq2seq", "seed": 3, "settings": {}} | changes
    return client.predict(**arguments, api_name="/tell")


def test_only_the_documented_endpoints_are_public(client):
    endpoints = client.view_api(return_format="dict", print_info=False)
    assert list(endpoints["named_endpoints"]) == NAMES
    assert not endpoints["unnamed_endpoints"]
    parameters = endpoints["named_endpoints"]["/tell"]["parameters"]
    assert [p["parameter_name"] for p in parameters] == ["opening", "model", "seed", "settings"]
    assert [p["parameter_has_default"] for p in parameters] == [False, False, True, True]


def test_every_handler_of_the_page_is_private(client):
    handlers = client.config["dependencies"]
    assert {f"/{h['api_name']}" for h in handlers if h["api_visibility"] == "public"} == set(NAMES)
    assert {h["api_visibility"] for h in handlers if f"/{h['api_name']}" not in NAMES} == {"private"}


def test_each_argument_is_documented_in_one_sentence_or_more(client):
    for endpoint in client.view_api(return_format="dict", print_info=False)["named_endpoints"].values():
        assert endpoint["description"].endswith(".")
        assert all(p["python_type"]["description"].endswith(".") for p in endpoint["parameters"])


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
        ({"seed": "7"}, "seed must be"),
        ({"settings": {"temperature": -1}}, "temperature must be"),
        ({"settings": {"heat": 1}}, "unknown setting 'heat'"),
        ({"settings": "hot"}, "settings must be"),
        ({"settings": ["hot"]}, "settings must be"),
    ],
)
def test_bad_input_is_refused_in_one_line(client, changes, message):
    with pytest.raises(AppError, match=message) as refusal:
        tell(client, **changes)
    assert "\n" not in str(refusal.value).strip()


TEXT = "Nobody could find him. He came back in the morning."


def test_reading_branching_and_the_next_token_are_those_of_the_package(client):
    seq2seq = load("seq2seq")
    read = client.predict(OPENING, TEXT, "seq2seq", api_name="/tokens")
    ours = json_of(read_text(seq2seq, OPENING, TEXT).to_dict())
    assert [token["text"] for token in read["tokens"]] == [token["text"] for token in ours["tokens"]]
    assert read["perplexity_per_word"] == pytest.approx(ours["perplexity_per_word"], rel=1e-4)

    wanted = {"top_k": 5, "repetition_penalty": 1.2}
    stages = client.predict(OPENING, "seq2seq", TEXT, wanted, api_name="/next")
    expected = next_token(seq2seq, OPENING, TEXT, Settings.from_mapping(wanted))
    assert [(stage["name"], stage["kept"]) for stage in stages] == [(stage.name, stage.kept) for stage in expected]

    place = next(n for n, token in enumerate(read["tokens"]) if token["text"] == " He")
    other = next(t for t in read["tokens"][place]["alternatives"] if t["text"] not in (" He", ""))
    by_id = client.predict(OPENING, TEXT, place, "seq2seq", other["token"], seed=4, api_name="/branch")
    by_text = client.predict(OPENING, TEXT, place, "seq2seq", other["text"], seed=4, api_name="/branch")
    expected = branch(seq2seq, OPENING, TEXT, place, other["token"], seed=4).to_dict()
    for told in (by_id, by_text, expected):
        for name in ("seconds", "seconds_to_first_token", "tokens_per_second"):
            del told["telling"][name]
    assert by_id == by_text == json_of(expected)
    assert by_id["kept"] == "Nobody could find him."


def test_strategies_differ_from_a_telling_in_their_settings_alone(client):
    told = {row.pop("strategy"): row for row in client.predict(OPENING, "encoder", 2, api_name="/strategies")}
    assert told.keys() == STRATEGIES.keys()
    again = tell(client, model="encoder", seed=2, settings=told["top-p 0.9"]["settings"])
    assert told["top-p 0.9"].keys() == again.keys()
    assert told["top-p 0.9"]["text"] == again["text"]
    assert told["greedy"]["settings"]["strategy"] == "greedy"


@pytest.mark.parametrize(
    ("endpoint", "changes", "message"),
    [
        ("/tokens", {"text": None}, "text must be a string"),
        ("/tokens", {"text": "x" * 2001}, "at most 2,000"),
        ("/tokens", {"model": "checkpoints/seq2seq"}, "no storyteller"),
        ("/next", {"text": ["a"]}, "text must be a string"),
        ("/next", {"settings": {"strategy": "beam"}}, "beam search"),
        ("/next", {"opening": {"a": 1}}, "opening must be text"),
        ("/next", {"model": "damaged"}, "damaged is broken"),
        ("/branch", {"position": "0"}, "position must be"),
        ("/branch", {"position": 1000}, "position must be"),
        ("/branch", {"token": "not a token"}, "is no token"),
        ("/branch", {"token": 1.5}, "token must be the id"),
        ("/branch", {"token": [1]}, "token must be the id"),
        ("/branch", {"seed": -1}, "seed must be"),
        ("/branch", {"settings": 7}, "settings must be"),
        ("/branch", {"text": 7}, "text must be a string"),
        ("/strategies", {"seed": 0.5}, "seed must be"),
        ("/strategies", {"opening": None}, "opening must be text"),
    ],
)
def test_a_look_inside_refuses_bad_input_in_one_line(client, endpoint, changes, message):
    arguments = {"opening": OPENING, "model": "seq2seq"}
    if endpoint != "/strategies":
        arguments["text"] = TEXT
    if endpoint == "/branch":
        arguments["position"] = 0
    with pytest.raises(AppError, match=message) as refusal:
        client.predict(**arguments | changes, api_name=endpoint)
    assert "\n" not in str(refusal.value).strip()


def test_numbers_that_json_has_no_word_for_are_refused(server):
    body = json.dumps({"data": [OPENING, "seq2seq", 1, {"temperature": math.nan}]}).encode()
    address = f"{server.url}gradio_api/call/tell"
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(address, body, headers)) as answer:
        call = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{address}/{call}") as answer:
        event, data = answer.read().decode().strip().split("\n")[-2:]
    assert event == "event: error"
    assert "temperature must be a number from 0.05 to 5, not nan" in data


def test_what_is_said_of_an_argument_becomes_one_line_for_gradio():
    doc = "Do.\n\nMore.\n\nArgs:\n    a: One,\n        two.\n    b: Three.\n\nReturns:\n    Four,\n    five."
    assert one_line_each(doc) == ("Do.\n\nMore.\n\nArgs:\n    a: One, two.\n    b: Three.\n\nReturns:\n    Four, five.")


def json_of(value):
    return json.loads(json.dumps(value))
