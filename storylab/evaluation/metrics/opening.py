"""Whether a story is about what its opening is about: the names and nouns of the opening that come back."""

from collections.abc import Sequence

import numpy as np

from storylab.evaluation.english import lemmas, names_and_nouns
from storylab.evaluation.metrics.base import Ratio


class OpeningCarriedOn(Ratio):
    """Share of the names and nouns of the openings that come back in their continuations, as `opening_carried_on`.

    Formula: names and nouns of all openings that the continuation of the same opening has among its words, over
        names and nouns of all openings; each counts once an opening. Words are compared in lower case, without
        a possessive 's and without the ending of the plural.
    Unit: a share.
    Range: 0 to 1; NaN where no opening has a name or noun. People stay far below 1: they say "he" and "it".
    Direction: neither is better; near 0 a story forgets its opening, near 1 it says it again. People's figure
        is the measure.
    Source: StoryLab's own, after the share of a prompt's entities that are told of again (Clark et al. 2018).

    What is a name or a noun is told by rules and word lists, not by a tagger (`names_and_nouns`).
    """

    key = "opening_carried_on"
    inputs = ("predictions", "openings")
    better = "neither"

    def _rows(self, predictions: Sequence[str], openings: Sequence[str]) -> np.ndarray:
        rows = []
        for told, opening in zip(predictions, openings, strict=True):
            wanted = names_and_nouns(opening)
            rows.append((len(wanted & lemmas(told)), len(wanted)))
        return np.array(rows)
