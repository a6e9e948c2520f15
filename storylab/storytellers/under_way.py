"""One telling under way: tokens go in, pieces of text come out, and at its end the telling."""

import time
from collections.abc import Callable

from storylab.decoding import Settings, check_opening, check_seed, find_pathologies, first_sentences, split_sentences
from storylab.decoding.sampling import Choice
from storylab.decoding.stopping import ends_with_stop
from storylab.storytellers.observers import Account, report
from storylab.storytellers.telling import EndedBy, Piece, Telling
from storylab.tokenizers import Speller


def prompt_of(opening: str) -> str:
    """What a model reads of an opening: training stories have a stop there, else it would go on with the sentence."""
    return opening if ends_with_stop(opening) else opening + "."


class UnderWay:
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
        self.model, self.end, self.settings = model, end, settings
        self.opening, self.seed = check_opening(opening), check_seed(seed)
        self.ended_by: EndedBy | None = None
        self.told = False
        """Whether its telling has been asked for, and observers have heard of it."""
        self._computed = computed
        self._spelling, self._text = Speller(tokenizer), ""
        self._started, self._first = time.perf_counter(), 0.0

    @property
    def prompt(self) -> str:
        """What the model reads of the opening."""
        return prompt_of(self.opening)

    @property
    def tokens(self) -> int:
        """Tokens told so far."""
        return len(self._spelling.tokens)

    @property
    def seconds_to_first_token(self) -> float | None:
        """From the beginning; None before the first token."""
        return round(self._first, 4) or None

    def add(self, choice: Choice) -> Piece | None:
        """Put a token behind the text; None where it ends the telling."""
        self._first = self._first or time.perf_counter() - self._started
        if choice.token == self.end:
            self.ended_by = "end"
            return None
        new = self._spelling.add(choice.token)
        self._text, cut = first_sentences(self._spelling.text, self.settings.sentences)
        if cut:
            self.ended_by = "sentences"
            return None
        return Piece(new, choice.token, choice.log_probability)

    def telling(self, ended_by: EndedBy = "tokens") -> Telling:
        """The telling as it stands, once: observers take it for what came of it.

        Args:
            ended_by: What ended it where it has not ended by itself.
        """
        ended_by = self.ended_by or ended_by
        seconds, tokens = time.perf_counter() - self._started, self.tokens
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
            tokens=tokens,
            seconds=round(seconds, 4),
            seconds_to_first_token=round(self._first, 4),
            tokens_per_second=round(tokens / seconds, 1) if seconds else 0.0,
            pathologies=[{"code": fault.code, "message": fault.message} for fault in faults],
        )
        self._report(telling)
        return telling

    def _report(self, telling: Telling) -> None:
        engine, dtype = self._computed()
        self.told = True
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
