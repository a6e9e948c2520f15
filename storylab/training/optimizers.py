"""Optimizers and the learning rate's course."""

import math

import torch
from torch import nn

from storylab.training.recipe import Recipe


def make_optimizers(model: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """AdamW for all trained parameters; with `optimizer = "muon"`, Muon for the matrices of the layers.

    Muon orthogonalises the momentum of a matrix (Jordan et al. 2024, kellerjordan.github.io/posts/muon);
    embeddings and norms are not such matrices. Weight decay spares embeddings and norms.
    """
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    trained = [p for p in model.parameters() if p.requires_grad]
    matrices = [p for p in trained if p.ndim == 2 and id(p) not in embeddings]
    rest = [p for p in trained if p.ndim != 2 or id(p) in embeddings]
    groups = [{"params": rest, "weight_decay": 0.0}]
    optimizers: list[torch.optim.Optimizer] = []
    if recipe.optimizer == "muon" and matrices:
        optimizers.append(
            torch.optim.Muon(
                matrices,
                lr=recipe.matrix_learning_rate,
                momentum=recipe.momentum,
                weight_decay=recipe.weight_decay,
            )
        )
    else:
        groups.append({"params": matrices, "weight_decay": recipe.weight_decay})
    groups = [group for group in groups if group["params"]]
    if groups:
        optimizers.append(torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.95), fused=True))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return optimizers


def rate(step: int, steps: int, recipe: Recipe) -> float:
    """The share of its peak that the learning rate has at a step (0-based) of so many.

    Warm-up is linear; then a half cosine to zero (Loshchilov and Hutter 2017), or stable and a linear
    decay at the end (warm-up-stable-decay, Hu et al. 2024).
    """
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    if recipe.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * (step - recipe.warmup) / max(1, steps - recipe.warmup)))
    return min(1.0, (steps - step) / max(1.0, recipe.decay * steps))


def set_rate(optimizers: list[torch.optim.Optimizer], share: float) -> None:
    """Set every learning rate to a share of its peak."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * share
