"""A checkpoint over a frozen base: only the trained tensors, and which base they belong on."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from storylab.errors import StoryLabError
from storylab.training.base import BASE, TRAINED, Base, require_base, weights_hash

LEFT, RIGHT = ".lora_b", ".lora_a"
"""The ends of the names of a low-rank addition's factors: (rows, rank) and (rank, columns) of what is added."""


def save_trained(tensors: Mapping[str, Tensor], base: str, base_folder: Path, folder: Path) -> None:
    """Write what training made of some of a model's parameters, and the base that all others come from.

    Args:
        tensors: Parameters by name; or, of one that a low-rank matrix is added to (Hu et al. 2021), the two
            factors under its name and `LEFT` or `RIGHT`.
        base: The base's name.
        base_folder: The folder that the base was loaded from.
        folder: Where `trained.safetensors` and `base.json` go.
    """
    ready = {name: tensors[name].detach().contiguous() for name in sorted(tensors)}
    save_file(ready, folder / TRAINED, metadata={"format": "pt"})
    about = Base(base, weights_hash(base_folder), list(ready))
    (folder / BASE).write_text(json.dumps(asdict(about), indent=1) + "\n", encoding="utf-8")


@torch.no_grad()
def add_product(parameter: Tensor, left: Tensor, right: Tensor) -> None:
    """Add left (rows, rank) @ right (rank, columns), in fp32, to a parameter (rows, columns) of any precision."""
    parameter.copy_(parameter.float() + left.to(parameter.device).float() @ right.to(parameter.device).float())


@torch.no_grad()
def lay_over(model: nn.Module, base_folder: Path, folder: Path) -> nn.Module:
    """Lay the trained tensors of a folder over the base model that they were trained on.

    Args:
        model: The base, in any precision; changed in place.
        base_folder: The folder that it was loaded from.
        folder: What `save_trained` wrote.

    Raises:
        StoryLabError: Another base, other tensors or other shapes than those that were saved.
    """
    base = require_base(folder, base_folder)
    try:
        tensors = load_file(folder / TRAINED)
    except (OSError, SafetensorError) as error:
        raise StoryLabError(f"{folder.name}/{TRAINED} can't be read: {error}") from None
    parameters = dict(model.named_parameters())
    whole, factors = _sorted_out(tensors)
    strange = sorted((set(whole) | set(factors)) - set(parameters))
    if unfit := sorted(set(tensors) ^ set(base.tensors)) or strange:
        raise StoryLabError(f"{folder.name}/{TRAINED} does not fit: {unfit[0]}")
    shapes = {name: tensor.shape for name, tensor in whole.items()}
    shapes |= {name: _shape_of_product(pair) for name, pair in factors.items()}
    for name, shape in shapes.items():
        if shape != parameters[name].shape:
            raise StoryLabError(f"{folder.name}/{TRAINED} does not fit: {name} has another shape")
    for name, tensor in whole.items():
        parameters[name].copy_(tensor)
    for name, pair in factors.items():
        add_product(parameters[name], pair[LEFT], pair[RIGHT])
    return model


def _sorted_out(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, dict[str, Tensor]]]:
    """Parameters by name, and the factors of additions by the name of the parameter that they are added to."""
    whole, factors = {}, {}
    for name, tensor in tensors.items():
        end = next((end for end in (LEFT, RIGHT) if name.endswith(end)), "")
        if end:
            factors.setdefault(name.removesuffix(end), {})[end] = tensor
        else:
            whole[name] = tensor
    return whole, factors


def _shape_of_product(pair: Mapping[str, Tensor]) -> torch.Size | None:
    """The shape of an addition; None where a factor is missing or the two don't go together."""
    left, right = pair.get(LEFT), pair.get(RIGHT)
    if left is None or right is None or (left.ndim, right.ndim) != (2, 2) or left.shape[1] != right.shape[0]:
        return None
    return torch.Size((left.shape[0], right.shape[1]))
