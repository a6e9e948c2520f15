"""The loss of a batch, without ever holding the logits of all its tokens.

Over 8,000 pieces the logits of 4,096 tokens are 131 MB in fp32, written and read again by each step between the last
layer and the gradient. Here the head takes some tokens at a time, computes their loss and its gradient, and keeps the
gradient alone (as Hsu et al. 2024, "Liger Kernel", do on GPUs). Tokens without a label never reach the head.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from storylab.framing import IGNORED
from storylab.training.attention import ProductAttention
from storylab.training.story_attention import PLAIN, Layout, attending, pays

LOGITS_AT_ONCE = 2**22
"""How many logits are held at once: 16 MB in fp32."""
BARE_HEADS = {"gpt2", "llama", "storylab-encoder", "storylab-seq2seq"}
"""Model types whose logits are what their head returns; others scale or cap them afterwards."""


def summed_loss(model: nn.Module, batch: dict[str, Tensor], label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy of a batch, natural log, summed over its label tokens; padding and prompts are no labels.

    Args:
        model: Prepared by an accelerator or not.
        batch: What its forward takes, and `labels` (batch, length); of packs also `stories`, as `Packed` has it.
        label_smoothing: Share of the label's probability spread over the vocabulary.
    """
    bare = getattr(model, "module", model)  # without what several processes wrap around it
    inputs = {name: tensor for name, tensor in batch.items() if name not in ("labels", "stories")}
    inputs["use_cache"] = False
    by_story = nullcontext()
    if "stories" in batch and bare.config.model_type in PLAIN and pays(batch["stories"], batch["labels"]):
        inputs["stories"] = Layout.of(batch["stories"], batch["labels"].numel())
        by_story = attending(bare)
    with by_story, ProductAttention():
        return _loss(model, bare, inputs, batch["labels"].flatten(), label_smoothing)


def _loss(model: nn.Module, bare: PreTrainedModel, inputs: dict, labels: Tensor, label_smoothing: float) -> Tensor:
    """The loss of what a model, prepared or not, makes of its inputs."""
    head = bare.get_output_embeddings()
    if bare.config.model_type not in BARE_HEADS or getattr(head, "bias", None) is not None:
        return _summed(model(**inputs).logits.flatten(0, 1).float(), labels, label_smoothing)

    def loss(hidden: Tensor) -> Tensor:
        learnt = labels != IGNORED
        return head_loss(hidden.flatten(0, 1)[learnt], head.weight, labels[learnt], label_smoothing)

    with _computing(head, loss):
        return model(**inputs).logits


def head_loss(hidden: Tensor, weight: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Summed cross-entropy of the logits `hidden @ weight.T`, a part of the tokens at a time.

    Args:
        hidden: (tokens, width).
        weight: The head's (vocabulary, width).
        labels: (tokens,), all of them real.
        label_smoothing: As in `torch.nn.functional.cross_entropy`.
    """
    if torch.is_autocast_enabled(hidden.device.type):
        dtype = torch.get_autocast_dtype(hidden.device.type)
        hidden, weight = hidden.to(dtype), weight.to(dtype)
    return _HeadLoss.apply(hidden, weight, labels, label_smoothing, torch.is_grad_enabled())


class _HeadLoss(torch.autograd.Function):
    """Computes the gradient beside the loss: a sum's gradient is only scaled by what comes after it."""

    @staticmethod
    def forward(ctx, hidden: Tensor, weight: Tensor, labels: Tensor, label_smoothing: float, learning: bool) -> Tensor:
        total = torch.zeros((), device=hidden.device)
        wanted = [learning and needed for needed in ctx.needs_input_grad[:2]]
        to_hidden = torch.empty_like(hidden) if wanted[0] else None
        to_weight = torch.zeros_like(weight, dtype=torch.float32) if wanted[1] else None
        rows = max(1, LOGITS_AT_ONCE // len(weight))
        with torch.autocast(hidden.device.type, enabled=False):
            for first in range(0, len(hidden), rows):
                part = slice(first, first + rows)
                logits = F.linear(hidden[part], weight)  # (rows, vocabulary)
                if any(wanted):
                    loss, to_logits = _with_gradient(logits, labels[part], label_smoothing)
                else:
                    loss = _summed(logits.float(), labels[part], label_smoothing)
                total += loss
                if wanted[0]:
                    to_hidden[part] = to_logits @ weight
                if wanted[1]:
                    to_weight += to_logits.T @ hidden[part]
        ctx.gradients = to_hidden, to_weight
        ctx.dtype = weight.dtype
        return total

    @staticmethod
    def backward(ctx, scale: Tensor):
        to_hidden, to_weight = ctx.gradients
        return (
            None if to_hidden is None else to_hidden.mul_(scale),
            None if to_weight is None else to_weight.mul_(scale).to(ctx.dtype),
            None,
            None,
            None,
        )


def _with_gradient(logits: Tensor, labels: Tensor, label_smoothing: float) -> tuple[Tensor, Tensor]:
    """The summed loss and its gradient to the logits (rows, vocabulary): both come of one softmax, in fp32."""
    of_labels = torch.arange(len(labels), device=labels.device), labels
    shares = logits.softmax(-1, dtype=torch.float32)
    # The largest logit's share is exp(it - logsumexp), and never so small that its logarithm is lost.
    logsumexp = logits.amax(-1).float() - shares.amax(-1).log()
    loss = logsumexp - (1 - label_smoothing) * logits[of_labels].float()
    shares[of_labels] -= 1 - label_smoothing  # scatter_add_ would copy all of them
    if label_smoothing:
        loss -= label_smoothing * logits.mean(-1, dtype=torch.float32)
        shares -= label_smoothing / logits.shape[1]
    return loss.sum(), shares.to(logits.dtype)


def _summed(logits: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
    return F.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum", label_smoothing=label_smoothing)


@contextmanager
def _computing(head: nn.Module, function: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Let a model's head compute something else of what reaches it."""
    head.forward = function  # on the instance: the class's own stands behind it
    try:
        yield
    finally:
        del head.forward
