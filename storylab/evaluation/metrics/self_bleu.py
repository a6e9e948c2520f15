"""How much a storyteller's stories are alike: self-BLEU, over all n-grams at once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import sacrebleu
from sacrebleu.metrics import BLEU

from storylab.evaluation.metrics.base import Ratio, jackknifed, mean_of
from storylab.evaluation.metrics.best_matches import best_matches


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
        lines = (self.bleu.tokenizer(text.rstrip()) for text in predictions)
        matches = best_matches(lines, self.bleu.max_ngram_order)
        scores, owed = self._scores(matches.rows), np.zeros(len(predictions))
        np.add.at(owed, matches.other, scores[matches.story] - self._scores(matches.without))
        rows = mean_of(scores)
        rows[:, 0] = jackknifed(scores.sum(), scores + owed)
        return rows

    def _scores(self, rows: np.ndarray) -> np.ndarray:
        """The score of each row; few of them differ, and each is computed once."""
        which = np.zeros(len(rows), dtype=np.int64)
        for column in rows[:, : 2 + self.bleu.max_ngram_order].T:  # the lengths say how many n-grams there are
            which = np.unique(which * (column.max(initial=0) + 1) + column, return_inverse=True)[1]
        first = np.zeros(which.max(initial=-1) + 1, dtype=np.int64)
        first[which] = np.arange(len(rows))
        score = self.bleu._compute_score_from_stats  # what sacreBLEU's own tests are built on
        return np.array([score(row).score for row in rows[first].tolist()])[which]

    @property
    def settings(self) -> dict[str, Any]:
        """The signature and version of the sentence BLEU, and its order."""
        return {
            "signature": self.bleu.get_signature().format(),
            "version": sacrebleu.__version__,
            "max_ngram_order": self.bleu.max_ngram_order,
        }
