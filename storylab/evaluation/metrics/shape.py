"""The form of a told story: its sentences and its words."""

from collections.abc import Sequence

import numpy as np

from storylab.evaluation.metrics.base import Ratio, mean_of
from storylab.stories import SENTENCES


class FourSentences(Ratio):
    """Share of stories of exactly four sentences that the storyteller ended by itself, as `four_sentences`.

    Formula: stories with 4 sentences and the model's own end token behind them, over all stories.
    Unit: a share.
    Range: 0 to 1; people's continuations have 1 by the form of the corpus.
    Direction: higher is better.
    Source: StoryLab's own; four sentences behind the first are ROCStories' form (Mostafazadeh et al. 2016).
    """

    key = "four_sentences"
    inputs = ("sentences", "finished")
    better = "higher"

    def _rows(self, sentences: Sequence[int], finished: Sequence[bool]) -> np.ndarray:
        return mean_of((np.array(sentences) == SENTENCES - 1) & np.array(finished, dtype=bool))


class Length(Ratio):
    """Mean length of the continuations, as `length`.

    Formula: words over stories.
    Unit: whitespace-separated words a story.
    Range: 0 up.
    Direction: neither is better; people's mean is the measure.
    Source: none needed; words are counted as for the perplexity per word.
    """

    key = "length"
    inputs = ("predictions",)
    better = "neither"

    def _rows(self, predictions: Sequence[str]) -> np.ndarray:
        return mean_of([len(text.split()) for text in predictions])


class LengthRatio(Ratio):
    """Length of the continuations beside the human ones, as `length_ratio`.

    Formula: words of all continuations over words of all human ones.
    Unit: a ratio of whitespace-separated words.
    Range: 0 up; 1 is as long as people's.
    Direction: neither is better; 1 is the measure.
    Source: the ratio that BLEU's brevity penalty is made of (Papineni et al. 2002), in words.
    """

    key = "length_ratio"
    inputs = ("predictions", "references")
    better = "neither"

    def _rows(self, predictions: Sequence[str], references: Sequence[str]) -> np.ndarray:
        pairs = zip(predictions, references, strict=True)
        return np.array([(len(told.split()), len(human.split())) for told, human in pairs])
