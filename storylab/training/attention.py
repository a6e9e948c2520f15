"""Attention as plain matrix products, for trainings on processors.

torch's kernels for processors work through a sequence block by block, so that its weights are never held at once: made
for long sequences. Stories are short. There the products of all heads at once, with the weights held between them, take
a half to a tenth of the time, most of it won in the backward pass. Causal attention is computed by a few blocks of
queries, each with the keys that it may see, which leaves out most of what the mask would.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

LONGEST = 512
"""Positions up to which this pays in bf16 and in fp32, under a mask or not; the weights of longer ones take memory."""
QUERIES, BLOCKS = 64, 4
"""A block of causal attention has so many queries at least, a sequence so many blocks at most."""


class ProductAttention(TorchFunctionMode):
    """While it is entered, what this thread asks of torch's attention is computed by `attend`, where that pays."""

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
    if dropout_p or not _suits(query, key, attn_mask, is_causal):
        about = {"attn_mask": attn_mask, "dropout_p": dropout_p, "is_causal": is_causal, "scale": scale}
        return F.scaled_dot_product_attention(query, key, value, **about, enable_gqa=enable_gqa)
    if torch.is_autocast_enabled("cpu"):
        query, key, value = (x.to(torch.get_autocast_dtype("cpu")) for x in (query, key, value))
    if enable_gqa:
        key, value = (x.repeat_interleave(query.shape[1] // x.shape[1], 1) for x in (key, value))
    return attend(query, key, value, attn_mask, is_causal, query.shape[-1] ** -0.5 if scale is None else scale)


def _suits(query: Tensor, key: Tensor, mask: Tensor | None, causal: bool) -> bool:
    queries, keys = query.shape[-2], key.shape[-2]
    if query.device.type != "cpu" or query.ndim != 4 or max(queries, keys) > LONGEST:
        return False
    if causal:
        return mask is None and queries == keys
    return mask is None or mask.dtype == torch.bool  # others are added to the scores


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool, scale: float) -> Tensor:
    """Scaled dot-product attention (Vaswani et al. 2017), the weights held for the backward pass.

    In bf16 the scores are rounded to bf16 before their softmax, as in attention without a fused kernel.

    Args:
        query: (batch, heads, queries, width).
        key: (batch, heads, keys, width).
        value: (batch, heads, keys, width).
        mask: True where a query may see a key, (batch or 1, heads or 1, queries or 1, keys); a query that may see
            none sees all alike.
        causal: Whether each query sees the keys up to its own place alone; there are as many of both, and no mask.
        scale: What the scores are multiplied by.

    Returns:
        (batch, heads, queries, width).
    """
    bias = None
    if mask is not None:
        bias = torch.zeros(mask.shape, dtype=query.dtype).masked_fill_(~mask, torch.finfo(query.dtype).min)
        bias = bias.expand(*query.shape[:2], -1, -1).flatten(0, 1)  # (batch * heads, queries or 1, keys)
    mixed = _Products.apply(*(x.flatten(0, 1) for x in (query, key, value)), bias, causal, scale)
    return mixed.unflatten(0, query.shape[:2])


class _Products(torch.autograd.Function):
    """Queries, keys and values (rows, length, width) to what is mixed (rows, queries, width)."""

    @staticmethod
    def forward(ctx, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, causal: bool, scale: float):
        mixed, weights = [], []
        with torch.autocast("cpu", enabled=False):
            for part, seen in _blocks(query.shape[1], key.shape[1], causal):
                if causal:
                    bias = _causal_bias(part, query.dtype)
                keys = key[:, :seen].transpose(1, 2)  # (rows, width, seen)
                unbiased = bias is None
                scores = torch.baddbmm(
                    query.new_zeros(()) if unbiased else bias, query[:, part], keys, beta=not unbiased, alpha=scale
                )
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
    ends = [min(first + size, queries) for first in range(0, queries, size)]
    return [(slice(first, end), end) for first, end in zip([0, *ends], ends, strict=False)]


def _causal_bias(part: slice, dtype: torch.dtype) -> Tensor:
    """What keeps a block's queries from the keys behind them (part, seen)."""
    unseen = torch.full((part.stop - part.start, part.stop), torch.finfo(dtype).min, dtype=dtype)
    return unseen.triu_(part.start + 1)


def _scaled(left: Tensor, right: Tensor, scale: float) -> Tensor:
    return torch.baddbmm(left.new_zeros(()), left, right, beta=0, alpha=scale)


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)
