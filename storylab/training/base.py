"""Which base a checkpoint's trained tensors belong on: read from files alone, without torch."""

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from storylab.errors import StoryLabError
from storylab.files import read_text

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
            stated = json.loads(read_text(folder / "source.json"))["sha256"]
            if not isinstance(stated, str):
                raise ValueError("source.json states no SHA-256")
            return stated
        return _sha256(folder / "model.safetensors")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StoryLabError(f"the weights in {folder.name} can't be read: {reason}") from None


def start_hash(folder: Path) -> str:
    """SHA-256 of the weights that a checkpoint folder itself holds, whole or trained tensors only.

    Raises:
        StoryLabError: They can't be read.
    """
    weights = folder / (TRAINED if read_base(folder) else "model.safetensors")
    try:
        return _sha256(weights)
    except OSError as error:
        raise StoryLabError(f"{folder.name}/{weights.name} can't be read: {error.strerror}") from None


def checkpoint_hashes(folder: Path) -> dict[str, str]:
    """What tells a checkpoint's weights from all others: `sha256`, and over a base `base_sha256`.

    Raises:
        StoryLabError: They can't be read.
    """
    base = read_base(folder)
    if base:
        return {"sha256": start_hash(folder), "base_sha256": base.sha256}
    return {"sha256": weights_hash(folder)}


def _sha256(path: Path) -> str:
    path = path.resolve()
    if path.parent.name == "blobs" and re.fullmatch("[0-9a-f]{64}", path.name):
        return path.name  # the Hub's cache names large files by their SHA-256, compared when they came
    about = path.stat()
    return _sha256_as_of(path, about.st_mtime_ns, about.st_size)


@cache
def _sha256_as_of(path: Path, modified: int, size: int) -> str:
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
        base = Base(**json.loads(read_text(path)))
        if not isinstance(base.tensors, list) or not base.tensors:
            raise ValueError
        if not all(isinstance(text, str) for text in (base.name, base.sha256, *base.tensors)):
            raise ValueError
    except (OSError, ValueError, TypeError, RecursionError):
        raise StoryLabError(f"{folder.name}/{BASE} can't be read") from None
    return base


def require_base(folder: Path, base_folder: Path) -> Base:
    """The base that a checkpoint folder belongs on, once the weights in a base's folder are found to be it.

    Raises:
        StoryLabError: `base.json` is missing or damaged, or states another SHA-256; the message has both.
    """
    base = read_base(folder)
    if base is None:
        raise StoryLabError(f"{folder.name}/{BASE} is missing")
    if (found := weights_hash(base_folder)) != base.sha256:
        raise StoryLabError(
            f"{folder.name} belongs on {base.name} with SHA-256 {base.sha256}, not on weights with SHA-256 {found}"
        )
    return base
