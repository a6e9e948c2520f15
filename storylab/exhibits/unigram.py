"""The encoder that ended at the unigram prior: a rate of 1e-7 against one that learns, and padding averaged in."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from storylab.exhibits.live import LIKELIEST, accuracy, guess, learn, nearest, new_model, tell
from storylab.exhibits.openings import PARK
from storylab.exhibits.parts import Figure, Guess, Level, Part
from storylab.framing import EncodedStory, NextToken, encode_stories
from storylab.inspection.corpus import small_corpus
from storylab.storytellers import load
from storylab.storytellers.kinds import EncoderKind
from storylab.storytellers.sources import PROJECT
from storylab.storytellers.storyteller import Storyteller
from storylab.tokenizers import encode, load_tokenizer, piece_text
from storylab.training.recipe import Recipe

PADDED = 128
"""Tokens to which the report padded each prefix."""
STORIES = 3
"""Of the small corpus: few enough to be learnt while one looks on."""
REPAIRED = Recipe(
    name="unigram",
    title="A small encoder",
    model_type="encoder",
    framing="next-token",
    model={"width": 128, "heads": 4, "layers": 1, "inner": 256, "dropout": 0.0},
    prefixes=0,
    epochs=16.0,
    batch_size=16,
    optimizer="adamw",
    learning_rate=5e-3,
    warmup=5,
    schedule="wsd",
    precision="fp32",
    log_every=4,
    evaluate_every=10_000,
    save_every=10_000,
)
REPORTED = replace(REPAIRED, learning_rate=1e-7)
"""The same but for the report's rate; its optimizer was Adam, which AdamW is with its weight decay set apart."""


def pad_to(ids: Tensor, padding: int) -> Tensor:
    """Pad ids (batch, length) on the right (batch, 128)."""
    return F.pad(ids, (0, PADDED - ids.shape[1]), value=padding)


def unigram_entropy(stories: list[EncodedStory], end: int) -> float:
    """The loss of a model that knows how common each token is and nothing else, in nats a token.

    The entropy of the distribution of all continuation tokens and ends (Shannon 1948).
    """
    counts = np.bincount(np.concatenate([np.append(story.continuation, end) for story in stories]))
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def unigram(stop: threading.Event, computes: Mapping[str, Any]) -> Iterator[Part]:
    """Two small encoders learn the same stories at two rates; then the committed one reads a padded prefix."""
    encoder = load(nearest(["encoder"]), **computes)  # what can't be had is said before the training
    tokenizer = load_tokenizer(PROJECT / "train" / "vocabulary")
    corpus = small_corpus().stories[:STORIES]
    stories = encode_stories(corpus, tokenizer)
    yield Level("blind", "guessing blindly", math.log(len(tokenizer)))
    yield Level("unigram", "knowing only how common each token is", unigram_entropy(stories, tokenizer.eos_token_id))
    for side, recipe in (("failure", REPORTED), ("repair", REPAIRED)):
        model = new_model(recipe, tokenizer)
        framing = NextToken(stories, tokenizer, model.config.max_position_embeddings)
        model = yield from learn(side, model, recipe, framing, framing, stop)
        learner = Storyteller(f"{side}-encoder", recipe.title, EncoderKind(model, tokenizer))
        yield guess(side, "learnt_next", "expected next after the training", learner, corpus[0].opening)
        yield accuracy(side, "accuracy", "next tokens guessed right, in stories learnt", learner, framing)
        yield from tell(side, "sampled", "trained here", learner, PARK, {"max_new_tokens": 24}, 1, stop)
    yield from tell("repair", "bundled", "encoder, other data, size and steps", encoder, PARK, {}, 2, stop)
    yield from padding_averaged(encoder)


def padding_averaged(encoder: Storyteller) -> Iterator[Part]:
    """What an encoder expects after an opening with padding behind it: left out by the mask, and averaged in."""
    ids = torch.tensor(
        [[encoder.kind.start, *encode(encoder.tokenizer, PARK)]], device=encoder.kind.device
    )  # (1, length)
    padded = pad_to(ids, encoder.tokenizer.pad_token_id)  # (1, 128)
    real = (torch.arange(PADDED, device=ids.device) < ids.shape[1]).long()[None]
    with torch.inference_mode():
        read = lambda **batch: encoder.model(**batch).logits[0, -1].float().softmax(dim=-1)  # noqa: E731
        alone = read(input_ids=ids)
        masked, averaged = read(input_ids=padded, attention_mask=real), read(input_ids=padded)
    for side, key, label, found in (
        ("failure", "padding_read", "expected next, padded to 128, padding averaged in", averaged),
        ("repair", "padding_masked", "expected next, padded to 128, padding masked", masked),
    ):
        values, tokens = found.topk(LIKELIEST)
        pieces = [piece_text(encoder.tokenizer, token) for token in tokens.tolist()]
        yield Guess(label, side, key, PARK, list(zip(pieces, values.tolist(), strict=True)))
        moved = float((found - alone).abs().sum() / 2)  # total variation distance
        yield Figure("moved", "probability that padding moves elsewhere", side, moved, "share")
