"""One story in the framings: the tensors that a model gets, each number with the part that it plays.

The tensors come from the framings that training uses (storylab/framing.py); nothing is framed anew here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from storylab.errors import StoryLabError
from storylab.framing import (
    IGNORED,
    Autoregressive,
    EncodedStory,
    Misaligned,
    NextToken,
    Packed,
    PromptTarget,
    StoryFraming,
    encode_stories,
)
from storylab.inspection.cells import Cell, Framed, Grid, Look
from storylab.inspection.vocabularies import Vocabulary, piece
from storylab.stories import Story

PREFIXES = 4
"""Prefixes of a story that are shown; the recipe `encoder` learns from ten of each."""
PACK = 128
"""Tokens a pack, or more where a story is longer; the recipes pack 256 or 512."""


class _Place(NamedTuple):
    """Where in its story a token stands."""

    opening: int
    """Tokens of the story's first sentence."""
    number: int
    """Of the token in the story; -1 for what comes before it."""


@dataclass(frozen=True)
class _Batch:
    """Stories to be framed, and the tokenizer that cut them."""

    stories: list[EncodedStory]
    tokenizer: Any
    positions: int

    def grid(
        self,
        name: str,
        axes: str,
        tensor: Tensor,
        framing: StoryFraming,
        places: Sequence[Sequence[_Place]],
        begins: Sequence[set[int]] = (),
    ) -> Grid:
        """A tensor of tokens (batch, ...): `places` tells those of each row, all behind them is padding."""
        specials = {framing.start, framing.end}
        rows = []
        for number, ids in enumerate(tensor.tolist()):
            known = [*places[number], *[None] * (len(ids) - len(places[number]))]
            first = begins[number] if begins else ()
            rows.append(
                tuple(
                    self._cell(token, place, specials, column in first)
                    for column, (token, place) in enumerate(zip(ids, known, strict=True))
                )
            )
        return Grid(name, ("batch", axes), tuple(tensor.shape), tuple(rows))

    def _cell(self, token: int, place: _Place | None, specials: set[int], begins: bool) -> Cell:
        if token == IGNORED:
            return Cell(str(IGNORED), IGNORED, "ignored", begins)
        if place is None:
            role = "padding"
        elif token in specials:  # no typed text becomes one of them
            role = "special"
        else:
            role = "prompt" if place.number < place.opening else "target"
        return Cell(piece(self.tokenizer, token), token, role, begins)


def _next_token(batch: _Batch, name: str) -> Framed:
    story = batch.stories[0]
    framing = NextToken([story], batch.tokenizer, batch.positions, prefixes=PREFIXES)
    examples = framing.examples(0)
    tensors, opening = framing.collate(examples), len(story.opening)
    inputs = [[_Place(opening, number - 1) for number in range(known + 1)] for _, known in examples]
    labels = [[_Place(opening, known)] for _, known in examples]
    return Framed(
        name,
        "prefix",
        (
            batch.grid("input_ids", "length", tensors["input_ids"], framing, inputs),
            _mask("length", tensors["attention_mask"]),
            batch.grid("labels", "label", tensors["labels"], framing, labels),
        ),
        (_look("self", _every_real(tensors["attention_mask"])),),
    )


def _prompt_target(batch: _Batch, name: str) -> Framed:
    framing = PromptTarget(batch.stories, batch.tokenizer, batch.positions)
    tensors = framing.collate(framing.examples(0))
    sources = [[_Place(len(s.opening), number) for number in range(len(s.opening) + 1)] for s in batch.stories]
    shifted = [[_Place(0, number - 1) for number in range(len(s.continuation) + 1)] for s in batch.stories]
    labels = [[_Place(0, number) for number in range(len(s.continuation) + 1)] for s in batch.stories]
    seen = tensors["attention_mask"]
    target = tensors["decoder_input_ids"].shape[1]
    return Framed(
        name,
        "story",
        (
            batch.grid("input_ids", "source", tensors["input_ids"], framing, sources),
            _mask("source", seen),
            batch.grid("decoder_input_ids", "target", tensors["decoder_input_ids"], framing, shifted),
            batch.grid("labels", "target", tensors["labels"], framing, labels),
        ),
        (
            _look("encoder", _every_real(seen)),
            _look("decoder", _back(target)),
            _look("cross", seen[0].bool().expand(target, -1)),
        ),
    )


def _autoregressive(batch: _Batch, name: str) -> Framed:
    framing = Autoregressive(batch.stories, batch.tokenizer, batch.positions, learn_prompt=False)
    tensors = framing.collate(framing.examples(0))
    inputs, labels = zip(*map(_sequence, batch.stories), strict=True)
    seen = tensors["attention_mask"]
    return Framed(
        name,
        "story",
        (
            batch.grid("input_ids", "length", tensors["input_ids"], framing, inputs),
            _mask("length", seen),
            batch.grid("labels", "length", tensors["labels"], framing, labels),
        ),
        (_look("self", _back(seen.shape[1]) & seen[0].bool()),),
    )


