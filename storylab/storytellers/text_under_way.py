"""One telling under way: text goes in, pieces come out, and at its end the telling."""

import math
import time
from collections.abc import Callable

from storylab.decoding import Settings, check_opening, check_seed, find_pathologies, first_sentences, split_sentences
from storylab.decoding.stopping import ends_with_stop
from storylab.storytellers.observers import Account, report
from storylab.storytellers.telling import EndedBy, Piece, Telling


def prompt_of(opening: str) -> str:
    """What a model reads of an opening: training stories have a stop there, else it would go on with the sentence."""
    return opening if ends_with_stop(opening) else opening + "."


class TextUnderWay:
    """A telling that has begun; `ended_by` is None until it ends."""

    def __init__(
        self,
        model: str,
        opening: str,
        settings: Settings,
        seed: int | None,
        computed: Callable[[], tuple[str, str]] = lambda: ("", ""),
    ):
        """Begin a telling.

        Args:
            model: The storyteller's name.
            opening: The first sentence, 1 to 300 characters.
            settings: How to decode.
            seed: 0 to 2**32 - 1; None draws one.
            computed: Gives the engine and the dtype that tell, for observers.

        Raises:
            StoryLabError: Opening or seed are not what they must be.
        """
        self.model, self.settings = model, settings
        self.opening, self.seed = check_opening(opening), check_seed(seed)
        self.ended_by: EndedBy | None = None
        self.tokens = 0
        """Tokens told, the end token not counted."""
        self.reported = False
        """Whether its telling has been asked for, and observers have heard of it."""
        self._computed = computed
        self._told = self._text = ""
        self._started, self._first = time.perf_counter(), 0.0

    @property
    def prompt(self) -> str:
        """What the model reads of the opening."""
        return prompt_of(self.opening)

    @property
    def seconds_to_first_token(self) -> float | None:
        """From the beginning; None before the first token."""
        return round(self._first, 4) or None

    def answered(self) -> None:
        """Note when the first token came; the later ones change nothing."""
        self._first = self._first or time.perf_counter() - self._started

    def put(
        self, new: str, token: int | None = None, log_probability: float = math.nan, tokens: int = 1
    ) -> Piece | None:
        """Put characters behind the text; None where that ends the telling.

        Args:
            new: The characters, none while one is spread over several tokens.
            token: The id of their token, where it is known.
            log_probability: Of their tokens, natural logarithm, summed; NaN where it isn't known.
            tokens: How many tokens they are made of.
        """
        self.answered()
        self.tokens += tokens
        self._told += new
        self._text, cut = first_sentences(self._told, self.settings.sentences)
        if cut:
            self.ended_by = "sentences"
            return None
        return Piece(new, token, log_probability)

    def telling(self, ended_by: EndedBy = "tokens") -> Telling:
        """The telling as it stands, once: observers take it for what came of it.

        Args:
            ended_by: What ended it where it has not ended by itself.
        """
        ended_by = self.ended_by or ended_by
        seconds = time.perf_counter() - self._started
        text = self._text.strip()
        story = split_sentences(text)
        faults = find_pathologies(self.opening, story, ended_by, self.settings.sentences)
        telling = Telling(
            model=self.model,
            opening=self.opening,
            story=story,
            text=text,
            finished=ended_by == "end",
            ended_by=ended_by,
            seed=self.seed,
            settings=self.settings.to_dict(),
            tokens=self.tokens,
            seconds=round(seconds, 4),
            seconds_to_first_token=round(self._first, 4),
            tokens_per_second=round(self.tokens / seconds, 1) if seconds else 0.0,
            pathologies=[{"code": fault.code, "message": fault.message} for fault in faults],
        )
        self._report(telling)
        return telling

    def _report(self, telling: Telling) -> None:
        engine, dtype = self._computed()
        self.reported = True
        report(
            Account(
                self.model,
                telling.ended_by,
                self.seed,
                telling.tokens,
                telling.seconds,
                self.seconds_to_first_token,
                engine,
                dtype,
                telling,
            )
        )
