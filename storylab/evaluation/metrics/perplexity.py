"""How surprising a storyteller finds what people wrote."""

from collections.abc import Sequence

import numpy as np

from storylab.evaluation.metrics.base import StoryMetric
from storylab.evaluation.score import perplexity


class PerplexityPerWord(StoryMetric):
    """A storyteller's perplexity per word of the human continuations, as `perplexity_per_word`.

    Formula: exp(sum of nll / sum of words), with nll a story's loss (natural logarithm) of sentences 2 to 5 and
        the end given sentence 1, by `storylab.evaluation.score.story_losses`, and words its
        whitespace-separated words and one for the end (`Story.scored_words`).
    Unit: equally likely words that the next one is drawn from.
    Range: 1 up.
    Direction: lower is better. Counted per word, storytellers compare whatever their tokens are.
    Source: Jelinek et al. 1977; per word across vocabularies as in Mielke 2019.
    """

    key = "perplexity_per_word"
    inputs = ("nll", "words")
    better = "lower"

    def _rows(self, nll: Sequence[float], words: Sequence[int]) -> np.ndarray:
        return np.column_stack([nll, words])

    def value(self, totals: np.ndarray) -> np.ndarray:
        return perplexity(totals)
