"""How much of the human continuation a storyteller's shares: BLEU, chrF++ and ROUGE-L."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import sacrebleu
from sacrebleu.metrics import BLEU, CHRF

from storylab.evaluation.metrics.base import Ratio, StoryMetric, mean_of

STORIES_A_BLOCK = 1000
"""Stories whose n-grams sacreBLEU holds at once: those of a story take a hundred times its text."""


class SacreBleuMetric(StoryMetric):
    """A metric that sacreBLEU computes: its statistics a story, and its score of their total."""

    inputs = ("predictions", "references")
    better = "higher"

    def __init__(self, key: str, measure: BLEU | CHRF, **options: Any):
        """Make the metric of a measure of sacreBLEU's, against one reference a story."""
        self.key, self.measure = key, measure
        measure.num_refs = 1  # sacreBLEU notes it while it scores; its signature needs it before
        super().__init__(**options)

    def _rows(self, predictions: Sequence[str], references: Sequence[str]) -> np.ndarray:
        # The two methods with an underscore are those that sacreBLEU's own significance tests are built on.
        rows: list[list[int]] = []
        for first in range(0, len(predictions), STORIES_A_BLOCK):
            block = slice(first, first + STORIES_A_BLOCK)
            rows += self.measure._extract_corpus_statistics(predictions[block], [references[block]])
        return np.array(rows)

    def value(self, totals: np.ndarray) -> np.ndarray:
        rows = totals.reshape(-1, totals.shape[-1]).tolist()  # (resamples, k)
        scores = [self.measure._compute_score_from_stats(row).score for row in rows]
        return np.array(scores).reshape(totals.shape[:-1])

    @property
    def settings(self) -> dict[str, Any]:
        """The signature and the version; sacreBLEU's command line with the same options gives the same score."""
        return {"signature": self.measure.get_signature().format(), "version": sacrebleu.__version__}


class Bleu(SacreBleuMetric):
    """BLEU-n of the continuations against the human ones, over all stories together, as `bleu_n`.

    Formula: min(1, exp(1 - r/c)) * (p_1 ... p_n)^(1/n), with p_i the share of the continuations' i-grams that
        stand in the human continuation of the same story too, each counted at most as often as there, c and r
        the tokens of all continuations and of all human ones. Tokens by 13a, case kept; an order without a
        match is smoothed ("exp").
    Unit: sacreBLEU's points, a hundred times the formula.
    Range: 0 to 100. From one sentence a story can go many ways, so that figures above 10 are rare for BLEU-4.
    Direction: higher is better.
    Source: Papineni et al. 2002; computed by sacreBLEU (Post 2018), whose signature does not hold the order n
        and is told with it.
    """

    def __init__(self, max_ngram_order: int = 4, **options: Any):
        """Make BLEU of an order from 1 to 4, or beyond."""
        # force: a story that ends in " ." was told so, and is no sign of tokenised input
        super().__init__(f"bleu_{max_ngram_order}", BLEU(max_ngram_order=max_ngram_order, force=True), **options)

    @property
    def settings(self) -> dict[str, Any]:
        """Signature, version and the order of the n-grams."""
        return super().settings | {"max_ngram_order": self.measure.max_ngram_order}


class Chrf(SacreBleuMetric):
    """chrF++ of the continuations against the human ones, over all stories together, as `chrf`.

    Formula: 5PR / (4P + R), with P the mean over the orders of the share of the continuations' n-grams that
        stand in the human one of the same story too, and R the same the other way round; the orders are
        characters 1 to 6 without blanks and words 1 to 2.
    Unit: sacreBLEU's points, a hundred times the formula.
    Range: 0 to 100.
    Direction: higher is better.
    Source: Popović 2017; computed by sacreBLEU (Post 2018).
    """

    def __init__(self, **options: Any):
        """Make chrF++."""
        super().__init__("chrf", CHRF(word_order=2), **options)


class RougeL(Ratio):
    """ROUGE-L of the continuations against the human ones, the mean over stories, as `rouge_l`.

    Formula: 2PR / (P + R) a story, with P = l/c and R = l/r, c and r the words of the continuation and of the
        human one and l those of their longest common subsequence; 0 where nothing is common. Words are runs of
        a to z and 0 to 9 in lower case, not stemmed; sentences are not told apart.
    Unit: a share; papers often print a hundred times as much.
    Range: 0 to 1.
    Direction: higher is better.
    Source: Lin 2004; the words and the plain F-measure of the package rouge-score, which gives the same figures.
        Not that package itself: it was last released in 2022 and brings NLTK along for a stemmer.
    """

    key = "rouge_l"
    inputs = ("predictions", "references")
    better = "higher"

    def _rows(self, predictions: Sequence[str], references: Sequence[str]) -> np.ndarray:
        pairs = zip(map(_rouge_words, predictions), map(_rouge_words, references), strict=True)
        # 2PR / (P + R) is 2l / (c + r)
        return mean_of([2 * common_subsequence(a, b) / (len(a) + len(b) or 1) for a, b in pairs])


def _rouge_words(text: str) -> list[str]:
    return re.findall("[a-z0-9]+", text.lower())


def common_subsequence(a: Sequence[str], b: Sequence[str]) -> int:
    """The length of the longest common subsequence of two rows of words.

    Hyyrö 2004's bit-parallel form of the usual table: a number holds a row of it, a bit a word of `a`, which is
    0 where the table grows by one.
    """
    places: dict[str, int] = {}
    for place, word in enumerate(a):
        places[word] = places.get(word, 0) | 1 << place
    every = (1 << len(a)) - 1
    row = every
    for word in b:
        matches = row & places.get(word, 0)
        row = (row + matches | row - matches) & every
    return len(a) - row.bit_count()
