"""One file on its way from the Hub into the Hub's cache."""

import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import constants
from huggingface_hub.utils import build_hf_headers

from storylab.storytellers.sources.fetching import Cancelled, digest
from storylab.storytellers.sources.transfer import Refused, bring

PARTIAL = ".storylab.incomplete"
"""What the name of a file that is not whole yet ends with."""


def request_headers() -> dict[str, str]:
    """What goes along with a request: who asks, and for which program."""
    return build_hf_headers(library_name="storylab")


@dataclass(frozen=True)
class RemoteFile:
    """A file of a repository."""

    name: str
    size: int
    etag: str
    """Its SHA-256 where it is large (LFS), else the SHA-1 of its git blob."""


@dataclass(frozen=True)
class Delivery:
    """One file on its way from the Hub into the cache."""

    file: RemoteFile
    url: str
    """Where the Hub has it."""
    blob: Path
    """Where the cache keeps it, by its checksum."""
    link_path: Path
    """Its name in the snapshot."""

    @property
    def partial(self) -> Path:
        """Where it grows, and where a download that broke off is gone on with."""
        return self.blob.with_name(self.blob.name + PARTIAL)

    def here(self) -> int:
        """Bytes that need no download any more, as far as sizes tell."""
        for path in (self.link_path, self.blob, self.partial):
            if path.is_file():
                return min(path.stat().st_size, self.file.size)
        return 0

    def complete(self, on_position: Callable[[int], None], cancel: threading.Event) -> None:
        """Bring the file into `blob`, unless it is there or, where links don't work, already in its place.

        Raises:
            Cancelled: `cancel` was set.
            StoryLabError: It couldn't be brought; the message goes on from the file's name.
            OSError: The disk is full or broken.
        """
        if any(path.is_file() and self._is_sound(path, cancel) for path in (self.link_path, self.blob)):
            return
        try:
            bring(self.url, request_headers(), self.partial, self.file.size, on_position, cancel)
            if not self._is_sound(self.partial, cancel):
                raise Refused("came with another checksum than the Hub states, and was thrown away")
        except (Cancelled, Refused, OSError):
            self.partial.unlink(missing_ok=True)
            raise
        self.partial.replace(self.blob)

    def _is_sound(self, path: Path, cancel: threading.Event) -> bool:
        if path.stat().st_size != self.file.size:
            return False
        if len(self.file.etag) == 64:
            return digest(path, "sha256", cancel) == self.file.etag
        if len(self.file.etag) == 40:
            return digest(path, "sha1", cancel, b"blob %d\0" % self.file.size) == self.file.etag
        return True  # a mirror that states no checksum

    def link(self) -> None:
        """Give the file its name in the snapshot."""
        if not self.blob.exists():
            return  # another program moved it there, where links don't work
        if self.link_path.exists() and self.link_path.samefile(self.blob):
            return
        self.link_path.unlink(missing_ok=True)
        try:
            if constants.HF_HUB_DISABLE_SYMLINKS:
                raise OSError
            self.link_path.symlink_to(os.path.relpath(self.blob, self.link_path.parent))
        except OSError:
            try:
                os.link(self.blob, self.link_path)
            except OSError:
                shutil.copyfile(self.blob, self.link_path)
