"""What an endpoint tells is a telling like any other."""

import math
import threading

import pytest
from fake_endpoint import STORY, endless, raw, silent, told

from storylab.errors import StoryLabError
from storylab.storytellers import Telling
from storylab.storytellers.remote.chunks import read_chunk

DOG = "My dog ran away"


def test_a_telling_is_that_of_an_endpoint(fake, far):
    *pieces, telling = far().stream(DOG, seed=7)
    assert "".join(piece.text for piece in pieces) == "".join(STORY) == telling.text
    assert telling.story == ["It ran far.", "I ran after it.", "We met.", "We went on."]
    assert (telling.model, telling.ended_by, telling.finished, telling.seed) == ("far", "end", True, 7)
    assert telling.tokens == len(STORY) and not telling.pathologies and telling.seconds_to_first_token > 0
    assert telling == Telling.from_dict(telling.to_dict())
    (asked,) = fake.asked
    expected = {"model": "m", "prompt": DOG + ".", "stream": True, "seed": 7, "max_tokens": 160, "logprobs": 1}
    assert asked == expected | {"temperature": 0.8, "top_p": 0.9, "path": "/v1/completions", "key": ""}


def test_a_sentence_too_many_ends_it_here_and_there(fake, far):
    fake.answers = [endless(" It ran.")]
    telling = far().tell(DOG)
    assert (telling.text, telling.ended_by, telling.tokens) == ("It ran. It ran. It ran. It ran.", "sentences", 5)
    assert [fault["code"] for fault in telling.pathologies] == ["loop"]
    assert fake.left.wait(60), "the endpoint told on to nobody"


@pytest.mark.parametrize(
    ("answer", "tokens"), [(told(["It", " ran"], "length"), 2), (endless(" and"), 5)], ids=["told so", "ignored"]
)
def test_the_token_limit_holds_whatever_the_endpoint_makes_of_it(fake, far, answer, tokens):
    fake.answers = [answer]
    telling = far().tell(DOG, {"max_new_tokens": 5})
    assert (telling.ended_by, telling.tokens, telling.finished) == ("tokens", tokens, False)
    assert fake.asked[0]["max_tokens"] == 5


def test_a_chat_is_told_what_to_do(fake, far):
    telling = far(instruction="Go on with it.", log_probabilities=False).tell(DOG, {"strategy": "greedy"}, seed=1)
    assert telling.text == "".join(STORY) and telling.ended_by == "end"
    (asked,) = fake.asked
    assert asked["messages"] == [{"role": "user", "content": f"Go on with it.\n\n{DOG}."}]
    assert (asked["path"], asked["model"], asked["seed"]) == ("/v1/chat/completions", "m", 1)
    assert asked["temperature"] == 0 and "top_p" not in asked and "logprobs" not in asked


@pytest.mark.parametrize("instruction", ["", "Go on with it."], ids=["text", "chat"])
def test_log_probabilities_are_taken_where_given(fake, far, instruction):
    fake.answers = [told(["It", " ran", "."], given=[-0.5, -1, 0]), told(["It", " ran"], given=[-0.5, None])]
    pieces = list(far(instruction=instruction).stream(DOG))[:-1]
    assert [piece.log_probability for piece in pieces] == [-0.5, -1, 0]
    assert fake.asked[0]["logprobs"] == (True if instruction else 1)
    one, other = list(far(instruction=instruction).stream(DOG))[:-1]
    assert one.log_probability == -0.5 and math.isnan(other.log_probability)


@pytest.mark.parametrize("values", [[0.5], ["x"], [True], [math.nan], [-math.inf], {"a": 1}, [], "-1", None])
def test_log_probabilities_that_are_none_are_not_known(values):
    chunk = read_chunk({"choices": [{"text": "a", "logprobs": {"token_logprobs": values}}]})
    assert math.isnan(chunk.log_probability) and chunk.tokens == 1


def test_tokens_of_one_piece_count_each(fake, far):
    choice = {"text": " ran", "logprobs": {"token_logprobs": [-1, -2]}}
    chunk = read_chunk({"choices": [choice]})
    assert (chunk.text, chunk.tokens, chunk.log_probability, chunk.ended_by) == (" ran", 2, -3, None)


def test_the_end_token_is_no_token_of_the_story(fake, far):
    last = b'data: {"choices": [{"text": "", "logprobs": {"token_logprobs": [-9]}, "finish_reason": "stop"}]}\n\n'
    fake.answers = [raw(b'data: {"choices": [{"text": "It ran.", "logprobs": {"token_logprobs": [-1]}}]}\n\n', last)]
    *pieces, telling = far().stream(DOG)
    assert [piece.log_probability for piece in pieces] == [-1] and telling.tokens == 1 and telling.finished


def test_no_text_reaches_a_terminal_or_breaks_a_page(fake, far):
    fake.answers = [raw(rb'data: {"choices": [{"text": "\u001b[31mI\ud800 \u0000ran.\r\n"}]}' + b"\n\n", _END)]
    text = far().tell(DOG).text
    assert text == "\ufffd[31mI\ufffd \ufffdran."
    assert text.encode("utf-8")


_END = b'data: {"choices": [{"text": "", "finish_reason": "stop"}]}\n\n'


@pytest.mark.parametrize("texts", [(), ("It", " ran")], ids=["before the first piece", "in the middle"])
def test_stop_ends_a_telling_that_nothing_comes_of(fake, far, texts):
    fake.answers, stop = [silent(texts)], threading.Event()
    stream = far().stream(DOG, stop=stop)
    assert [next(stream).text for _ in texts] == list(texts)
    threading.Timer(0.05, stop.set).start()
    (telling,) = stream
    assert (telling.ended_by, telling.text, telling.tokens) == ("stopped", "".join(texts), len(texts))


def test_whoever_closes_the_stream_ends_it_there_too(fake, far):
    fake.answers = [endless(" and")]
    stream = far().stream(DOG)
    next(stream)
    stream.close()
    assert fake.left.wait(60), "the endpoint told on to nobody"


@pytest.mark.parametrize("settings", [{"temperature": -1}, {"speed": 3}, {"preset": "none"}])
@pytest.mark.parametrize("opening", [DOG, ""])
def test_what_is_no_question_is_not_asked(fake, far, settings, opening):
    with pytest.raises(StoryLabError):
        far().tell(opening, settings)
    assert not fake.asked and not fake.looked
