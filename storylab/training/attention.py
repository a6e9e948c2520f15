"""Attention as plain matrix products, for trainings on processors.

torch's kernels for processors work through a sequence block by block, so that its weights are never held at once: made
for long sequences. Stories are short. There, in bf16, the products of all heads at once, with the weights held between
them, take a half to a tenth of the time (docs/speed.md), most of it won in the backward pass. Causal attention is
computed by a few blocks of queries, each with the keys that it may see, which leaves out most of what the mask would.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

LONGEST = {torch.bfloat16: 512, torch.float32: 64}
"""Positions up to which this pays. A layer holds its weights, (batch, heads, queries, keys), for the backward pass."""
QUERIES, BLOCKS = 64, 4
"""The size of a block of causal attention, but never more blocks than these."""


class ProductAttention(TorchFunctionMode):
    """Within it, this thread's calls of `scaled_dot_product_attention` are computed by products where that pays.

    What computes a forward pass anew for the backward pass, as gradient checkpointing does, has to be within it too.
    """

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is F.scaled_dot_product_attention:
            return _attention(*args, **(kwargs or {}))
        return function(*args, **(kwargs or {}))


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """As `torch.nn.functional.scaled_dot_product_attention`."""
    shared = query.shape[-3] // key.shape[-3] if enable_gqa and query.ndim == 4 else 1
    if dropout_p or not _suits(query, key, value, attn_mask, is_causal, shared):
        about = {"attn_mask": attn_mask, "dropout_p": dropout_p, "is_causal": is_causal, "scale": scale}
        return F.scaled_dot_product_attention(query, key, value, **about, enable_gqa=enable_gqa)
    if shared > 1:
        key, value = (x.repeat_interleave(shared, 1) for x in (key, value))
    dtype = _dtype(query)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    return product_attention(*(x.to(dtype) for x in (query, key, value)), attn_mask, is_causal, scale)


def _dtype(query: Tensor) -> torch.dtype:
    """What torch computes the attention in."""
    if torch.is_autocast_enabled("cpu") and query.dtype != torch.float64:
        return torch.get_autocast_dtype("cpu")
    return query.dtype


def _suits(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool, shared: int) -> bool:
    """Whether products compute just what torch would, and sooner."""
    if query.device.type != "cpu" or query.ndim != 4 or key.ndim != 4:
        return False
    (batch, heads, queries, _), keys = query.shape, key.shape[2]
    if any(x.shape[:3] != (batch, heads // shared, keys) for x in (key, value)) or heads % shared:
        return False
    if not min(queries, keys) or max(queries, keys) > LONGEST.get(_dtype(query), 0):
        return False
    if causal or mask is None:
        return mask is None and (queries == keys or not causal)
    return mask.dtype == torch.bool and bool(mask.any(-1).all())  # others are added to the scores, or hide everything


def product_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool, scale: float
) -> Tensor:
    """Scaled dot-product attention (Vaswani et al. 2017), the weights held for the backward pass.

    In bf16 the scores are rounded to bf16 before their softmax, as in attention without a fused kernel.

    Args:
        query: (batch, heads, queries, width).
        key: (batch, heads, keys, width).
        value: (batch, heads, keys, width).
        mask: True where a query may see a key, (batch or 1, heads or 1, queries or 1, keys); it sees one at least.
        causal: Whether each query sees the keys up to its own place alone; there are as many of both, and no mask.
        scale: What the scores are multiplied by.

    Returns:
        (batch, heads, queries, width).
    """
    hiding = None
    if mask is not None:
        hiding = torch.zeros(mask.shape, dtype=query.dtype).masked_fill_(~mask, torch.finfo(query.dtype).min)
        hiding = hiding.expand(*query.shape[:2], -1, -1).flatten(0, 1)  # (batch * heads, queries or 1, keys)
    mixed = _Products.apply(*(x.flatten(0, 1) for x in (query, key, value)), hiding, causal, scale)
    return mixed.unflatten(0, query.shape[:2])


class _Products(torch.autograd.Function):
    """Queries, keys and values (rows, length, width) to what is mixed (rows, queries, width)."""

    @staticmethod
    def forward(ctx, query: Tensor, key: Tensor, value: Tensor, hiding: Tensor | None, causal: bool, scale: float):
        mixed, weights = [], []
        with torch.autocast("cpu", enabled=False):
            for part, seen in _blocks(query.shape[1], key.shape[1], causal):
                hidden = _future(part, query.dtype) if causal else hiding
                keys = key[:, :seen].transpose(1, 2)  # (rows, width, seen)
                if hidden is None:
                    scores = _scaled(query[:, part], keys, scale)
                else:
                    scores = torch.baddbmm(hidden, query[:, part], keys, alpha=scale)
                weights.append(scores.softmax(-1))  # (rows, part, seen)
                mixed.append(torch.bmm(weights[-1], value[:, :seen]))
        ctx.save_for_backward(query, key, value, *weights)
        ctx.causal, ctx.scale = causal, scale
        return _joined(mixed)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor):
        query, key, value, *weights = ctx.saved_tensors
        to_queries, to_key, to_value = [], None, None
        blocks = _blocks(query.shape[1], key.shape[1], ctx.causal)
        with torch.autocast("cpu", enabled=False):
            for (part, seen), weight in reversed([*zip(blocks, weights, strict=True)]):  # the last block sees all keys
                queries, to_mixed = query[:, part], gradient[:, part]
                to_weight = torch.bmm(to_mixed, value[:, :seen].transpose(1, 2))
                # Autograd's own step: weight * (to_weight - (weight * to_weight).sum(-1)), in one pass.
                to_scores = torch._softmax_backward_data(to_weight, weight, -1, weight.dtype)
                to_queries.append(_scaled(to_scores, key[:, :seen], ctx.scale))
                to_scores, weight = to_scores.transpose(1, 2), weight.transpose(1, 2)  # (rows, seen, part)
                if to_key is None:
                    to_key, to_value = _scaled(to_scores, queries, ctx.scale), torch.bmm(weight, to_mixed)
                else:
                    to_key[:, :seen].baddbmm_(to_scores, queries, alpha=ctx.scale)
                    to_value[:, :seen].baddbmm_(weight, to_mixed)
        return _joined(to_queries[::-1]), to_key, to_value, None, None, None


def _blocks(queries: int, keys: int, causal: bool) -> list[tuple[slice, int]]:
    """The blocks of queries, and how many keys each sees."""
    if not causal:
        return [(slice(0, queries), keys)]
    size = max(QUERIES, -(-queries // BLOCKS))
    firsts = range(0, queries, size)
    return [(slice(first, min(first + size, queries)), min(first + size, queries)) for first in firsts]


def _future(part: slice, dtype: torch.dtype) -> Tensor:
    """What hides the keys behind each of a block's queries from it (part, seen)."""
    unseen = torch.full((part.stop - part.start, part.stop), torch.finfo(dtype).min, dtype=dtype)
    return unseen.triu_(part.start + 1)


def _scaled(left: Tensor, right: Tensor, scale: float) -> Tensor:
    """The product times scale, rounded once; what stands first in `baddbmm` is not read."""
    return torch.baddbmm(left.new_zeros(()), left, right, beta=0, alpha=scale)


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)
