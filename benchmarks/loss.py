"""What 8 bits cost: perplexity per word as the engine tells, its rounded activations and all, against torch in fp32."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import torch

from benchmarks.rows import Row, Spread
from storylab.evaluation.score import score
from storylab.framing import encode_stories
from storylab.stories import Story, read_stories
from storylab.storytellers import load
from storylab.storytellers.kinds import Session
from storylab.storytellers.storyteller import Storyteller

NAMES = ("gpt2-mini-finetuned", "seq2seq", "encoder")
STORIES = 150
AT_ONCE = 32


def losses(file: Path) -> Iterator[Row]:
    """Measure the bundled storytellers that learnt stories, on the first ones of a file."""
    stories = read_stories(file)[:STORIES]
    words = sum(story.scored_words for story in stories)
    for name in NAMES:
        whole = score(load(name, engine="torch"), stories).perplexity_per_word
        coarse = float(np.exp(session_loss(load(name, dtype="int8"), stories) / words))
        what = f"{name}, perplexity per word of {len(stories)} stories"
        spreads = (Spread.of([value]) for value in (whole, coarse, coarse / whole))
        yield Row(what, "torch, fp32", "onnx, int8", "perplexity", *spreads, at_most=1.005)


def session_loss(storyteller: Storyteller, stories: Sequence[Story]) -> float:
    """Negative log-likelihood in nats of what `score` scores, from a session that is made to tell just that."""
    encoded, end = encode_stories(stories, storyteller.tokenizer), storyteller.kind.end
    labels = [[*story.continuation.tolist(), end] for story in encoded]
    company = [storyteller.company(story.opening) for story in stories]
    loss = 0.0
    for _, group in groupby(sorted(range(len(stories)), key=company.__getitem__), key=company.__getitem__):
        numbers = list(group)
        for first in range(0, len(numbers), AT_ONCE):
            some = numbers[first : first + AT_ONCE]
            session = storyteller.session([stories[number].opening for number in some])
            loss += _loss(session, [labels[number] for number in some])
    return loss


def _loss(session: Session, labels: list[list[int]]) -> float:
    """Of labels behind each of a session's texts."""
    loss, told = 0.0, 0
    while True:
        wanted = torch.tensor([tokens[told] for tokens in labels])
        loss += float(torch.nn.functional.cross_entropy(session.logits.double(), wanted, reduction="sum"))
        told += 1
        rows = [row for row, tokens in enumerate(labels) if told < len(tokens)]
        if not rows:
            return loss
        session.keep(rows)
        labels = [labels[row] for row in rows]
        session.advance([tokens[told - 1] for tokens in labels])
