"""One storyteller and one seed, many ways to decode: strategies side by side, and a sweep over the temperature."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from storylab.decoding import PRESETS, Settings
from storylab.evaluation.one_story import NGRAM
from storylab.evaluation.words import ngrams, words_of
from storylab.storytellers.together import tell_together

if TYPE_CHECKING:
    from storylab.storytellers.storyteller import Storyteller
    from storylab.storytellers.telling import Telling

_PURE = PRESETS["pure"]
STRATEGIES: Mapping[str, Settings] = {
    "greedy": PRESETS["greedy"],
    "beam": PRESETS["beam"],
    "temperature 0.1": replace(_PURE, temperature=0.1),
    "temperature 0.5": replace(_PURE, temperature=0.5),
    "temperature 1": _PURE,
    "temperature 1.5": replace(_PURE, temperature=1.5),
    "top-k 40": replace(_PURE, top_k=40),
    "top-p 0.9": replace(_PURE, top_p=0.9),
    "min-p 0.05": replace(_PURE, min_p=0.05),
    "typical-p 0.9": replace(_PURE, typical_p=0.9),
}
"""Settings that change one thing each, so that the same random numbers show what it does."""
TEMPERATURES = (0.1, 0.3, 0.5, 0.7, 0.9, 1.1, 1.3, 1.5)
OPENINGS = (
    "Every weekend the Jefferson's go to the park.",
    "David noticed he had put on a lot of weight recently.",
    "Priya heard a knock on the door during the storm.",
    "Tom wanted to bake a cake for his mother.",
    "The bus driver took a wrong turn on Monday morning.",
    "Grandpa found an old letter behind the clock.",
    "Lena built a small robot out of kitchen tools.",
    "The last train left the station without Omar.",
)
"""Those of a sweep where none are given; the first two are the course report's."""


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """Stories told at one temperature, measured."""

    temperature: float
    stories: int
    repetition_4: float
    """The share of stories that have a run of four words more than once."""
    distinct_2: float
    """Different pairs of neighbouring words among all pairs of a story, mean over stories that have any."""
    four_sentences: float
    """The share of stories that have four sentences and end by themselves."""
    words: float
    """Words a story, mean."""

    def to_dict(self) -> dict[str, Any]:
        """The point as JSON-ready data."""
        return asdict(self)


def sweep(
    storyteller: Storyteller,
    openings: Sequence[str] = OPENINGS,
    temperatures: Sequence[float] = TEMPERATURES,
    seed: int = 0,
) -> Iterator[SweepPoint]:
    """Tell the same openings at one temperature after another, from the model's own distribution, without any cut.

    The story of an opening has the same random numbers at every temperature.

    Args:
        storyteller: Who tells.
        openings: First sentences.
        temperatures: Each above 0.
        seed: That of the first opening; the others have the next ones.

    Raises:
        StoryLabError: An opening, a temperature or the seed is not what it must be.
    """
    seeds = [(seed + number) % 2**32 for number in range(len(openings))]
    for settings in [replace(_PURE, temperature=temperature) for temperature in temperatures]:
        tellings = [telling for _, telling in tell_together(storyteller, openings, settings, seeds)]
        yield _measure(settings.temperature, tellings)


def _measure(temperature: float, tellings: Sequence[Telling]) -> SweepPoint:
    stories = [words_of(telling.text) for telling in tellings]
    mean = lambda values: sum(values) / len(values) if values else 0.0  # noqa: E731
    runs = [list(ngrams(words, NGRAM)) for words in stories]
    return SweepPoint(
        temperature=temperature,
        stories=len(tellings),
        repetition_4=mean([len(set(found)) < len(found) for found in runs]),
        distinct_2=mean([len(set(pairwise(words))) / (len(words) - 1) for words in stories if len(words) > 1]),
        four_sentences=mean([telling.finished and len(telling.story) == 4 for telling in tellings]),
        words=mean([len(telling.text.split()) for telling in tellings]),
    )
