"""Beam search by the bundled storytellers, against transformers' `generate(num_beams=5)` on the same weights, fp32.

Both search to the end, up to 64 tokens: nothing is cut behind the fourth sentence. In fp32 they find the same texts.
"""

import time
from argparse import Namespace
from collections.abc import Iterator

import torch
from transformers import GenerationConfig

from benchmarks.decoding import BUNDLED, DEFAULT, OPENINGS, engines
from benchmarks.rows import Row, Side, compare
from storylab.decoding import Settings
from storylab.storytellers.storyteller import Storyteller

SETTINGS = Settings(strategy="beam", num_beams=5, sentences=10, max_new_tokens=64)


def rows(options: Namespace) -> Iterator[Row]:
    """Measure all of it."""
    for name in BUNDLED:
        tellers = engines(name)
        sides: dict[str, Side] = {"generate(num_beams=5), fp32": lambda tellers=tellers: peer(tellers["torch, fp32"])}
        for label, teller in tellers.items():
            sides[label] = lambda teller=teller: ours(teller)
        yield from compare(f"{name}, beam search, 5 beams", sides, options.turns, "tokens/s", {DEFAULT: 2})


def ours(storyteller: Storyteller) -> float:
    """Tokens a second of the texts found."""
    told = [storyteller.tell(opening, SETTINGS) for opening in OPENINGS]
    return sum(telling.tokens + telling.finished for telling in told) / sum(telling.seconds for telling in told)


def peer(storyteller: Storyteller) -> float:
    """Tokens a second of the texts that `generate` finds."""
    model, tokens = storyteller.model, 0
    started = time.perf_counter()
    for opening in OPENINGS:
        inputs = storyteller.kind.prompt(opening)
        config = GenerationConfig(
            num_beams=SETTINGS.num_beams,
            do_sample=False,
            max_new_tokens=SETTINGS.max_new_tokens,
            suppress_tokens=storyteller.mute or None,
            eos_token_id=storyteller.kind.end,
            pad_token_id=storyteller.kind.end,
            decoder_start_token_id=storyteller.kind.start,
            use_cache=model.generation_config.use_cache,
        )
        with torch.inference_mode():
            told = model.generate(**inputs, generation_config=config)[0]
        tokens += len(told) - (1 if model.config.is_encoder_decoder else inputs["input_ids"].shape[1])
    return tokens / (time.perf_counter() - started)
