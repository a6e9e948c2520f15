"""A model on the Hugging Face Hub, kept in the Hub's own cache, where other programs find it too.

Layout of that cache (huggingface.co/docs/huggingface_hub/guides/manage-cache): `blobs/` holds files by their
checksum, `snapshots/COMMIT/` links to them by name, `refs/` says which commit a branch stood at. A blob gets its
name once its checksum has been compared, and the weights are linked last: a snapshot with weights is whole.
"""

import re
import shutil
import threading
import uuid
from dataclasses import replace
from pathlib import Path

from huggingface_hub import constants

from storylab.errors import StoryLabError
from storylab.storytellers.sources.fetching import Cancelled, OnProgress, megabytes
from storylab.storytellers.sources.snapshots import inspect_download
from storylab.storytellers.sources.source import RemoteSource
from storylab.storytellers.weights import CheckpointState

_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?"
_TEXT = re.compile(rf"hub:(?P<owner>{_NAME})/(?P<name>{_NAME})(?:@(?P<revision>.+))?")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}")


class HubSource(RemoteSource):
    """`hub:OWNER/NAME` or `hub:OWNER/NAME@REVISION`."""

    place = "the Hugging Face Hub"

    def __init__(self, text: str, revision: str = "", download_bytes: int = 0):
        match = _TEXT.fullmatch(text)
        if not match or "--" in text or ".." in text:  # the Hub allows neither in a name
            raise StoryLabError(f"a model on the Hub is named hub:OWNER/NAME or hub:OWNER/NAME@REVISION, not {text!r}")
        if revision and match["revision"] and revision != match["revision"]:
            raise StoryLabError(f"{text} is given another revision besides: {revision}")
        self.text, self.download_bytes = text, download_bytes
        self.repository = f"{match['owner']}/{match['name']}"
        self.revision = revision or match["revision"] or constants.DEFAULT_REVISION
        if not _REVISION.fullmatch(self.revision) or ".." in self.revision:
            raise StoryLabError(f"{text} has no revision {self.revision!r}: it must be a commit, a tag or a branch")

    @property
    def storage(self) -> Path:
        """The repository's folder in the Hub's cache."""
        return Path(constants.HF_HUB_CACHE) / f"models--{self.repository.replace('/', '--')}"

    @property
    def folder(self) -> Path:
        if not _COMMIT.fullmatch(self.revision):
            return self.storage / "snapshots" / self._branch_commit()
        # GPT-2 and other early models had no owner in their name; a commit's name says what is in it all the same.
        early = self.storage.with_name(f"models--{self.repository.partition('/')[2]}")
        folders = [storage / "snapshots" / self.revision for storage in (self.storage, early)]
        return folders[1] if folders[1].is_dir() and not folders[0].is_dir() else folders[0]

    def _branch_commit(self) -> str:
        """The commit that a branch or tag stood at when it was last fetched; its own name if it never was."""
        try:
            commit = (self.storage / "refs" / self.revision).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            commit = ""
        return commit if _COMMIT.fullmatch(commit) else self.revision

    @property
    def key(self) -> tuple[str, ...]:
        return "hub", constants.ENDPOINT, str(self.storage), self.revision

    @property
    def lock_file(self) -> Path:
        return self.storage.parent / ".locks" / self.storage.name / "storylab.lock"

    def inspect(self) -> CheckpointState:
        folder = self.folder
        state = inspect_download(folder)
        return replace(state, reason=state.reason.replace(folder.name, self.repository, 1))

    def download(self, on_progress: OnProgress, cancel: threading.Event) -> None:
        from storylab.storytellers.sources.delivery import PARTIAL, Delivery  # these import the network's libraries
        from storylab.storytellers.sources.listing import file_url, list_files

        commit, files = list_files(self.text, self.repository, self.revision, cancel)
        snapshot, blobs = self.storage / "snapshots" / commit, self.storage / "blobs"
        blobs.mkdir(parents=True, exist_ok=True)
        total = sum(file.size for file in files)
        deliveries = [
            Delivery(file, file_url(self.repository, commit, file.name), blobs / file.etag, snapshot / file.name)
            for file in files
        ]
        for left in set(blobs.glob(f"*{PARTIAL}")) - {delivery.partial for delivery in deliveries}:
            left.unlink(missing_ok=True)  # of a revision that nobody asks for any more: we hold the lock
        need = total - sum(delivery.here() for delivery in deliveries)
        if (free := shutil.disk_usage(blobs).free) < need:
            raise StoryLabError(f"{self.text} needs {megabytes(need)} in {self.storage}, {megabytes(free)} are free")
        before = 0
        for delivery in deliveries:
            try:
                delivery.complete(lambda here, before=before: on_progress(before + here, total), cancel)
            except Cancelled:
                raise
            except StoryLabError as error:
                raise StoryLabError(f"{delivery.file.name} of {self.text} {error}") from None
            before += delivery.file.size
            on_progress(before, total)
        snapshot.mkdir(parents=True, exist_ok=True)  # not before: other programs take a folder here for whole
        for delivery in deliveries:  # the weights come last
            delivery.link()
        if self.revision != commit:
            _replace_text(self.storage / "refs" / self.revision, commit)


def _replace_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    draft.write_text(text, encoding="ascii")
    draft.replace(path)
