"""Settings in the words of the servers: what each knows of ours, and how it wants to be told.

A setting that a server doesn't know is refused, not left out: a story told otherwise than was asked for can't be
compared with others.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from storylab.decoding import OPTIONS, Settings
from storylab.errors import StoryLabError

NEUTRAL = {"top_k": 0, "min_p": 0.0, "typical_p": 1.0, "repetition_penalty": 1.0, "no_repeat_ngram_size": 0}
"""Settings beyond OpenAI's, at the values at which they change nothing."""


def _openai(settings: Settings) -> dict[str, Any]:
    """OpenAI's own: temperature 0 is greedy. TGI refuses a top_p of 1, which is the default of all."""
    if settings.strategy != "sample":
        return {"temperature": 0.0}
    return {"temperature": settings.temperature, **({"top_p": settings.top_p} if settings.top_p < 1 else {})}


def _vllm(settings: Settings) -> dict[str, Any]:
    """Those of vLLM. All are sent: what is left out comes from the model's `generation_config.json`."""
    always = {"repetition_penalty": settings.repetition_penalty}
    if settings.strategy != "sample":
        return {"temperature": 0.0, **always}
    cuts = {"top_k": settings.top_k or -1, "top_p": settings.top_p, "min_p": settings.min_p}
    return {"temperature": settings.temperature, **cuts, **always}


def _transformers(settings: Settings) -> dict[str, Any]:
    """A whole `GenerationConfig`: without one `transformers serve` is greedy, whatever the temperature."""
    config = {
        "max_new_tokens": settings.max_new_tokens,
        "repetition_penalty": settings.repetition_penalty,
        "no_repeat_ngram_size": settings.no_repeat_ngram_size,
        "do_sample": settings.strategy == "sample",
    }
    if settings.strategy == "sample":
        cuts = ("temperature", "top_k", "top_p", "min_p", "typical_p")
        config |= {name: getattr(settings, name) for name in cuts}
    return {"generation_config": json.dumps(config)}


@dataclass(frozen=True)
class Server:
    """A kind of server."""

    fields: Callable[[Settings], Mapping[str, Any]]
    """What it is sent for settings."""
    knows: frozenset[str]
    """What it knows of `NEUTRAL`."""
    log_probabilities: bool = True
    """Whether it gives any."""


SERVERS: Mapping[str, Server] = {
    "openai": Server(_openai, frozenset()),
    "vllm": Server(_vllm, frozenset({"top_k", "min_p", "repetition_penalty"})),
    "transformers": Server(_transformers, frozenset(NEUTRAL), log_probabilities=False),
}
"""By the name that the catalogue has for them. TGI is asked as OpenAI is."""


def fields_for(server: str, settings: Settings, seed: int) -> dict[str, Any]:
    """The fields of a request for settings and a seed.

    Raises:
        StoryLabError: The server doesn't know one of the settings.
    """
    if settings.strategy == "beam" and settings.num_beams > 1:
        raise StoryLabError("an endpoint does no beam search: its protocol has none that streams")
    strategy = "greedy" if settings.strategy == "beam" else settings.strategy
    unknown = [
        name
        for name, neutral in NEUTRAL.items()
        if strategy in OPTIONS[name].strategies
        and getattr(settings, name) != neutral
        and name not in SERVERS[server].knows
    ]
    if unknown:
        raise StoryLabError(f"its endpoint, of server {server!r}, doesn't know the setting {', '.join(unknown)}")
    return {"max_tokens": settings.max_new_tokens, "seed": seed, **SERVERS[server].fields(settings)}
