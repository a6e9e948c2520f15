"""Endpoints that are dead, slow, busy, broken, or send anything at all: one clear sentence, and soon."""

import json
import socket
import threading
import time

import pytest
from fake_endpoint import STORY, Answers, Server, raw, silent, status, told

from storylab.errors import StoryLabError
from storylab.storytellers.remote import breaker, calls, reach
from storylab.storytellers.remote.endpoint import Endpoint
from storylab.storytellers.remote.reach import breaker_of
from storylab.storytellers.remote.teller import RemoteStoryteller

DOG = "My dog ran away."


def refusal(storyteller, **more) -> str:
    with pytest.raises(StoryLabError) as refused:
        storyteller.tell(DOG, **more)
    message = str(refused.value)
    assert "\n" not in message and "Traceback" not in message and len(message) < 500
    return message


@pytest.fixture
def nobody() -> str:
    """The address of an endpoint that nobody is at."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


def eventually(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.02)


# Dead


def test_a_dead_endpoint_costs_one_telling_a_second_and_the_next_nothing(nobody, monkeypatch):
    monkeypatch.setattr(reach, "REACH", 1.0)
    far = RemoteStoryteller("far", "Far", Endpoint(nobody, "m"))
    message = refusal(far)
    assert message.startswith(f"far can't tell: its endpoint {nobody} ")
    looks = []
    monkeypatch.setattr(calls, "look", lambda *_: looks.append(1) or "is not there")
    monkeypatch.setattr(breaker, "PAUSE", 60.0)
    start = time.process_time()
    for _ in range(50):
        assert "being looked for" in refusal(far)
    assert time.process_time() - start < 5 and not looks, "somebody was asked again"


def test_a_silent_endpoint_is_dead_after_a_second(fake, far, monkeypatch):
    monkeypatch.setattr(reach, "REACH", 0.2)
    fake.models = silent(headers=False)
    assert "did not answer within 0.2 second" in refusal(far())
    assert "being looked for" in refusal(far())
    assert not fake.asked, "it was asked for a story although nobody answered"


def test_an_endpoint_that_is_there_again_is_found_and_asked(fake, far, monkeypatch):
    monkeypatch.setattr(breaker, "PAUSE", 0.0)
    fake.models = status(503, "no backend")
    assert "is not there: HTTP status 503" in refusal(far())
    fake.models = None
    assert "being looked for" in refusal(far())
    eventually(lambda: not breaker_of(fake.url).reason)
    assert far().tell(DOG).text == "".join(STORY)
    assert len(fake.looked) == 2 and len(fake.asked) == 1


def test_many_at_a_dead_endpoint_have_it_probed_once(fake, far, monkeypatch):
    monkeypatch.setattr(breaker, "PAUSE", 0.0)
    breaker_of(fake.url).open("is not there")
    fake.models = silent()
    for _ in range(10):
        refusal(far())
    eventually(lambda: fake.looked)
    fake.go_on.set()
    eventually(lambda: not breaker_of(fake.url).reason)
    assert len(fake.looked) == 1


def test_a_server_that_comes_up_late_is_waited_for(nobody, fake):
    port = int(nobody.split(":")[2].split("/")[0])
    servers = []

    def come_up():
        servers.append(Server(("127.0.0.1", port), type("TheseAnswers", (Answers,), {"fake": fake})))
        servers[0].serve_forever(0.05)

    assert sum(reach.BACK_OFF) > 0.3
    threading.Timer(0.1, come_up).start()
    try:
        assert RemoteStoryteller("far", "Far", Endpoint(nobody, "m")).tell(DOG).ended_by == "end"
    finally:
        servers[0].shutdown()
        servers[0].server_close()


def test_what_only_the_list_of_models_lacks_is_no_death(fake, far):
    fake.models = status(500, "Internal Server Error")  # `transformers serve` without a Hub's cache
    assert far().tell(DOG).ended_by == "end"


@pytest.mark.parametrize("host", ["a..b", "x" * 70, "nowhere.invalid", "[::1", "1.2.3.4.5"])
def test_an_address_that_leads_nowhere_is_one_sentence(host):
    try:
        endpoint = Endpoint(f"http://{host}/v1", "m")
    except StoryLabError:
        return
    assert "can't tell: its endpoint" in refusal(RemoteStoryteller("far", "Far", endpoint))


@pytest.mark.parametrize("proxy", ["nonsense", "ftp://127.0.0.1:1", "socks5://me:s3cret@127.0.0.1:1", "http://[::1"])
def test_a_proxy_that_is_none_is_one_sentence(far, monkeypatch, proxy):
    monkeypatch.setenv("ALL_PROXY", proxy)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    message = refusal(far())
    assert "can't be reached" in message and "s3cret" not in message


# Slow


def test_patience_has_an_end_before_the_first_piece_and_after_it(fake, far):
    fake.answers = [silent(), silent(["It", " ran"])]
    impatient = far(patience=0.3)
    assert "sent nothing within 0.3 seconds" in refusal(impatient)
    breaker_of(fake.url).close()
    stream = impatient.stream(DOG)
    assert [next(stream).text, next(stream).text] == ["It", " ran"]
    with pytest.raises(StoryLabError, match="fell silent in the middle of the story"):
        next(stream)
    assert len(fake.asked) == 2, "a slow endpoint was asked again"


def test_while_one_waits_in_good_faith_others_are_not_turned_away(fake, far, monkeypatch):
    monkeypatch.setattr(reach, "REACH", 0.2)
    gate, known = threading.Event(), breaker_of(fake.url)
    known.close()

    def loading(to):
        assert gate.wait(60)
        told(STORY)(to)

    fake.answers, fake.models = [loading], silent(headers=False)
    tellings = []
    threads = [threading.Thread(target=lambda: tellings.append(far().tell(DOG))) for _ in range(2)]
    threads[0].start()
    eventually(lambda: fake.asked)
    known.doubt()  # long silent
    threads[1].start()
    eventually(lambda: len(fake.asked) == 2)
    gate.set()
    for thread in threads:
        thread.join(60)
    assert [telling.ended_by for telling in tellings] == ["end", "end"]


# Busy, broken

NO = "no such model"


@pytest.mark.parametrize("code", [429, 500, 502, 503])
def test_what_passes_is_asked_again(fake, far, code):
    fake.answers = [status(code, "", {"Retry-After": "0"}), status(code), told(STORY)]
    assert far().tell(DOG).text == "".join(STORY)
    assert len(fake.asked) == 3


def test_an_endpoint_that_wants_a_long_rest_gets_it(fake, far):
    fake.answers = [status(429, {"error": {"message": "slow down"}}, {"Retry-After": "3600"})]
    assert "HTTP status 429: slow down" in refusal(far())
    assert len(fake.asked) == 1 and not breaker_of(fake.url).reason, "it is not dead"


def test_500_for_ever_is_given_up_and_then_asked_no_more(fake, far, monkeypatch):
    monkeypatch.setattr(breaker, "PAUSE", 60.0)
    fake.answers = [status(500, "<html>Oops</html>")]
    assert refusal(far()).endswith("answers with HTTP status 500")
    asked = len(fake.asked)
    assert asked == 1 + len(calls.PAUSES)
    refusal(far())
    assert len(fake.asked) == asked


@pytest.mark.parametrize(
    "body", [{"detail": "no such model"}, {"error": {"message": "no such model"}}, "no such model"]
)
def test_a_refusal_is_final_and_told_in_the_endpoints_words(fake, far, body):
    fake.answers = [status(404, body)]
    assert "answers with HTTP status 404: no such model" in refusal(far())
    assert len(fake.asked) == 1 and not breaker_of(fake.url).reason


def test_a_story_that_is_cut_is_no_story_and_not_asked_for_twice(fake, far):
    fake.answers = [told(["It", " ran"], finish=None)]
    stream = far().stream(DOG)
    assert [next(stream).text, next(stream).text] == ["It", " ran"]
    with pytest.raises(StoryLabError, match="broke off in the middle of the story"):
        next(stream)
    looked = len(fake.looked)
    refusal(far())
    assert len(fake.asked) == 2 and len(fake.looked) == looked + 1, "it was not looked for after it broke off"


def test_no_redirect_is_followed(fake, far):
    fake.answers = [status(307, "", {"Location": fake.url.replace("127.0.0.1", "localhost") + "/completions"})]
    assert "HTTP status 307" in refusal(far())
    assert len(fake.asked) == 1


# Anything at all

GARBAGE = {
    "nothing": b"",
    "html": b"<html><body>Welcome</body></html>",
    "no stream": json.dumps({"choices": [{"text": "It ran."}]}).encode(),
    "half a line": b'data: {"choices": [{"te',
    "no json": b"data: hello\n\n",
    "a list": b"data: []\n\n",
    "a number": b"data: 1\n\n",
    "null": b"data: null\n\n",
    "no choices": b"data: {}\n\n",
    "odd choices": b'data: {"choices": [3]}\n\n',
    "odd text": b'data: {"choices": [{"text": 3}]}\n\n',
    "odd delta": b'data: {"choices": [{"delta": 3}]}\n\n',
    "odd reason": b'data: {"choices": [{"text": "a", "finish_reason": ["x"]}]}\n\n',
    "filtered": b'data: {"choices": [{"text": "a", "finish_reason": "content_filter"}]}\n\n',
    "an error": b'data: {"error": {"message": "out of memory", "code": 500}}\n\n',
    "deep": b'data: {"choices": ' + b"[" * 100_000 + b"\n\n",
    "long number": b'data: {"choices": [{"text": "a", "logprobs": {"token_logprobs": [-1' + b"0" * 400 + b"]}}]}\n\n",
    "bytes": bytes(range(256)) * 4,
    "latin-1": 'data: {"choices": [{"text": "é"}'.encode("latin-1") + b"\n\n",
    "a huge line": b"data: " + b"x" * (2**20 + 10),
    "a huge text": b'data: {"choices": [{"text": "' + b"x" * 60_000 + b'"}]}\n\n',
}


@pytest.mark.parametrize("instruction", ["", "Go on."], ids=["text", "chat"])
@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_one_sentence(fake, far, name, instruction):
    fake.answers = [raw(GARBAGE[name].replace(b'"text"', b'"delta"') if instruction else GARBAGE[name])]
    message = refusal(far(instruction=instruction))
    assert name != "an error" or "out of memory" in message
    assert name != "filtered" or "content_filter" in message
    assert len(fake.asked) == 1, "it was asked again for what it sent"


def test_what_never_ends_is_not_read_for_ever(fake, far):
    def comments(to):
        to.send(200, "text/event-stream")
        try:
            while not to.fake.go_on.wait(0.005):
                to.wfile.write(b": still here\n\n")
        except OSError:
            to.fake.left.set()

    fake.answers = [comments]
    assert "sent nothing within 0.3 seconds" in refusal(far(patience=0.3))
    assert fake.left.wait(60), "somebody still reads"
