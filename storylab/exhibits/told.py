"""The exhibits that ask the storytellers at hand in several ways, and the one of a story learnt by heart."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

from storylab.exhibits.live import nearest, refuse_elsewhere, tell
from storylab.exhibits.openings import KITE, NEARLY, PARK, WEIGHT
from storylab.exhibits.overfit import overfit
from storylab.exhibits.parts import Figure, Loss, Part
from storylab.storytellers import load
from storylab.storytellers.sources import PROJECT
from storylab.tokenizers import load_tokenizer


def repetition(stop: threading.Event, computes: Mapping[str, Any]) -> Iterator[Part]:
    """A zero-shot storyteller by beam search, and three ways out."""
    name = nearest(["gpt2", "gpt2-mini", "smollm2"])
    storyteller = load(name, **computes)
    beams = {"strategy": "beam", "num_beams": 5}
    bound = beams | {"no_repeat_ngram_size": 3, "repetition_penalty": 1.2}
    ways = (
        ("failure", "beam", "beam search", beams),
        ("repair", "sampled", "sampled", {}),
        ("repair", "bound", "beam search, no three tokens in a row twice, repetition penalty 1.2", bound),
    )
    for side, key, label, settings in ways:
        yield from tell(side, key, f"{name}, {label}", storyteller, PARK, settings, 0, stop)


def finetuned(stop: threading.Event, computes: Mapping[str, Any]) -> Iterator[Part]:
    """A fine-tuned storyteller with three seeds."""
    name = nearest(["gpt2-finetuned", "gpt2-mini-finetuned", "smollm2-finetuned"])
    for seed in (1, 2, 3):
        yield from tell("repair", "sampled", f"{name}, seed {seed}", load(name, **computes), PARK, {}, seed, stop)


def temperature(stop: threading.Event, computes: Mapping[str, Any]) -> Iterator[Part]:
    """Two temperatures with three seeds each."""
    name = nearest(["seq2seq", "gpt2-mini-finetuned"])
    for side, value in (("failure", 0.1), ("repair", 1.0)):
        for seed in (1, 2, 3):
            label, settings = f"{name}, temperature {value}, seed {seed}", {"temperature": value, "top_p": 1.0}
            yield from tell(side, "temperature", label, load(name, **computes), WEIGHT, settings, seed, stop)


def by_heart(stop: threading.Event, computes: Mapping[str, Any]) -> Iterator[Part]:
    """One story learnt by heart, and what becomes of another opening."""
    refuse_elsewhere(computes)
    learnt = overfit(KITE, load_tokenizer(PROJECT / "train" / "vocabulary"), should_stop=stop.is_set)
    yield from (Loss("repair", step, loss) for step, loss in learnt.losses)
    yield Figure("steps", "steps", "repair", learnt.steps, "count")
    yield Figure("seconds", "seconds", "repair", learnt.seconds, "seconds")
    greedy = {"strategy": "greedy"}
    known, changed = "the opening that it learnt", "the opening slightly changed"
    yield from tell("repair", "greedy", known, learnt.storyteller, KITE.opening, greedy, 0, stop)
    yield from tell("failure", "greedy", changed, learnt.storyteller, NEARLY, greedy, 0, stop)
