"""One telling under way of which we have the tokens: they go in, pieces of text come out."""

from collections.abc import Callable

from storylab.decoding import Settings
from storylab.decoding.sampling import Choice
from storylab.storytellers.telling import Piece
from storylab.storytellers.text_under_way import TextUnderWay
from storylab.tokenizers import Speller


class UnderWay(TextUnderWay):
    """A telling that has begun; `ended_by` is None until it ends."""

    def __init__(
        self,
        model: str,
        tokenizer,
        end: int,
        opening: str,
        settings: Settings,
        seed: int | None,
        computed: Callable[[], tuple[str, str]] = lambda: ("", ""),
    ):
        """Begin a telling.

        Args:
            model: The storyteller's name.
            tokenizer: Spells its tokens.
            end: Its end token.
            opening: The first sentence, 1 to 300 characters.
            settings: How to decode.
            seed: 0 to 2**32 - 1; None draws one.
            computed: Gives the engine and the dtype, for observers.

        Raises:
            StoryLabError: Opening or seed are not what they must be.
        """
        super().__init__(model, opening, settings, seed, computed)
        self.end, self._spelling = end, Speller(tokenizer)

    def add(self, choice: Choice) -> Piece | None:
        """Put a token behind the text; None where it ends the telling."""
        self.answered()
        if choice.token == self.end:
            self.ended_by = "end"
            return None
        return self.put(self._spelling.add(choice.token), choice.token, choice.log_probability)
