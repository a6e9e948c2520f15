"""Matrices in 8 bits: whole numbers and, for every 32 of them, a scale."""

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

BLOCK = 32
"""Neighbours in a row that share a scale."""
ZERO = 128
"""The whole number that stands for nought."""


def quantise(matrix: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Round a matrix (out, in) to multiples of a scale, the largest of each block to 127 of them.

    Returns:
        Numbers 1 to 255, 128 for nought (out, blocks, 32), the last block filled with it; scales (out, blocks).
    """
    out, width = matrix.shape
    padded = matrix.detach().float().contiguous()
    if missing := -width % BLOCK:
        padded = nn.functional.pad(padded, (0, missing))
    padded = padded.view(out, -1, BLOCK)
    scales = padded.abs().amax(dim=-1) / 127  # (out, blocks)
    steps = torch.where(scales > 0, scales, 1)[..., None]
    return (padded / steps).round_().add_(ZERO).to(torch.uint8).numpy(), scales.numpy()


def rounded(matrix: Tensor) -> Tensor:
    """The matrix (out, in) that `quantise` leaves of one, in fp32."""
    numbers, scales = quantise(matrix)
    values = (torch.from_numpy(numbers).float() - ZERO) * torch.from_numpy(scales)[..., None]
    return values.flatten(1)[:, : matrix.shape[1]]


def round_matrices(model: PreTrainedModel) -> None:
    """Round a model's matrices in place to what `quantise` leaves of them.

    What torch computes with it, scores above all, is then of the weights that an 8-bit engine tells with.
    """
    done = set()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, (nn.Linear, Conv1D)) and module.weight.data_ptr() not in done:
                done.add(module.weight.data_ptr())
                weight = module.weight.T if isinstance(module, Conv1D) else module.weight
                weight.copy_(rounded(weight))