def _packed(batch: _Batch, name: str) -> Framed:
    capacity = max(PACK, *(len(story.tokens) + 1 for story in batch.stories))  # so that no story is cut
    framing = Packed(batch.stories, batch.tokenizer, batch.positions, capacity)
    examples = framing.examples(0)
    tensors = framing.collate(examples)
    packs = [[batch.stories[piece] for piece in framing.packs[number]] for (number,) in examples]
    sequences = [[_sequence(story) for story in pack] for pack in packs]
    inputs = [[place for places, _ in pack for place in places] for pack in sequences]
    labels = [[place for _, places in pack for place in places] for pack in sequences]
    positions, seen = tensors["position_ids"], tensors["attention_mask"]
    begins = [
        {column for column in range(len(places)) if numbers[column] == 0}
        for places, numbers in zip(inputs, positions.tolist(), strict=True)
    ]
    return Framed(
        name,
        "pack",
        (
            batch.grid("input_ids", "length", tensors["input_ids"], framing, inputs, begins),
            _numbers("position_ids", positions, framing.lengths(examples), begins),
            batch.grid("labels", "length", tensors["labels"], framing, labels, begins),
            Grid("attention_mask", ("batch", "head", "length", "length"), tuple(seen.shape), ()),
        ),
        (_look("self", seen[0, 0]),),
    )


def _misaligned(batch: _Batch, name: str) -> Framed:
    framing = Misaligned(batch.stories, batch.tokenizer, batch.positions)
    tensors = framing.collate(framing.examples(0))
    inputs = [[_Place(len(s.opening), number - 1) for number in range(len(s.opening) + 1)] for s in batch.stories]
    labels = [[_Place(0, number + 1) for number in range(len(s.continuation))] for s in batch.stories]
    return Framed(
        name,
        "story",
        (
            batch.grid("input_ids", "length", tensors["input_ids"], framing, inputs),
            batch.grid("labels", "length", tensors["labels"], framing, labels),
        ),
        (_look("self", _back(tensors["input_ids"].shape[1])),),
    )


FRAMINGS: dict[str, Callable[[_Batch, str], Framed]] = {
    "next-token": _next_token,
    "prompt-target": _prompt_target,
    "autoregressive": _autoregressive,
    "packed": _packed,
    "prompt-misaligned": _misaligned,
}
"""The framings by the names that recipes use."""


def frame(name: str, stories: Sequence[Story], vocabulary: Vocabulary) -> Framed:
    """A batch of some stories in a framing.

    Args:
        name: One of `FRAMINGS`.
        stories: The story to look at, and others beside it; framing a takes prefixes of the first alone.
        vocabulary: The tokenizer, and the positions of its storyteller.

    Raises:
        StoryLabError: There is no such framing, or a story is too long for the storyteller.
    """
    if name not in FRAMINGS:
        raise StoryLabError(f"framing must be one of {', '.join(FRAMINGS)}, not {name!r}")
    batch = _Batch(encode_stories(stories, vocabulary.tokenizer), vocabulary.tokenizer, vocabulary.positions)
    return FRAMINGS[name](batch, name)


def _sequence(story: EncodedStory) -> tuple[list[_Place], list[_Place]]:
    """The places of inputs and labels in framing c: the inputs have a start before them, the labels an end behind."""
    opening, length = len(story.opening), len(story.tokens)
    return (
        [_Place(opening, number - 1) for number in range(length + 1)],
        [_Place(opening, number) for number in range(length + 1)],
    )


def _mask(axis: str, tensor: Tensor) -> Grid:
    rows = (tuple(Cell(str(seen), seen, "seen" if seen else "unseen") for seen in row) for row in tensor.tolist())
    return Grid("attention_mask", ("batch", axis), tuple(tensor.shape), tuple(rows))


def _numbers(name: str, tensor: Tensor, lengths: np.ndarray, begins: Sequence[set[int]]) -> Grid:
    rows = []
    for numbers, length, first in zip(tensor.tolist(), lengths, begins, strict=True):
        roles = ["position"] * length + ["padding"] * (len(numbers) - length)
        cells = enumerate(zip(numbers, roles, strict=True))
        rows.append(tuple(Cell(str(n), n, role, column in first) for column, (n, role) in cells))
    return Grid(name, ("batch", "length"), tuple(tensor.shape), tuple(rows))


def _back(length: int) -> Tensor:
    """What a causal model allows by itself, whatever it is given: to look back and at oneself (length, length)."""
    return torch.ones(length, length, dtype=torch.bool).tril()


def _every_real(seen: Tensor) -> Tensor:
    """What an encoder allows: every token of the first example, from everywhere (length, length)."""
    return seen[0].bool().expand(seen.shape[1], -1)


def _look(name: str, allowed: Tensor) -> Look:
    return Look(name, tuple(map(tuple, allowed.tolist())))
