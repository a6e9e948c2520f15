"""Whether a checkpoint folder is whole, told from its files alone, before any of it is loaded."""

import json
import struct
import tomllib
from dataclasses import dataclass
from functools import cache
from math import prod
from pathlib import Path

from storylab.errors import StoryLabError
from storylab.files import read_text
from storylab.training.base import TRAINED, read_base

KINDS = {"storylab-encoder": "encoder", "storylab-seq2seq": "seq2seq"}
"""Storyteller kinds by the `model_type` of a config; every other one is taken for a causal model."""
MAX_HEADER = 100_000_000  # bytes; the safetensors library refuses more
MAX_FILE = 2**50  # bytes; no file of weights comes near it
MOST_TITLE = 100  # characters of a title that are shown


@dataclass(frozen=True)
class CheckpointState:
    """What a look at a checkpoint folder tells."""

    state: str
    """`ready`, `untrained` or `broken`; of sources outside also `downloadable` or `unreachable`."""
    reason: str = ""
    """Why it is not ready, in one sentence."""
    kind: str = ""
    """`encoder`, `seq2seq` or `causal`; empty where the config can't be read."""
    title: str = ""
    """The recipe's title, where there is one."""
    parameters: int | None = None
    """Numbers in the weights file; None where it can't be read."""
    base: str = ""
    """The storyteller that its trained tensors belong on; empty where the folder stands on its own."""


def inspect_checkpoint(folder: Path) -> CheckpointState:
    """Say whether a folder holds a whole checkpoint: readable config and tokenizer, complete weights."""
    if not folder.is_dir():
        return CheckpointState("untrained", f"{folder.name} has not been trained yet: python -m train {folder.name}")
    kind, title, parameters, on = "", "", None, ""
    try:
        model_type = _read_json(folder / "config.json").get("model_type")
        if not isinstance(model_type, str):
            raise StoryLabError(f"{folder.name}/config.json names no model_type")
        kind = KINDS.get(model_type, "causal")
        title = told_by_recipe(folder / "recipe.toml", "title")
        base = read_base(folder)
        on = base.name if base else ""
        parameters = count_parameters(folder / (TRAINED if base else "model.safetensors"))
        _check_tokenizer(folder / "tokenizer.json")
    except StoryLabError as error:
        return CheckpointState("broken", str(error), kind, title, parameters, on)
    return CheckpointState("ready", "", kind, title, parameters, on)


def count_parameters(path: Path) -> int:
    """Numbers in a safetensors file, from its header, once the file is as long as the header says.

    The format: eight bytes with the header's length, a JSON header with each tensor's shape and place, the
    tensors (huggingface.co/docs/safetensors).

    Raises:
        StoryLabError: The file is missing, no safetensors file, or cut short.
    """
    name = f"{path.parent.name}/{path.name}"
    if not path.is_file():
        others = sorted(p.name for p in path.parent.glob("*") if p.suffix in {".bin", ".pt", ".pth", ".ckpt", ".pkl"})
        hint = f"; {others[0]} is not opened, only safetensors are" if others else ""
        raise StoryLabError(f"{name} is missing{hint}")
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > min(MAX_HEADER, size):
                raise ValueError
            header = json.loads(file.read(length))
        tensors = {key: entry for key, entry in header.items() if key != "__metadata__"}
        sizes = {key: _numbers(entry["shape"], *entry["data_offsets"]) for key, entry in tensors.items()}
        whole = 8 + length + max(entry["data_offsets"][1] for entry in tensors.values())
        # OpenAI's GPT-2 on the Hub keeps the causal masks of its layers among its weights, which are no parameters.
        parameters = sum(numbers for key, numbers in sizes.items() if not key.endswith(".attn.bias"))
    except OSError as error:
        raise StoryLabError(f"{name} can't be read: {error.strerror}") from None
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        raise StoryLabError(f"{name} is not a safetensors file") from None
    if size != whole:
        raise StoryLabError(f"{name} is damaged: it has {size:,} bytes, its header says {whole:,}")
    return parameters


def _numbers(shape: list[int], begin: int, end: int) -> int:
    """How many numbers a tensor has, if its place in the file can hold so many of at least one bit each."""
    whole = all(type(number) is int and 0 <= number <= MAX_FILE for number in (*shape, begin, end))
    if not whole or begin > end or prod(shape) > 8 * (end - begin):
        raise ValueError
    return prod(shape)


def _check_tokenizer(path: Path) -> None:
    """Refuse a tokenizer that is no JSON object. It is large, and every Tell looks, so it is read once as it stands."""
    if path.is_file():
        about = path.stat()
        _check_as_of(path, about.st_mtime_ns, about.st_size)
    else:
        _read_json(path)  # which says what is wrong


@cache
def _check_as_of(path: Path, modified: int, size: int) -> None:
    _read_json(path)


def _read_json(path: Path) -> dict:
    name = f"{path.parent.name}/{path.name}"
    try:
        value = json.loads(read_text(path))
    except OSError as error:
        raise StoryLabError(f"{name} can't be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise StoryLabError(f"{name} is not JSON") from None
    if not isinstance(value, dict):
        raise StoryLabError(f"{name} is not a JSON object")
    return value


def told_by_recipe(recipe: Path, key: str) -> str:
    """What a recipe file says under a key; empty where it says nothing or can't be read: a courtesy, no condition."""
    try:
        told = tomllib.loads(read_text(recipe)).get(key, "")
        return _one_line(told) if isinstance(told, str) else ""
    except (OSError, ValueError, RecursionError):
        return ""


def _one_line(text: str) -> str:
    """A stranger's text as it may stand in a list: no line breaks, nothing invisible that turns what comes after it."""
    joiners = "\u200c\u200d"  # of emoji and of some scripts
    seen = "".join(character for character in " ".join(text.split()) if character.isprintable() or character in joiners)
    return seen if len(seen) <= MOST_TITLE else seen[: MOST_TITLE - 1] + "…"
