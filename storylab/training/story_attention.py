"""Attention in packs, story by story.

A mask keeps the stories of a pack apart, but attention with a mask takes time for all pairs of positions of the pack.
Here the queries, keys and values of each story are brought into a row of its own, as long as the longest story, where
causal attention needs no mask, and what comes out is brought back (on GPUs, FlashAttention's kernels for sequences of
several lengths do the same without such rows; Dao 2023, "FlashAttention-2").
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward

NAME = "storylab_stories"
PLAIN = {"gpt2", "llama"}
"""Model types whose attention looks at everything before and at nothing else; others may have windows or biases."""
SLOTS = 2
"""How many times the places of a batch its stories' rows may have: they are memory that every layer takes."""


def pays(stories: Tensor, labels: Tensor) -> bool:
    """Whether a batch is quicker story by story: not where one long story makes the rows of many short ones long.

    Args:
        stories: The places of each story's tokens (stories, longest).
        labels: The batch's (batch, length).
    """
    slots, places = stories.numel(), labels.numel()
    return slots <= SLOTS * places and slots * stories.shape[1] < places * labels.shape[1]


@dataclass(frozen=True)
class Layout:
    """Where the tokens of a batch lie in rows of one story each."""

    places: Tensor
    """Of each slot in the rows, its place in the batch, counted through (stories * longest,); 0 where it is empty."""
    empty: Tensor
    """Which slots are (stories * longest,)."""
    slots: Tensor
    """Of each place in the batch, its slot (batch * length,); 0 for padding."""
    padding: Tensor
    """Which places are (batch * length,)."""
    longest: int

    @classmethod
    def of(cls, stories: Tensor, places: int) -> "Layout":
        """From the places of each story's tokens (stories, longest), -1 behind its last, in a batch of so many."""
        empty, flat = (stories < 0).flatten(), stories.flatten()
        slots = torch.full((places,), -1, device=stories.device)
        slots[flat[~empty]] = torch.arange(len(flat), device=stories.device)[~empty]
        return cls(flat.clamp(min=0), empty, slots.clamp(min=0), slots < 0, stories.shape[1])

    def apart(self, x: Tensor) -> Tensor:
        """(batch, heads, length, width) -> (stories, heads, longest, width)."""
        rows = _Moved.apply(x.transpose(1, 2).flatten(0, 1), self.places, self.slots, self.padding)
        return rows.unflatten(0, (-1, self.longest)).transpose(1, 2)

    def together(self, x: Tensor) -> Tensor:
        """(stories, longest, heads, width) -> (batch * length, heads, width)."""
        return _Moved.apply(x.flatten(0, 1), self.slots, self.places, self.empty)


class _Moved(torch.autograd.Function):
    """Rows of x by their numbers; each is taken once at most by whoever needs a gradient, so that it is moved back."""

    @staticmethod
    def forward(ctx, x: Tensor, taken: Tensor, back: Tensor, unused: Tensor) -> Tensor:
        ctx.save_for_backward(back, unused)
        return x.index_select(0, taken)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        back, unused = ctx.saved_tensors
        return gradient.index_select(0, back).masked_fill_(unused[:, None, None], 0), None, None, None


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    stories: Layout,
    **about,
) -> tuple[Tensor, None]:
    """Causal attention within each story, as one of transformers' attention functions.

    Args:
        module: The layer's attention.
        query: (batch, heads, length, width); `key` and `value` may have fewer heads.
        key: See `query`.
        value: See `query`.
        attention_mask: Says the same of the stories, and is not read.
        stories: Where they are.
        **about: What transformers' own functions take.

    Returns:
        (batch, length, heads, width), which is anything at all where the batch is padded; no weights.
    """
    mixed, _ = sdpa_attention_forward(module, *map(stories.apart, (query, key, value)), None, **about)
    return stories.together(mixed).unflatten(0, (len(query), -1)), None


AttentionInterface.register(NAME, attend)


@contextmanager
def attending(model: PreTrainedModel) -> Iterator[None]:
    """Let a model attend to stories, which its forward is told of as `stories`; by one thread at a time.

    Whatever computes the forward pass anew behind it, as gradient checkpointing does, reads the mask instead.
    """
    before = model.config._attn_implementation
    model.config._attn_implementation = NAME
    try:
        yield
    finally:
        model.config._attn_implementation = before
