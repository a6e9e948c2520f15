"""What the catalogue says of an endpoint, checked; the key itself is only ever in the environment."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlsplit

from storylab.errors import StoryLabError
from storylab.storytellers.remote.servers import SERVERS

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_KEY = re.compile(r"[!-~]+")
"""What a header may hold: ASCII that can be seen."""
MAX_PATIENCE = 600


def is_endpoint(source: Any) -> bool:
    """Whether a catalogue's source is an endpoint."""
    return isinstance(source, str) and source.lower().startswith(("http://", "https://"))


@dataclass(frozen=True)
class Endpoint:
    """An OpenAI-compatible endpoint and how it is to be asked.

    Raises:
        StoryLabError: A field is not what it must be.
    """

    url: str
    """Its base, as `http://127.0.0.1:8000/v1`; `/completions` or `/chat/completions` goes behind it."""
    model: str
    """What the endpoint calls the model."""
    key: str = ""
    """The environment variable that holds the key; empty where it asks for none."""
    instruction: str = ""
    """What a chat model is told to do with the opening; empty: the opening is a text to go on with."""
    server: str = "openai"
    """Whose settings it knows, one of `SERVERS`."""
    patience: float = 60.0
    """Seconds to wait for the first piece of a story, and for each one after it, up to 600."""
    log_probabilities: bool = True
    """Whether it is asked for them; some endpoints refuse the question."""

    @classmethod
    def read(cls, name: str, url: str, about: Any) -> "Endpoint":
        """The endpoint of a storyteller, as the catalogue has it.

        Raises:
            StoryLabError: A field is missing, unknown, or not what it must be.
        """
        known = [field.name for field in fields(cls) if field.name != "url"]
        try:
            if not isinstance(about, Mapping) or "model" not in about or not set(about) <= set(known):
                raise StoryLabError(f"endpoint must be a table with model, and at most {', '.join(known)}")
            return cls(url, **about)
        except StoryLabError as error:
            raise StoryLabError(f"{name}: {error}") from None

    def __post_init__(self) -> None:
        for field in fields(self):
            value, kinds = getattr(self, field.name), (int, float) if field.type is float else field.type
            if not isinstance(value, kinds) or (isinstance(value, bool) and field.type is not bool):
                raise StoryLabError(f"{field.name} must be of type {field.type.__name__}")
        object.__setattr__(self, "url", _checked(self.url))
        if not self.model.strip():
            raise StoryLabError("an endpoint needs model, the name that it has for the model")
        if self.key and not _VARIABLE.fullmatch(self.key):  # it may be the key itself: it is not repeated
            raise StoryLabError("key must be the name of an environment variable, in capital letters")
        if self.server not in SERVERS:
            raise StoryLabError(f"server must be one of {', '.join(SERVERS)}, not {self.server!r}")
        if not 0 < self.patience <= MAX_PATIENCE:
            raise StoryLabError(f"patience must be above 0 and up to {MAX_PATIENCE} seconds")

    @property
    def asks_log_probabilities(self) -> bool:
        """Whether a request asks for log-probabilities."""
        return self.log_probabilities and SERVERS[self.server].log_probabilities

    @property
    def missing(self) -> str:
        """Why it can't be asked from here at all; empty where it can."""
        try:
            self.secret()
        except StoryLabError as error:
            return str(error)
        return ""

    def secret(self) -> str:
        """The key, from the environment; empty where none is needed.

        Raises:
            StoryLabError: The variable is not set, or what it holds can't be a key.
        """
        if not self.key:
            return ""
        secret = os.environ.get(self.key, "").strip()
        if not secret:
            raise StoryLabError(f"the environment variable {self.key}, which is to hold its key, is not set")
        if not _KEY.fullmatch(secret):
            raise StoryLabError(f"the environment variable {self.key} holds what can't be a key")
        return secret

    def without_secret(self, message: str) -> str:
        """A message of the endpoint, which may repeat the key, without it."""
        secret = os.environ.get(self.key, "").strip() if self.key else ""
        return message.replace(secret, "[the key]") if secret else message


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - urlsplit looks at it only now
    except ValueError:
        parts = urlsplit("")
    if not is_endpoint(url) or not parts.hostname or not url.isascii() or not url.isprintable() or " " in url:
        raise StoryLabError("an endpoint's source must be an address such as http://127.0.0.1:8000/v1")
    if parts.username is not None or parts.query or parts.fragment:  # sources are listed, so none may hold a secret
        raise StoryLabError("an endpoint's source must hold no name, password or query; key names a variable for that")
    url = url.rstrip("/")
    if not url.endswith("/v1"):  # InferenceClient would put it there for chats
        raise StoryLabError("an endpoint's source must end in /v1")
    return url
