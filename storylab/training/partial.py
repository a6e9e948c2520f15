"""A checkpoint over a frozen base: only the trained tensors, and which base they belong on."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from storylab.errors import StoryLabError

TRAINED, BASE = "trained.safetensors", "base.json"


@dataclass(frozen=True)
class Base:
    """What trained tensors belong on. The fields are those of `base.json`."""

    name: str
    """The storyteller that was fine-tuned."""
    sha256: str
    """Of the file that its weights came from."""
    tensors: list[str]
    """The names of the trained tensors."""


def weights_hash(folder: Path) -> str:
    """SHA-256 of the file that a folder's weights came from.

    That is what `source.json` names where the weights were converted from another file, else the folder's
    own `model.safetensors`.

    Raises:
        StoryLabError: Neither can be read.
    """
    try:
        if (folder / "source.json").is_file():
            return str(json.loads((folder / "source.json").read_text(encoding="utf-8"))["sha256"])
        weights = (folder / "model.safetensors").resolve()
        about = weights.stat()
        return _file_hash(weights, about.st_mtime_ns, about.st_size)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StoryLabError(f"the weights in {folder.name} can't be read: {reason}") from None


@cache
def _file_hash(path: Path, modified: int, size: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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


def read_base(folder: Path) -> Base | None:
    """The base that a checkpoint folder belongs on; None where it stands on its own.

    Raises:
        StoryLabError: `base.json` is not what `save_trained` writes.
    """
    path = folder / BASE
    if not path.is_file():
        return None
    try:
        base = Base(**json.loads(path.read_text(encoding="utf-8")))
        whole = isinstance(base.name, str) and isinstance(base.sha256, str) and bool(base.tensors)
        if not whole or not all(isinstance(name, str) for name in base.tensors):
            raise ValueError
    except (OSError, ValueError, TypeError, RecursionError):
        raise StoryLabError(f"{folder.name}/{BASE} can't be read") from None
    return base


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
