"""Packs that drop stories and let them read each other; and a beam search that goes in circles all the same."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from storylab.exhibits.live import nearest, tell
from storylab.exhibits.openings import PARK
from storylab.exhibits.parts import Doing, Figure, Part
from storylab.framing import IGNORED, Framing, Packed, encode_stories
from storylab.inspection.corpus import small_corpus
from storylab.storytellers import load
from storylab.storytellers.storyteller import Storyteller

STORIES = 32
"""Of the small corpus: some four packs."""
PACK = 512
"""Tokens a pack; the report's had 768, more than the small storytellers have positions for."""


class JoinedPacks(Packed):
    """The report's `pack_tensor`, kept: what overflows a pack is dropped, and stories in a pack read each other."""

    def __init__(self, stories, tokenizer, positions: int, pack_length: int):
        super().__init__(stories, tokenizer, positions, pack_length)
        self.packs, self.dropped = join([len(inputs) for inputs, _ in self.pieces], pack_length)

    def collate(self, examples) -> dict[str, Tensor]:
        """input_ids, labels (batch, length): positions run on from story to story, and no mask parts them."""
        batch = super().collate(examples)
        return {"input_ids": batch["input_ids"], "labels": batch["labels"]}


def join(lengths: Sequence[int], capacity: int) -> tuple[list[list[int]], list[int]]:
    """The report's packs of items of some lengths, and the items that got lost: one at the end of each pack but one."""
    packs: list[list[int]] = [[]]
    dropped, room = [], capacity
    for item, length in enumerate(lengths):
        if length <= room:
            packs[-1].append(item)
            room -= length
        else:
            dropped.append(item)
            packs.append([])
            room = capacity
    return [pack for pack in packs if pack], dropped


def packing(stop: threading.Event, computes: Mapping[str, Any]) -> Iterator[Part]:
    """What packs lose and mix up, measured with the fine-tuned storyteller; and how it tells, by beams and sampled."""
    name = nearest(["gpt2-mini-finetuned", "gpt2-finetuned", "smollm2-finetuned"])
    storyteller = load(name, **computes)
    beams = {"strategy": "beam", "num_beams": 5}
    yield from tell("failure", "beam", f"{name}, beam search", storyteller, PARK, beams, 0, stop)
    for seed in (1, 2, 3):
        yield from tell("repair", "sampled", f"{name}, seed {seed}", storyteller, PARK, {}, seed, stop)
    if not stop.is_set():
        yield from measure_packs(storyteller)


def measure_packs(storyteller: Storyteller) -> Iterator[Part]:
    """Stories dropped, tokens that are predicted with another story in sight, and the loss, in both kinds of packs."""
    tokenizer, positions = storyteller.tokenizer, storyteller.kind.positions
    stories = encode_stories(small_corpus().stories[:STORIES], tokenizer)
    length = min(PACK, positions)
    joined = JoinedPacks(stories, tokenizer, positions, length)
    packed = Packed(stories, tokenizer, positions, length)
    kept = [story for number, story in enumerate(stories) if number not in joined.dropped]
    apart = Packed(kept, tokenizer, positions, length)  # the same stories, so that losses can be compared
    for side, whole, framing in (("failure", joined, joined), ("repair", packed, apart)):
        yield Figure("dropped", "stories dropped", side, dropped_share(whole), "share")
        yield Figure("mixed", "tokens that another story is in sight of", side, mixed_share(whole), "share")
        yield Doing("reading", side)
        yield Figure("pack_loss", "loss of the same storyteller", side, mean_loss(storyteller, framing), "nats")


def dropped_share(framing: Packed) -> float:
    """The share of stories, or of the pieces of long ones, that are in no pack."""
    return 1 - len({piece for pack in framing.packs for piece in pack}) / len(framing.pieces)


def mixed_share(framing: Packed) -> float:
    """The share of tokens in packs whose mask lets them look at another story; without a mask they look back at all."""
    mixed = tokens = 0
    for pack, example in zip(framing.packs, framing.examples(0), strict=True):
        owner = np.repeat(pack, [len(framing.pieces[piece][0]) for piece in pack])  # (length,)
        mask = framing.collate(example[None]).get("attention_mask")  # (1, 1, length, length)
        sight = np.tri(len(owner), dtype=bool) if mask is None else mask[0, 0].numpy().astype(bool)
        mixed += int((sight & (owner[:, None] != owner)).any(axis=1).sum())
        tokens += len(owner)
    return mixed / tokens


def mean_loss(storyteller: Storyteller, framing: Framing) -> float:
    """Mean loss of a storyteller over all labels of a framing, in nats a label."""
    from storylab.evaluation.score import predictions

    total = count = 0.0
    for example in framing.examples(0):
        labels, logits = predictions(storyteller, framing, np.array([example]))
        total += float(F.cross_entropy(logits[0], labels[0], ignore_index=IGNORED, reduction="sum"))
        count += int((labels != IGNORED).sum())
    return total / count
