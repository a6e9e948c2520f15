"""What one message of a streamed answer says, whichever of the two routes it comes from."""

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from storylab.storytellers.remote.failure import Failure
from storylab.storytellers.telling import EndedBy

ENDINGS: Mapping[str, EndedBy] = {
    "length": "tokens",
    "stop": "end",
    "eos_token": "end",
    "stop_sequence": "end",
}
"""What ended a telling, by the protocol's `finish_reason`; the last two are TGI's."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a text that an endpoint sends."""

    text: str
    tokens: int
    """How many tokens it is made of; 1 where the endpoint doesn't say."""
    log_probability: float
    """Their natural logarithms, summed; NaN where the endpoint gives none."""
    ended_by: EndedBy | None
    """What ended the text with it; None where it goes on."""


def read_chunk(message: Any) -> Chunk:
    """Read one message.

    Raises:
        Failure: It is no message of the protocol, or says that the endpoint gave up.
    """
    if not isinstance(message, Mapping):
        raise Failure("sends what is no answer of the protocol")
    if message.get("error"):
        raise Failure(f"broke off: {words_of(message)}")
    choices = message.get("choices")
    if choices == []:  # one that only counts
        return Chunk("", 0, math.nan, None)
    if not isinstance(choices, list) or not isinstance(choices[0], Mapping):
        raise Failure("sends what is no answer of the protocol")
    choice = choices[0]
    delta = choice.get("delta") if isinstance(choice.get("delta"), Mapping) else {}
    text = choice.get("text", delta.get("content"))
    if not isinstance(text, str | None):
        raise Failure("sends what is no text")
    tokens, log_probability = _log_probability(choice.get("logprobs"))
    reason = choice.get("finish_reason") or None  # some leave it empty until the end
    if reason is not None and reason not in ENDINGS:
        raise Failure(f"broke off the story: {words_of(reason)}")
    return Chunk(_readable(text or ""), tokens or int(bool(text)), log_probability, ENDINGS.get(reason))


def words_of(message: Any) -> str:
    """What an endpoint's message about an error says, in one line."""
    for key in ("error", "message", "detail"):
        if isinstance(message, Mapping) and message.get(key):
            return words_of(message[key])
    return " ".join(_readable(str(message)).split())


def _log_probability(given: Any) -> tuple[int, float]:
    """How many tokens log-probabilities were given for, and their sum: text completion has lists, chat has objects."""
    if not isinstance(given, Mapping):
        return 0, math.nan
    values = given.get("token_logprobs")
    if values is None and isinstance(given.get("content"), list):
        values = [token.get("logprob") if isinstance(token, Mapping) else None for token in given["content"]]
    if not isinstance(values, list) or not values:
        return 0, math.nan
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    whole = len(numbers) == len(values) and all(-math.inf < number <= 1e-6 for number in numbers)
    return len(values), math.fsum(numbers) if whole else math.nan


def _readable(text: str) -> str:
    """A text without what a terminal obeys and what no encoding can write: control characters, lone surrogates."""
    return "".join(
        "\ufffd" if unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t" else character
        for character in text.replace("\r\n", "\n")
    )
