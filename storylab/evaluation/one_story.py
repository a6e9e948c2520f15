"""The measures of one story, to stand beside it; they need no metric library and no model."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from storylab.evaluation.english import lemmas, names_and_nouns
from storylab.evaluation.words import ngrams, words_of

NGRAM = 4
"""The length of a run of words that makes a repetition, as in the metric repetition-4."""


@dataclass(frozen=True, slots=True)
class StoryFigures:
    """What can be counted in one continuation; None where there is nothing to count."""

    words: int
    """Whitespace-separated words."""
    distinct_2: float | None
    """Different pairs of neighbouring words among all, 0 to 1; higher is more varied."""
    repeated: int
    """Runs of four words that come more than once, each counted once; lower is better."""
    carried_on: float | None
    """Names and nouns of the opening that come back, 0 to 1; people's stories have 0.42 of them."""
    perplexity_per_word: float | None
    """How surprising the storyteller itself finds its words, above 1; told greedily it is low, at random high."""


def story_figures(opening: str, story: Sequence[str], log_probability: float | None = None) -> StoryFigures:
    """Measure one continuation.

    Args:
        opening: The sentence that was typed.
        story: The sentences told after it.
        log_probability: The natural logarithm of the probability that the storyteller gave to its tokens, summed,
            before any decoding setting; None leaves the perplexity out.
    """
    text = " ".join(story)
    told, pairs = len(text.split()), list(ngrams(words_of(text), 2))
    wanted = names_and_nouns(opening)
    runs = Counter(ngrams(words_of(text), NGRAM))
    surprise = None if log_probability is None or not told else math.exp(min(-log_probability / told, 700))
    return StoryFigures(
        words=told,
        distinct_2=len(set(pairs)) / len(pairs) if pairs else None,
        repeated=sum(times > 1 for times in runs.values()),
        carried_on=len(wanted & lemmas(text)) / len(wanted) if wanted else None,
        perplexity_per_word=surprise,
    )
