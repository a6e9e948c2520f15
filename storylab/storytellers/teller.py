"""What every storyteller can do, wherever its model is: tell."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

from storylab.decoding import Settings
from storylab.storytellers.telling import Piece, Telling


class Teller(ABC):
    """Tells stories; any number of tellings may run at once, in threads."""

    name: str
    title: str

    def tell(
        self, opening: str, settings: Settings | Mapping[str, Any] | None = None, seed: int | None = None
    ) -> Telling:
        """Tell a story to its end.

        Args:
            opening: The first sentence, 1 to 300 characters.
            settings: How to decode; a mapping changes the default preset; None leaves it.
            seed: 0 to 2**32 - 1; the same seed gives the same story. None draws one.

        Raises:
            StoryLabError: Opening, settings or seed are not what they must be.
        """
        *_, telling = self.stream(opening, settings, seed)
        return telling

    @abstractmethod
    def stream(
        self,
        opening: str,
        settings: Settings | Mapping[str, Any] | None = None,
        seed: int | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[Piece | Telling]:
        """Tell a story piece by piece; the telling comes last, and its text is what counts.

        Args:
            opening: As for `tell`.
            settings: As for `tell`.
            seed: As for `tell`.
            stop: Ends the telling when set, before the next token; so does closing the iterator.

        Raises:
            StoryLabError: As for `tell`, at the first piece.
        """
