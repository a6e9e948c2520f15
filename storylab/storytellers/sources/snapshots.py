"""Whether a downloaded folder is whole, told without reading its large files through."""

import json
from collections.abc import Collection
from pathlib import Path

from storylab.errors import StoryLabError
from storylab.files import read_text
from storylab.storytellers.weights import KINDS, CheckpointState, count_parameters
from storylab.training.base import TRAINED, read_base

WEIGHTS, WEIGHTS_INDEX = "model.safetensors", "model.safetensors.index.json"
"""Weights in one file, and what says in which of several files each tensor is."""
_TOKENIZERS = ("tokenizer.json",), ("vocab.json", "merges.txt")


def inspect_download(folder: Path) -> CheckpointState:
    """`inspect_checkpoint` for folders that were checked when they were made: quicker, and open to more of them.

    Weights may lie in several files and the tokenizer may be of another make; no file is read through.
    """
    if not folder.is_dir():
        return CheckpointState("untrained", f"{folder.name} has not been fetched yet")
    kind, parameters, on = "", None, ""
    try:
        config = _read_json(folder / "config.json")
        if not isinstance(config.get("model_type"), str):
            raise StoryLabError(f"{folder.name}/config.json names no model_type")
        kind = KINDS.get(config["model_type"], "causal")
        base = read_base(folder)
        on = base.name if base else ""
        parameters = sum(count_parameters(folder / name) for name in ([TRAINED] if base else _weight_files(folder)))
        if not has_tokenizer({path.name for path in folder.iterdir() if path.is_file() and path.stat().st_size}):
            raise StoryLabError(f"{folder.name} has no tokenizer")
    except StoryLabError as error:
        return CheckpointState("broken", str(error), kind, "", parameters, on)
    except OSError as error:
        return CheckpointState("broken", f"{folder.name} can't be read: {error.strerror}", kind, "", parameters, on)
    return CheckpointState("ready", "", kind, "", parameters, on)


def _weight_files(folder: Path) -> list[str]:
    if not (folder / WEIGHTS_INDEX).is_file() or (folder / WEIGHTS).is_file():
        return [WEIGHTS]
    places = _read_json(folder / WEIGHTS_INDEX).get("weight_map")
    names = set(places.values()) if isinstance(places, dict) else set()
    if not names or not all(isinstance(name, str) and Path(name).name == name for name in names):
        raise StoryLabError(f"{folder.name}/{WEIGHTS_INDEX} doesn't say where the weights are")
    return sorted(names)


def has_tokenizer(names: Collection[str]) -> bool:
    """Whether files of these names make a tokenizer that transformers opens."""
    made = any(set(files) <= set(names) for files in _TOKENIZERS)
    return made or any(name.endswith(".model") for name in names)


def _read_json(path: Path) -> dict:
    try:
        value = json.loads(read_text(path))
    except (OSError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise StoryLabError(f"{path.parent.name}/{path.name} is missing or unreadable")
    return value
