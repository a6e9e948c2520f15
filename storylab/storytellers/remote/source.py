"""An endpoint as a source of the catalogue: looking says what is known of it, and asks nobody."""

import threading
from pathlib import Path

from storylab.errors import StoryLabError
from storylab.storytellers.remote.endpoint import Endpoint
from storylab.storytellers.remote.reach import breaker_of
from storylab.storytellers.sources.fetching import OnProgress, ignore_progress
from storylab.storytellers.sources.source import Source
from storylab.storytellers.weights import CheckpointState

REMOTE = "remote"
"""The kind of storytellers whose weights are not here."""


class EndpointSource(Source):
    """A model that lives elsewhere. It has no folder, and nothing of it is fetched."""

    def __init__(self, endpoint: Endpoint):
        self.text, self.endpoint = endpoint.url, endpoint

    def look(self) -> CheckpointState:
        if missing := self.endpoint.missing:
            return CheckpointState("broken", missing, REMOTE)
        if reason := breaker_of(self.endpoint.url).reason:
            return CheckpointState("unreachable", f"its endpoint {reason}", REMOTE)
        return CheckpointState("ready", "", REMOTE)

    @property
    def folder(self) -> Path:
        raise StoryLabError(f"its weights are not here but at {self.text}")

    def fetch(self, on_progress: OnProgress = ignore_progress, cancel: threading.Event | None = None) -> Path:
        raise StoryLabError(f"there is nothing to download: it tells at {self.text}")
