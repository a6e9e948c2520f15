"""A sweep over the temperature: at one end stories go in circles, at the other they fall apart into words."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from storylab.decoding import PRESETS
from storylab.evaluation.one_story import NGRAM
from storylab.evaluation.words import ngrams, words_of
from storylab.storytellers.together import tell_side_by_side

if TYPE_CHECKING:
    from storylab.storytellers.storyteller import Storyteller
    from storylab.storytellers.telling import Telling

TEMPERATURES = (0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0, 1.1, 1.3, 1.5)
OPENINGS = (
    "Every weekend the Jefferson's go to the park.",
    "David noticed he had put on a lot of weight recently.",
    "Priya heard a knock on the door at night.",
    "Sam took the wrong bus on his first day at work.",
    "The bus driver took a wrong turn on a Monday morning.",
    "Grandpa found an old letter behind the clock in the kitchen.",
    "Lena built a small robot out of old kitchen tools.",
    "The last train left the station without poor Omar.",
)
"""Those of a sweep where none are given. They have as many tokens each, so that they share a batch."""


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """Stories told at one temperature, measured."""

    temperature: float
    stories: int
    repetition_4: float
    """The share of stories that have a run of four words more than once: high where they go in circles."""
    distinct_2: float
    """Different pairs of neighbouring words among all pairs of a story, mean over stories that have any."""
    four_sentences: float
    """The share of stories that have four sentences and end by themselves."""
    words: float
    """Words a story, mean."""
    perplexity_per_word: float
    """How surprising the storyteller itself finds what it told, its own probabilities untouched by the temperature.

    exp(-log-probability of all tokens, ends included, over the words and one for each end), as in the contract of
    `score`: near what people's stories give the words are as surprising as theirs, far above they are picked blindly.
    """

    def to_dict(self) -> dict[str, Any]:
        """The point as JSON-ready data."""
        return asdict(self)


def sweep(
    storyteller: Storyteller,
    openings: Sequence[str] = OPENINGS,
    temperatures: Sequence[float] = TEMPERATURES,
    seed: int = 0,
    stop: threading.Event | None = None,
) -> Iterator[SweepPoint]:
    """Tell the same openings at one temperature after another, from the model's own distribution, without any cut.

    The story of an opening has the same random numbers at every temperature.

    Args:
        storyteller: Who tells.
        openings: First sentences.
        temperatures: Each above 0.
        seed: That of the first opening; the others have the next ones.
        stop: Ends the sweep when set, before the next token; a point that is not whole is left out.

    Raises:
        StoryLabError: An opening, a temperature or the seed is not what it must be.
    """
    stop = stop or threading.Event()
    seeds = [(seed + number) % 2**32 for number in range(len(openings))]
    for settings in [replace(PRESETS["pure"], temperature=temperature) for temperature in temperatures]:
        under_way = [storyteller.begin(opening, settings, own) for opening, own in zip(openings, seeds, strict=True)]
        log_probability = 0.0
        for steps in tell_side_by_side(storyteller, under_way, stop):
            # A token that would begin a fifth sentence is cut off, and no part of the story.
            kept = [choice for _, choice, piece in steps if piece is not None or choice.token == storyteller.kind.end]
            log_probability += sum(choice.log_probability for choice in kept)
        if stop.is_set():
            return
        yield _measure(settings.temperature, [telling.telling() for telling in under_way], log_probability)


def _measure(temperature: float, tellings: Sequence[Telling], log_probability: float) -> SweepPoint:
    stories = [words_of(telling.text) for telling in tellings]
    mean = lambda values: sum(values) / len(values) if values else 0.0  # noqa: E731
    runs = [list(ngrams(words, NGRAM)) for words in stories]
    spoken = [len(telling.text.split()) for telling in tellings]
    places = sum(spoken) + sum(telling.finished for telling in tellings)
    return SweepPoint(
        temperature=temperature,
        stories=len(tellings),
        repetition_4=mean([len(set(found)) < len(found) for found in runs]),
        distinct_2=mean([len(set(pairwise(words))) / (len(words) - 1) for words in stories if len(words) > 1]),
        four_sentences=mean([telling.finished and len(telling.story) == 4 for telling in tellings]),
        words=mean(spoken),
        perplexity_per_word=math.exp(min(-log_probability / max(1, places), 700)),
    )
