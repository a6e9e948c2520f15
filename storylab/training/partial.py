"""A checkpoint over a frozen base: only the trained tensors, and which base they belong on."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from storylab.errors import StoryLabError
from storylab.training.base import BASE, TRAINED, Base, read_base, weights_hash


def save_trained(model: nn.Module, names: Iterable[str], base: str, base_folder: Path, folder: Path) -> None:
    """Write some of a model's parameters, as they are, and the base that all others come from.

    Args:
        model: The fine-tuned model.
        names: Names of the parameters that training changed.
        base: The base's name.
        base_folder: The folder that the base was loaded from.
        folder: Where `trained.safetensors` and `base.json` go.
    """
    parameters, wanted = dict(model.named_parameters()), sorted(names)
    tensors = {name: parameters[name].detach().contiguous() for name in wanted}
    save_file(tensors, folder / TRAINED, metadata={"format": "pt"})
    about = Base(base, weights_hash(base_folder), wanted)
    (folder / BASE).write_text(json.dumps(asdict(about), indent=1) + "\n", encoding="utf-8")


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
    base = read_base(folder)
    if base is None:
        raise StoryLabError(f"{folder.name}/{BASE} is missing")
    if (found := weights_hash(base_folder)) != base.sha256:
        raise StoryLabError(
            f"{folder.name} belongs on {base.name} with SHA-256 {base.sha256}, not on weights with SHA-256 {found}"
        )
    try:
        tensors = load_file(folder / TRAINED)
    except (OSError, SafetensorError) as error:
        raise StoryLabError(f"{folder.name}/{TRAINED} can't be read: {error}") from None
    parameters = dict(model.named_parameters())
    if unfit := sorted(set(tensors) ^ set(base.tensors)) or sorted(set(tensors) - set(parameters)):
        raise StoryLabError(f"{folder.name}/{TRAINED} does not fit: {unfit[0]}")
    for name, tensor in tensors.items():
        if tensor.shape != parameters[name].shape:
            raise StoryLabError(f"{folder.name}/{TRAINED} does not fit: {name} has another shape")
        parameters[name].copy_(tensor)
    return model
