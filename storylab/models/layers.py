"""The blocks of both Transformers: attention, feed-forward, encoder layer, decoder layer.

The layers compute what `torch.nn.TransformerEncoderLayer` and `torch.nn.TransformerDecoderLayer` compute
with `norm_first=True`, `bias=False` and a squared ReLU (tests/models compare them weight by weight), and
add a key-value cache. Vaswani et al. 2017; pre-layer norm: Xiong et al. 2020; squared ReLU: So et al. 2021.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.cache_utils import Cache


def squared_relu(x: Tensor) -> Tensor:
    """max(x, 0) squared, the activation that the Primer search found (So et al. 2021)."""
    return F.relu(x).square()


def padding_mask(real: Tensor | None) -> Tensor | None:
    """Turn `real` (batch, length), 1 for a real token, into a mask (batch, 1, 1, length) for attention.

    None stays None, and so does a mask without any padding: attention without a mask is faster.
    """
    if real is None or bool(real.all()):
        return None
    return real.bool()[:, None, None, :]


def cast_once(x: Tensor) -> Tensor:
    """Cast x to what autocast multiplies matrices in, where it is on: each linear map of x would cast it anew."""
    device = x.device.type
    return x.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else x


class Attention(nn.Module):
    """Multi-head scaled dot-product attention, of a sequence to itself or to another."""

    def __init__(self, width: int, heads: int, layer: int = 0):
        super().__init__()
        if width % heads:
            raise ValueError(f"a width of {width} can't be divided into {heads} heads")
        self.heads, self.layer = heads, layer
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.output.starts_at_zero = True

    def split(self, x: Tensor) -> Tensor:
        """(batch, length, width) -> (batch, heads, length, width / heads)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The keys and values of x (batch, length, width), each (batch, heads, length, width / heads)."""
        return self.split(self.key(x)), self.split(self.value(x))

    def attend(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, causal: bool = False) -> Tensor:
        """Attend from x (batch, length, width) to given keys and values; `mask` is True where allowed."""
        mixed = F.scaled_dot_product_attention(
            self.split(self.query(x)),  # (batch, heads, length, width / heads)
            keys,
            values,
            attn_mask=mask,
            is_causal=causal,
        )
        return self.output(mixed.transpose(1, 2).flatten(-2))  # (batch, length, width)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, causal: bool = False, cache: Cache | None = None
    ) -> Tensor:
        """Self-attention of x (batch, length, width); with a cache, also to all that went before."""
        x = cast_once(x)
        keys, values = self.keys_values(x)
        if cache is not None:
            keys, values = cache.update(keys, values, self.layer)
        return self.attend(x, keys, values, mask, causal)


class FeedForward(nn.Module):
    """Two linear maps with a squared ReLU between them, applied to each position alone."""

    def __init__(self, width: int, inner: int, dropout: float):
        super().__init__()
        self.expand = nn.Linear(width, inner, bias=False)
        self.contract = nn.Linear(inner, width, bias=False)
        self.contract.starts_at_zero = True
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.contract(self.dropout(squared_relu(self.expand(x))))


class EncoderLayer(nn.Module):
    """Self-attention over the real positions, then feed-forward; each normalised before, added after."""

    def __init__(self, width: int, heads: int, inner: int, dropout: float):
        super().__init__()
        self.attention_norm = nn.LayerNorm(width, bias=False)
        self.attention = Attention(width, heads)
        self.feed_forward_norm = nn.LayerNorm(width, bias=False)
        self.feed_forward = FeedForward(width, inner, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None, causal: bool = False) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), mask, causal))
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))


class DecoderLayer(nn.Module):
    """Causal self-attention, attention to the encoded source, feed-forward; normalised before, added after."""

    def __init__(self, width: int, heads: int, inner: int, dropout: float, layer: int):
        super().__init__()
        self.attention_norm = nn.LayerNorm(width, bias=False)
        self.attention = Attention(width, heads, layer)
        self.source_norm = nn.LayerNorm(width, bias=False)
        self.source_attention = Attention(width, heads, layer)
        self.feed_forward_norm = nn.LayerNorm(width, bias=False)
        self.feed_forward = FeedForward(width, inner, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Tensor,  # (batch, length, width)
        source: tuple[Tensor, Tensor],  # keys and values of the encoded source, computed once a story
        mask: Tensor | None,
        source_mask: Tensor | None,
        causal: bool,
        cache: Cache | None,
    ) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), mask, causal, cache))
        x = x + self.dropout(self.source_attention.attend(self.source_norm(x), *source, source_mask))
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))


def initialise(module: nn.Module, std: float) -> None:
    """Draw a module's own weights: matrices normal with the given spread, norms at one.

    What a layer adds to its input starts at zero, so that a deep model starts as a shallow one.
    """
    if getattr(module, "starts_at_zero", False):
        nn.init.zeros_(module.weight)
    elif isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, std=std)
    elif isinstance(module, nn.LayerNorm):
        nn.init.ones_(module.weight)


def causal_with_history(length: int, history: int, device: torch.device) -> Tensor:
    """The mask (length, history + length) of new positions that see the history and one another causally."""
    return torch.ones(length, history + length, dtype=torch.bool, device=device).tril(history)
