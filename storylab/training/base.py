"""Which base a checkpoint's trained tensors belong on: read from files alone, without torch."""

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from storylab.errors import StoryLabError

TRAINED, BASE = "trained.safetensors", "base.json"
"""The trained tensors of a checkpoint over a base, and what they belong on."""


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
            stated = json.loads((folder / "source.json").read_text(encoding="utf-8"))["sha256"]
            if not isinstance(stated, str):
                raise ValueError("source.json states no SHA-256")
            return stated
        weights = (folder / "model.safetensors").resolve()
        if weights.parent.name == "blobs" and re.fullmatch("[0-9a-f]{64}", weights.name):
            return weights.name  # the Hub's cache names large files by their SHA-256, compared when they came
        about = weights.stat()
        return _file_hash(weights, about.st_mtime_ns, about.st_size)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StoryLabError(f"the weights in {folder.name} can't be read: {reason}") from None


def start_hash(folder: Path) -> str:
    """SHA-256 of the weights that a checkpoint folder itself holds, whole or trained tensors only.

    Raises:
        StoryLabError: They can't be read.
    """
    weights = folder / (TRAINED if read_base(folder) else "model.safetensors")
    try:
        about = weights.stat()
        return _file_hash(weights.resolve(), about.st_mtime_ns, about.st_size)
    except OSError as error:
        raise StoryLabError(f"{folder.name}/{weights.name} can't be read: {error.strerror}") from None


@cache
def _file_hash(path: Path, modified: int, size: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
        if not isinstance(base.tensors, list) or not base.tensors:
            raise ValueError
        if not all(isinstance(text, str) for text in (base.name, base.sha256, *base.tensors)):
            raise ValueError
    except (OSError, ValueError, TypeError, RecursionError):
        raise StoryLabError(f"{folder.name}/{BASE} can't be read") from None
    return base
