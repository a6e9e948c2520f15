"""A storyteller whose model lives elsewhere: it tells, and nobody can look inside it."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, NoReturn

from storylab.decoding import Settings
from storylab.errors import StoryLabError
from storylab.storytellers.observers import Watch
from storylab.storytellers.remote.calls import ask
from storylab.storytellers.remote.chunks import Chunk
from storylab.storytellers.remote.endpoint import Endpoint
from storylab.storytellers.remote.failure import Failure
from storylab.storytellers.remote.servers import fields_for
from storylab.storytellers.sources import Cancelled
from storylab.storytellers.teller import Teller
from storylab.storytellers.telling import Piece, Telling
from storylab.storytellers.text_under_way import TextUnderWay

MAX_TEXT = 50_000
"""Characters; no 512 tokens are so many."""


class RemoteStoryteller(Teller):
    """Tells stories with a model behind an endpoint.

    The same seed need not give the same story: that is up to the endpoint.
    """

    folder = None
    engine = None

    def __init__(self, name: str, title: str, endpoint: Endpoint):
        """Make one of an endpoint, which is asked nothing before a telling."""
        self.name, self.title, self.endpoint = name, title, endpoint

    def stream(
        self,
        opening: str,
        settings: Settings | Mapping[str, Any] | None = None,
        seed: int | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[Piece | Telling]:
        """Tell a story piece by piece, as `Storyteller.stream` does.

        A piece has no token, and no log-probability where the endpoint gives none.

        Raises:
            StoryLabError: As for `tell`, or a setting is unknown to the endpoint, at the first piece; the endpoint
                can't be reached, refuses, or breaks off.
        """
        with Watch(self.name, _computed) as watch:
            if not isinstance(settings, Settings):
                settings = Settings.from_mapping({} if settings is None else settings)
            watch.under_way = under_way = TextUnderWay(self.name, opening, settings, seed, _computed)
            stop = stop or threading.Event()
            try:
                fields = fields_for(self.endpoint.server, settings, under_way.seed)
                with closing(ask(self.endpoint, under_way.prompt, fields, stop)) as chunks:
                    yield from _told(under_way, chunks, stop)
            except Cancelled:
                under_way.ended_by = "stopped"
            except Failure as error:
                raise StoryLabError(f"{self.name} can't tell: its endpoint {self.endpoint.url} {error}") from None
            except StoryLabError as error:
                raise StoryLabError(f"{self.name} can't tell: {error}") from None
            telling = under_way.telling()
        yield telling

    def _refuse(self, *_: object) -> NoReturn:
        raise StoryLabError(
            f"{self.name} only tells: its model is at {self.endpoint.url}, and not here to be looked into"
        )

    kind = tokenizer = model = mute = dtype = property(_refuse)
    begin = session = company = chooser = started_engine = _refuse


def _computed() -> tuple[str, str]:
    """Engine and dtype; what the endpoint computes in is its own affair."""
    return "endpoint", ""


def _told(under_way: TextUnderWay, chunks: Iterator[Chunk], stop: threading.Event) -> Iterator[Piece]:
    """The pieces of a telling; `under_way.ended_by` says at last what has ended it."""
    characters = 0
    for chunk in chunks:
        if stop.is_set():
            under_way.ended_by = "stopped"
            return
        if chunk.tokens and (chunk.text or chunk.ended_by != "end"):  # the end token is no token of the story
            # What comes first begins a sentence, as with storytellers whose tokens are here.
            text = chunk.text if characters else chunk.text.lstrip()
            characters += len(text)
            if characters > MAX_TEXT:
                raise Failure("sends more than was asked for")
            piece = under_way.put(text, log_probability=chunk.log_probability, tokens=chunk.tokens)
            if piece is None:
                return
            yield piece
        if chunk.ended_by is not None or under_way.tokens >= under_way.settings.max_new_tokens:
            under_way.ended_by = chunk.ended_by
            return
