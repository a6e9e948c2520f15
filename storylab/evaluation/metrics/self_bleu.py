"""How much a storyteller's stories are alike: self-BLEU, in one pass over all n-grams."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import sacrebleu
from sacrebleu.metrics import BLEU
from sacrebleu.metrics.helpers import extract_all_word_ngrams

from storylab.evaluation.metrics.base import Ratio, jackknifed, mean_of


class SelfBleu(Ratio):
    """Each story's BLEU-4 with all the others as references, the mean over stories, as `self_bleu`.

    Formula: the mean of the sentence BLEU-4 of a continuation against all other continuations: each of its
        n-grams is matched at most as often as in the one that holds it most often, and its length is compared
        with the closest.
    Unit: sacreBLEU's points.
    Range: 0 to 100; NaN for a single story. It grows as stories are added, so only as many stories compare.
    Direction: lower is better, down to people's figure.
    Source: Zhu et al. 2018 (Texygen). They take NLTK's sentence BLEU; here it is sacreBLEU's (13a, case kept,
        "exp" smoothing, effective order), which is the same wherever each order has a match.

    A story drawn twice would be its own twin, so the sum of the scores is spread over the stories by the
    jackknife (`jackknifed`): without a story, the sum loses its score and what the others' scores owe to it.
    """

    key = "self_bleu"
    inputs = ("predictions",)
    better = "lower"
    range = (0.0, 100.0)  # the jackknife's intervals can go beyond

    def __init__(self, **options: Any):
        """Make self-BLEU."""
        self.bleu = BLEU(effective_order=True, force=True)
        self.bleu.num_refs = -1  # sacreBLEU's sign for references that vary in number
        super().__init__(**options)

    def _rows(self, predictions: Sequence[str]) -> np.ndarray:
        if len(predictions) == 1:
            return np.zeros((1, 2))
        stories = _Stories([self.bleu.tokenizer(text.rstrip()) for text in predictions], self.bleu.max_ngram_order)
        scores, owed = np.zeros(len(predictions)), np.zeros(len(predictions))
        for number in range(len(predictions)):
            row, without = stories.matches(number)
            scores[number] = self._score(row)
            for other, poorer in without.items():
                owed[other] += scores[number] - self._score(poorer)
        rows = mean_of(scores)
        rows[:, 0] = jackknifed(scores.sum(), scores + owed)
        return rows

    def _score(self, row: list[int]) -> float:
        return self.bleu._compute_score_from_stats(row).score  # what sacreBLEU's own tests are built on

    @property
    def settings(self) -> dict[str, Any]:
        """The signature and version of the sentence BLEU, and its order."""
        return {
            "signature": self.bleu.get_signature().format(),
            "version": sacrebleu.__version__,
            "max_ngram_order": self.bleu.max_ngram_order,
        }


class _Holder(NamedTuple):
    """How often a story holds an n-gram, and which story that is."""

    count: int
    story: int


_NOBODY = _Holder(0, -1)


class _Stories:
    """The n-grams of all stories, and of each n-gram the three stories that hold it most often.

    Three are enough: one may be the story that is scored, the next gives the match, the last would if that one
    were not there.
    """

    def __init__(self, lines: Sequence[str], order: int):
        """Count the n-grams of tokenised lines up to an order."""
        self.order = order
        counted = [extract_all_word_ngrams(line, 1, order) for line in lines]
        self.ngrams = [ngrams for ngrams, _ in counted]
        self.lengths = [length for _, length in counted]
        self.length_counts = Counter(self.lengths)
        self.holders: dict[tuple[str, ...], list[_Holder]] = {}
        for story, ngrams in enumerate(self.ngrams):
            for ngram, count in ngrams.items():
                best = self.holders.setdefault(ngram, [])
                best.append(_Holder(count, story))
                if len(best) > 3:
                    best.remove(min(best))
        for best in self.holders.values():
            best.sort(reverse=True)

    def matches(self, story: int) -> tuple[list[int], dict[int, list[int]]]:
        """A story's statistics against all others, as sacreBLEU counts them.

        Returns:
            The row [own length, closest length, matches of each order, n-grams of each order]; and for each other
            story without which it would be another row, that row.
        """
        correct, total = [0] * self.order, [0] * self.order
        losses: dict[int, list[int]] = {}
        for ngram, count in self.ngrams[story].items():
            others = [holder for holder in self.holders[ngram] if holder.story != story]
            first, second, *_ = [*others, _NOBODY, _NOBODY]
            place, match = len(ngram) - 1, min(count, first.count)
            total[place] += count
            correct[place] += match
            if loss := match - min(count, second.count):
                losses.setdefault(first.story, [0] * self.order)[place] += loss
        own, (closest, only, next_closest) = self.lengths[story], self._closest_lengths(story)
        if only is not None:
            losses.setdefault(only, [0] * self.order)
        without = {}
        for other, lost in losses.items():
            left = [match - loss for match, loss in zip(correct, lost, strict=True)]
            without[other] = [own, next_closest if other == only else closest, *left, *total]
        return [own, closest, *correct, *total], without

    def _closest_lengths(self, story: int) -> tuple[int, int | None, int]:
        """The other stories' length closest to a story's; the one that has it, if it alone has; the next closest."""
        own = self.lengths[story]
        others = self.length_counts - Counter([own])
        closest, *rest = sorted(others, key=lambda length: (abs(length - own), length))
        if others[closest] > 1 or not rest:
            return closest, None, closest
        only = next(i for i, length in enumerate(self.lengths) if length == closest and i != story)
        return closest, only, rest[0]
