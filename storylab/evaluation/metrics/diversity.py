"""Whether stories repeat themselves or what was learnt, and how rich their words are."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np

from storylab.evaluation.metrics.base import Ratio, jackknifed, mean_of
from storylab.evaluation.words import ngrams, words_of


class Distinct(Ratio):
    r"""Share of different n-grams among all n-grams of all continuations, as `distinct_n`.

    Formula: V/N, with N the n-grams of all continuations and V the different ones among them. Words are what
        matches \w+, in lower case; n-grams don't cross stories.
    Unit: a share.
    Range: above 0 to 1. It falls as stories are added, so only as many stories compare.
    Direction: higher is better, up to people's figure.
    Source: Li et al. 2016, over the whole corpus.

    V is no sum over stories, and stories drawn with replacement hold far fewer n-grams than as many stories of
    one's own: a plain bootstrap misses V/N altogether. The numerators are therefore V, spread over the stories by
    the jackknife (`jackknifed`).
    """

    inputs = ("predictions",)
    better = "higher"
    range = (0.0, 1.0)  # the jackknife's intervals can go beyond

    def __init__(self, n: int, **options: Any):
        """Make distinct-n."""
        self.key, self.n = f"distinct_{n}", n
        super().__init__(**options)

    def _rows(self, predictions: Sequence[str]) -> np.ndarray:
        stories = [list(ngrams(words_of(text), self.n)) for text in predictions]
        holders = Counter(chain.from_iterable(map(set, stories)))
        alone = [sum(holders[ngram] == 1 for ngram in set(story)) for story in stories]
        return np.column_stack([jackknifed(len(holders), alone), [len(story) for story in stories]])


class Repetition(Ratio):
    r"""Share of stories that repeat themselves, as `repetition_n`.

    Formula: stories with an n-gram that comes twice, over all stories. Words are what matches \w+, in lower
        case; an n-gram may cross sentences, and two of them may overlap.
    Unit: a share.
    Range: 0 to 1.
    Direction: lower is better.
    Source: Shao et al. 2019 ("repetition-4").
    """

    inputs = ("predictions",)
    better = "lower"

    def __init__(self, n: int = 4, **options: Any):
        """Make repetition-n."""
        self.key, self.n = f"repetition_{n}", n
        super().__init__(**options)

    def _rows(self, predictions: Sequence[str]) -> np.ndarray:
        counts = [Counter(ngrams(words_of(text), self.n)) for text in predictions]
        return mean_of([max(count.values(), default=0) > 1 for count in counts])


class Novelty(Ratio):
    r"""Share of the continuations' n-grams that no training story holds, as `novelty_n`.

    Formula: n-grams that are in no training story over n-grams, of all continuations, repeated ones each time.
        Words are what matches \w+, in lower case; training stories are taken whole.
    Unit: a share.
    Range: 0 to 1; NaN where no continuation has n words.
    Direction: higher is better, up to people's figure on unseen stories: low is learning by heart.
    Source: the share of novel n-grams (See et al. 2017), against the training data as in McCoy et al. 2023.

    Training n-grams are kept as 64-bit hashes, 8 bytes each. Against three million of them, a new n-gram is
    taken for a known one with a chance of 2 in 10^13.
    """

    inputs = ("predictions",)
    better = "higher"

    def __init__(self, training: Iterable[str], n: int = 8, **options: Any):
        """Make novelty-n against the whole texts of the training stories."""
        self.key, self.n = f"novelty_{n}", n
        hashes = chain.from_iterable(map(self._hashes, training))
        self.known = np.unique(np.fromiter(hashes, dtype=np.int64))
        super().__init__(**options)

    def _hashes(self, text: str) -> list[int]:
        return [hash(ngram) for ngram in ngrams(words_of(text), self.n)]

    def _rows(self, predictions: Sequence[str]) -> np.ndarray:
        stories = [self._hashes(text) for text in predictions]
        lengths = [len(story) for story in stories]
        told = np.fromiter(chain.from_iterable(stories), dtype=np.int64)
        new = np.searchsorted(self.known, told) == np.searchsorted(self.known, told, side="right")
        owners = np.repeat(np.arange(len(stories)), lengths)  # the story of each n-gram
        return np.column_stack([np.bincount(owners, weights=new, minlength=len(stories)), lengths])
