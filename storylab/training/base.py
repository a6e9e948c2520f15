"""Which base a checkpoint's trained tensors belong on: read from files alone, without torch."""

import hashlib
import json
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
