"""Decoding with the bundled storytellers against transformers' `generate` on the same weights, fp32.

One story and 32 openings at once, told as the page tells them (default preset), and four storytellers at once
against the sum of their times alone.
"""

import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from benchmarks.peers import PADDED, PaddedEncoder, generate
from benchmarks.rows import Row, Side, compare, row, take_turns
from storylab.decoding import Settings
from storylab.engines.eight_bits import BLOCK
from storylab.storytellers import load
from storylab.storytellers.storyteller import Storyteller
from storylab.storytellers.together import tell_together

BUNDLED = ("gpt2-mini", "gpt2-mini-finetuned", "seq2seq", "encoder")
OPENINGS = (
    "Every weekend the Jefferson's go to the park.",
    "David noticed he had put on a lot of weight recently.",
    "Nora found an old blue kite behind her grandmother's couch.",
    "My dog ran away.",
)
PEER, MEMORY = "generate, fp32", "memory's bandwidth"
DEFAULT = "onnx, int8"
"""What tells unless something else is asked for, on a processor like those of most users."""
SETTINGS = Settings.from_mapping({"sentences": 10})
"""The default preset, told to the model's own end as `generate` does: it does not stop behind the fourth sentence."""


def rows(options: Namespace) -> Iterator[Row]:
    """Measure all of it."""
    for name in BUNDLED:
        yield from one_story(name, options.turns)
    for name in BUNDLED:
        yield from batch(name, options.turns)
    yield from at_once(options.turns)


def stream(storyteller: Storyteller, opening: str, seed: int) -> float:
    """Tokens a second of one telling."""
    telling = storyteller.tell(opening, SETTINGS, seed)
    return (telling.tokens + telling.finished) / telling.seconds


def together(storyteller: Storyteller, openings: Sequence[str]) -> float:
    """Tokens a second of one story for each opening, 32 at a time."""
    started = time.perf_counter()
    told = [telling for _, telling in tell_together(storyteller, openings, SETTINGS, range(len(openings)))]
    return sum(telling.tokens + telling.finished for telling in told) / (time.perf_counter() - started)


def engines(name: str) -> dict[str, Storyteller]:
    """A bundled storyteller by what it computes with."""
    choices = {"torch, fp32": {"engine": "torch"}, "onnx, fp32": {"dtype": "fp32"}, DEFAULT: {"dtype": "int8"}}
    return {label: load(name, **choice) for label, choice in choices.items()}


def one_story(name: str, turns: int) -> Iterator[Row]:
    """One story at a time, another in each turn."""
    tellers, peers = engines(name), {}
    if name == "encoder":
        peer = PaddedEncoder(tellers["torch, fp32"].model.config).eval()
        peers[f"torch's encoder padded to {PADDED}"] = lambda: peer.rate(12, 40)
    else:
        turn = iter(range(10**6))
        peers[PEER] = lambda: generate(tellers["torch, fp32"], OPENINGS[:1], SETTINGS, next(turn))
    sides: dict[str, Side] = dict(peers)
    for label, teller in tellers.items():
        seeds = iter(range(10**6))
        sides[label] = lambda teller=teller, seeds=seeds: stream(teller, OPENINGS[0], next(seeds))
    asked = 3 if name == "encoder" else 4
    figures = take_turns(sides | {MEMORY: bandwidth}, turns)
    (peer, *_), weights = peers, read_for_a_token(tellers["torch, fp32"].model)
    for label in tellers:
        yield row(f"{name}, one story", figures, peer, label, "tokens/s", asked if label == DEFAULT else None)
    if name == "encoder":  # reads its weights once for all positions, and is bound by arithmetic
        return
    for label, width in (("onnx, fp32", 4), (DEFAULT, 1 + 4 / BLOCK)):
        figures[label] = [rate * weights * width / 1e9 for rate in figures[label]]
        yield row(f"{name}, one story, weights read", figures, MEMORY, label, "GB/s")


def read_for_a_token(model: PreTrainedModel) -> int:
    """How many weights of its matrices a model multiplies with for every token that it tells."""
    once = ("encoder.", "source_attention.key", "source_attention.value")
    return sum(
        module.weight.numel()
        for name, module in model.named_modules()
        if isinstance(module, (nn.Linear, Conv1D)) and not any(part in name for part in once)
    )


def bandwidth() -> float:
    """GB a second that are read from memory by a sum over more than any cache holds."""
    numbers = torch.ones(2**26)  # 268 MB
    started = time.perf_counter()
    numbers.sum()
    return numbers.numel() * numbers.element_size() / (time.perf_counter() - started) / 1e9


def batch(name: str, turns: int) -> Iterator[Row]:
    """32 openings at once."""
    openings = [OPENINGS[number % len(OPENINGS)] for number in range(32)]
    tellers = engines(name)
    turn = iter(range(10**6))
    sides: dict[str, Side] = {PEER: lambda: generate(tellers["torch, fp32"], openings, SETTINGS, next(turn))}
    for label, teller in tellers.items():
        sides[label] = lambda teller=teller: together(teller, openings)
    yield from compare(f"{name}, 32 openings", sides, turns, "tokens/s", {DEFAULT: 2})


def at_once(turns: int) -> Iterator[Row]:
    """Four storytellers at once: seconds, against one after the other."""
    for label in ("torch, fp32", "onnx, fp32", DEFAULT):
        tellers = [engines(name)[label] for name in BUNDLED]
        tell = [lambda teller=teller: teller.tell(OPENINGS[0], SETTINGS, 1) for teller in tellers]
        sides = {f"alone, {label}": lambda tell=tell: timed(tell, False), label: lambda tell=tell: timed(tell, True)}
        yield from compare("four storytellers at once", sides, turns, "seconds", at_most={DEFAULT: 1.1})


def timed(tasks: Sequence[Callable], at_once: bool) -> float:
    """Seconds that some tasks take, one after the other or in threads."""
    started = time.perf_counter()
    with ThreadPoolExecutor(len(tasks) if at_once else 1) as workers:
        for done in [workers.submit(task) for task in tasks]:
            done.result()
    return time.perf_counter() - started
