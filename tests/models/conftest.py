"""What the tests of both models share: random weights, and plain searches to compare `generate` with."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from storylab.tokenizers import END_ID

Scores = Callable[[list[int]], Tensor]  # tokens so far -> log-probabilities of the next one (vocabulary,)


def _randomise(model: nn.Module, seed: int = 0, gain: float = 1.0) -> nn.Module:
    """Draw every weight anew, those that start at zero or one too, so that no part of a model is idle.

    The more gain, the less the next token hangs on the last one alone, and the larger the rounding errors.
    """
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=draw)
            if weight.dim() == 1:  # a norm
                weight.copy_(1 + 0.3 * noise)
            else:
                weight.copy_(
                    noise * (0.3 if "tokens" in name or "positions" in name else gain * weight.shape[1] ** -0.5)
                )
    return model.eval()


def _greedy(scores: Scores, start: list[int], steps: int) -> list[int]:
    tokens = list(start)
    for _ in range(steps):
        tokens.append(int(scores(tokens).argmax()))
        if tokens[-1] == END_ID:
            break
    return tokens


def _beam(scores: Scores, start: list[int], steps: int, beams: int = 3) -> list[int]:
    """Beam search as transformers defines it: finished tellings compete by their mean log-probability.

    Candidates that end count as finished where they are among the best `beams`; the search stops once the best
    beam still open scores no more than the worst of `beams` finished ones, or after so many steps.
    """
    running, finished = [(0.0, [])], []
    for step in range(1, steps + 1):
        candidates = sorted(
            (
                (total + log_probability, [*written, token])
                for total, written in running
                for token, log_probability in enumerate(scores([*start, *written]).tolist())
            ),
            reverse=True,
        )
        ended = [c for c in candidates[:beams] if c[1][-1] == END_ID or step == steps]
        finished = sorted([*finished, *((total / step, written) for total, written in ended)], reverse=True)[:beams]
        running = [candidate for candidate in candidates if candidate[1][-1] != END_ID][:beams]
        if len(finished) == beams and running[0][0] / step <= finished[-1][0]:
            break
    return [*start, *finished[0][1]]


@pytest.fixture(scope="session")
def randomise():
    return _randomise


@pytest.fixture(scope="session")
def greedy():
    return _greedy


@pytest.fixture(scope="session")
def beam():
    return _beam


@pytest.fixture(scope="session")
def copy_encoder_layer():
    """Copies an EncoderLayer's weights into a torch.nn.TransformerEncoderLayer."""

    def copy(ours, theirs: nn.TransformerEncoderLayer) -> None:
        _copy_attention(ours.attention, theirs.self_attn)
        _copy(ours.attention_norm, theirs.norm1)
        _copy(ours.feed_forward_norm, theirs.norm2)
        _copy_feed_forward(ours.feed_forward, theirs)

    return copy


@pytest.fixture(scope="session")
def copy_decoder_layer():
    """Copies a DecoderLayer's weights into a torch.nn.TransformerDecoderLayer."""

    def copy(ours, theirs: nn.TransformerDecoderLayer) -> None:
        _copy_attention(ours.attention, theirs.self_attn)
        _copy_attention(ours.source_attention, theirs.multihead_attn)
        _copy(ours.attention_norm, theirs.norm1)
        _copy(ours.source_norm, theirs.norm2)
        _copy(ours.feed_forward_norm, theirs.norm3)
        _copy_feed_forward(ours.feed_forward, theirs)

    return copy


def _copy(ours: nn.Module, theirs: nn.Module) -> None:
    """Copies a module's only parameter, and sees to it that the other has no more than that."""
    (weight,), (copied,) = ours.parameters(), theirs.parameters()
    with torch.no_grad():
        copied.copy_(weight)


def _copy_attention(ours, theirs: nn.MultiheadAttention) -> None:
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key.weight, ours.value.weight]))
    assert theirs.in_proj_bias is None
    _copy(ours.output, theirs.out_proj)


def _copy_feed_forward(ours, theirs: nn.Module) -> None:
    _copy(ours.expand, theirs.linear1)
    _copy(ours.contract, theirs.linear2)
