"""Which storytellers there are, and whether each can tell: read from files, without torch or network."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from storylab.errors import StoryLabError
from storylab.storytellers.weights import inspect_checkpoint

PROJECT = Path(__file__).resolve().parents[2]
CHECKPOINTS = PROJECT / "checkpoints"


@dataclass(frozen=True)
class Entry:
    """A storyteller of the catalogue."""

    name: str
    title: str
    kind: str
    """`encoder`, `seq2seq` or `causal`."""
    source: str
    """Where its weights come from: a folder, relative to the project."""
    base: str = ""
    """The storyteller that it was made from."""
    download_bytes: int = 0
    """What has to be fetched before it tells."""

    @property
    def folder(self) -> Path:
        """The checkpoint's folder."""
        return PROJECT / self.source


@cache
def _listed() -> tuple[Entry, ...]:
    path = Path(__file__).with_name("catalog.toml")
    try:
        with open(path, "rb") as file:
            return tuple(Entry(**entry) for entry in tomllib.load(file)["storyteller"])
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise StoryLabError(f"{path.name} can't be read: {error}") from None


def catalogue() -> list[Entry]:
    """The entries of the catalogue file, then every other folder under `checkpoints/` that holds a model."""
    listed = list(_listed())
    return listed + list(_unlisted({entry.folder for entry in listed}))


def _unlisted(known: set[Path]) -> Iterator[Entry]:
    if not CHECKPOINTS.is_dir():
        return
    for folder in sorted(CHECKPOINTS.iterdir()):
        if folder not in known and not folder.name.startswith(".") and (folder / "config.json").is_file():
            state = inspect_checkpoint(folder)
            title = state.title or folder.name
            yield Entry(folder.name, title, state.kind or "causal", f"checkpoints/{folder.name}")


def find(name: str) -> Entry:
    """The entry of a name.

    Raises:
        StoryLabError: The catalogue has no such name; the message lists those it has.
    """
    entries = {entry.name: entry for entry in catalogue()}
    if name not in entries:
        shown = name if len(name) <= 60 else name[:57] + "..."
        raise StoryLabError(f"there is no storyteller {shown!r}; there are {', '.join(entries)}")
    return entries[name]


def describe() -> list[dict[str, Any]]:
    """Every storyteller with its state, as `models --json` prints it."""
    rows = []
    for entry in catalogue():
        state = inspect_checkpoint(entry.folder)
        rows.append(
            {
                "name": entry.name,
                "title": entry.title,
                "kind": entry.kind,
                "base": entry.base,
                "parameters": state.parameters,
                "state": state.state,
                "reason": state.reason,
                "source": entry.source,
                "download_bytes": entry.download_bytes,
            }
        )
    return rows
