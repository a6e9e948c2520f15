"""Matrices in 8 bits: whole numbers and, for every 32 of them or for a whole row, a scale."""

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

BLOCK = 32
"""Neighbours in a row that share a scale, in models that mostly multiply one row at once."""
WHOLE_ROW = 0
"""A block that is as long as the row: a little coarser, and much quicker where many rows are multiplied at once."""
ZERO = 128
"""The whole number that stands for nought."""


def quantise(matrix: Tensor, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Round a matrix (out, in) to multiples of a scale, the largest of each block to 127 of them.

    Returns:
        Numbers 1 to 255, 128 for nought (out, blocks, block), the last block filled with it; scales (out, blocks).
    """
    out, width = matrix.shape
    block = block or width
    padded = matrix.detach().float().contiguous()
    if missing := -width % block:
        padded = nn.functional.pad(padded, (0, missing))
    padded = padded.view(out, -1, block)
    scales = padded.abs().amax(dim=-1) / 127  # (out, blocks)
    steps = torch.where(scales > 0, scales, 1)[..., None]
    return (padded / steps).round_().add_(ZERO).to(torch.uint8).numpy(), scales.numpy()


def rounded(matrix: Tensor, block: int) -> Tensor:
    """The matrix (out, in) that `quantise` leaves of one, in fp32."""
    numbers, scales = quantise(matrix, block)
    values = (torch.from_numpy(numbers).float() - ZERO) * torch.from_numpy(scales)[..., None]
    return values.flatten(1)[:, : matrix.shape[1]]


def round_matrices(model: PreTrainedModel, block: int) -> None:
    """Round a model's matrices in place to what `quantise` leaves of them.

    What torch computes with it, scores above all, is then of the weights that an 8-bit engine tells with.
    """
    done = set()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, (nn.Linear, Conv1D)) and module.weight.data_ptr() not in done:
                done.add(module.weight.data_ptr())
                weight = module.weight.T if isinstance(module, Conv1D) else module.weight
                weight.copy_(rounded(weight, block))
