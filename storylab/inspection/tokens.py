"""Token by token: how likely a storyteller held each one of a text, and what it would rather have said.

The probabilities are the model's own, before temperature and cuts, and the same that `score` adds up. Ranks and
their colours follow Gehrmann, Strobelt and Rush (2019), "GLTR: Statistical Detection and Visualization of Generated
Text".
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from storylab.decoding import check_opening
from storylab.evaluation.score import TOKENS_A_BATCH, predictions
from storylab.framing import IGNORED, EncodedStory, cut_after
from storylab.inspection.texts import check_text
from storylab.storytellers.text_under_way import prompt_of
from storylab.tokenizers import Speller, encode, piece_text

if TYPE_CHECKING:
    from storylab.storytellers.storyteller import Storyteller

ALTERNATIVES = 10
"""The likeliest tokens that are named at each place."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """A token that might have stood in a place."""

    token: int
    text: str
    """By itself, the blank before a word included."""
    probability: float


@dataclass(frozen=True, slots=True)
class ReadToken:
    """A token of a text, as the storyteller that reads it sees it."""

    token: int
    text: str
    """What it adds to the text: nothing where it is a part of a character that is not whole yet."""
    piece: str
    """By itself, as alternatives are written."""
    start: int
    """Where what it adds begins in the text, in characters; the blank before the text begins at -1."""
    log_probability: float
    """Natural logarithm, given all before it."""
    surprise: float
    """The same with its sign turned, to base 2, in bits: 1 where the odds were even, 0 where it was certain."""
    rank: int
    """Its place among all tokens by probability, from 1."""
    entropy: float
    """Of the storyteller's distribution at this place, in bits: the surprise that it expects, 0 where it is certain."""
    alternatives: tuple[Alternative, ...]
    """The likeliest tokens, the likeliest first."""


@dataclass(frozen=True)
class Reading:
    """A text as a storyteller sees it."""

    model: str
    opening: str
    text: str
    tokens: tuple[ReadToken, ...]
    """Those after the opening; the last is the end token."""
    words: int
    """Whitespace-separated words of the text, and one more for its end."""
    perplexity_per_word: float | None
    """exp(nll / words), of all tokens and the end, as `score` has it of many stories; None beyond 1e300."""

    def to_dict(self) -> dict[str, Any]:
        """The reading as JSON-ready data."""
        return asdict(self)


def read_text(storyteller: Storyteller, opening: str, text: str, alternatives: int = ALTERNATIVES) -> Reading:
    """Ask a storyteller for its probability of every token of a text, and of the end behind it.

    Args:
        storyteller: Who reads.
        opening: The first sentence, 1 to 300 characters, which is given.
        text: What comes after it, up to 2,000 characters; empty to see what the storyteller would begin with.
        alternatives: How many of the likeliest tokens to name at each place.

    Raises:
        StoryLabError: The opening is not what it must be, or the text is too long for this or for the model.
    """
    opening = check_opening(opening)
    _, encoded = read_ids(storyteller, opening, text)
    tokenizer = storyteller.tokenizer
    spelling = Speller(tokenizer)
    for token in encoded.opening.tolist():
        spelling.add(token)
    read, before = [], len(spelling.text) + 1  # the blank before the text is its first token's
    for label, log_probabilities in _expectations(storyteller, encoded):
        start = len(spelling.text) - before
        new = "" if label == storyteller.kind.end else spelling.add(label)
        read.append(_look_at(label, new, start, log_probabilities, tokenizer, alternatives))
    words = len(text.split()) + 1
    nll_per_word = -sum(token.log_probability for token in read) / words
    perplexity = math.exp(nll_per_word) if nll_per_word < math.log(1e300) else None
    return Reading(storyteller.name, opening, " ".join(text.split()), tuple(read), words, perplexity)


def read_ids(storyteller: Storyteller, opening: str, text: str) -> tuple[str, EncodedStory]:
    """The prompt for an opening, and the token ids of the prompt and of the text behind it.

    Raises:
        StoryLabError: The text is too long, or no text.
    """
    text = check_text(text)
    prompt, tokenizer = prompt_of(opening), storyteller.tokenizer
    whole = encode(tokenizer, f"{prompt} {text}" if text else prompt)
    return prompt, cut_after(encode(tokenizer, prompt), whole)


def entropy(probabilities: Tensor) -> float:
    """The entropy of a distribution (vocabulary,), in bits."""
    return float(torch.special.entr(probabilities).sum()) / math.log(2)


@torch.inference_mode()
def _expectations(storyteller: Storyteller, encoded: EncodedStory) -> list[tuple[int, Tensor]]:
    """The tokens of the continuation with the log-probabilities of all tokens in their place (vocabulary,)."""
    framing = storyteller.kind.scoring([encoded])
    examples = framing.examples(0)
    size = max(1, TOKENS_A_BATCH // (int(framing.lengths(examples).max()) + 1))
    found = []
    for some in np.split(examples, range(size, len(examples), size)):
        labels, logits = predictions(storyteller, framing, some)
        asked = labels != IGNORED
        found += zip(labels[asked].tolist(), logits[asked].log_softmax(dim=-1).cpu(), strict=True)
    return found


def _look_at(
    token: int, text: str, start: int, log_probabilities: Tensor, tokenizer: Any, alternatives: int
) -> ReadToken:
    own = log_probabilities[token]
    probabilities = log_probabilities.exp()
    likeliest = probabilities.topk(min(alternatives, len(probabilities)))
    return ReadToken(
        token=token,
        text=text,
        piece=piece_text(tokenizer, token),
        start=start,
        log_probability=float(own),
        surprise=-float(own) / math.log(2),
        rank=1 + int((log_probabilities > own).sum()),
        entropy=entropy(probabilities),
        alternatives=tuple(
            Alternative(other, piece_text(tokenizer, other), probability)
            for probability, other in zip(likeliest.values.tolist(), likeliest.indices.tolist(), strict=True)
        ),
    )
