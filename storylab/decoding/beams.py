"""Beam search: several texts are followed at once, and the likeliest whole one is told.

The search of transformers' `generate(num_beams=N, length_penalty=1.0, early_stopping=False)`, apart from what
computes the logits. Each step looks at all tokens behind all beams and takes the 2N of the greatest summed
log-probability. Those of the first N that end are finished texts, weighed by their mean log-probability a token; the
first N that don't end are the next beams. The search is over when N texts are finished and the best beam's mean is no
better than the worst of theirs. Repetition settings change the log-probabilities that are summed.

Nearly all of a step's candidates are hopeless, so they are not sorted: see `greatest_places`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from storylab.decoding.sampling import NOT_NUMBERS, Choice, logits_processors
from storylab.decoding.settings import Settings
from storylab.errors import StoryLabError

RUNS = 64
"""Scores are looked through in columns of so many, of which only the greatest counts at first."""


class Growth(NamedTuple):
    """How the beams go on: each is an earlier one and a token behind it."""

    parents: list[int]
    """Numbers of the earlier beams; one may come several times, or not at all."""
    tokens: list[int]
    """What comes behind them."""


@dataclass(frozen=True, slots=True)
class _Beam:
    score: float
    """Summed log-probabilities while it is followed, their mean once it is finished."""
    told: tuple[Choice, ...]


class BeamSearch:
    """One search under way. It begins with one beam, which is the prompt.

    Args:
        settings: With strategy "beam": how many beams, and how repetition is treated.
        context: The prompt as repetition settings see it.
        end: The token that finishes a text.
        mute: Tokens that are never chosen.
        tokens: How many are told at most, one at least.
    """

    def __init__(self, settings: Settings, context: Sequence[int], end: int, mute: Sequence[int], tokens: int):
        self._settings, self._context, self._end, self._mute = settings, list(context), end, list(mute)
        self._tokens, self._length = tokens, 0
        self._processors = logits_processors(settings)  # of repetition alone: mute tokens are seen to below
        self._beams = [_Beam(0.0, ())]
        self._finished: list[_Beam] = []

    @property
    def found(self) -> tuple[Choice, ...]:
        """The best finished text, its end token included where it has one; log-probabilities are the model's own."""
        return self._finished[0].told

    @property
    def score(self) -> float:
        """The mean log-probability a token of `found`, after the repetition settings."""
        return self._finished[0].score

    def step(self, logits: np.ndarray) -> Growth | None:
        """Put a token behind the beams; None where the search is over.

        Args:
            logits: Of the next token of each beam, in their order, float32 (beams, vocabulary).

        Raises:
            StoryLabError: The logits are not numbers, which damaged weights bring about.
        """
        wanted, totals = self._settings.num_beams, _log_sum_exp(logits)
        scores = self._scores(logits - totals[:, None])
        self._length += 1
        is_last = self._length == self._tokens
        parents, tokens, beams = [], [], []
        for rank, place in enumerate(greatest_places(scores.ravel(), 2 * wanted)):
            parent, token = divmod(int(place), scores.shape[1])
            choice = Choice(token, float(logits[parent, token] - totals[parent]))
            beam = _Beam(float(scores[parent, token]), (*self._beams[parent].told, choice))
            if is_last or token == self._end:
                if rank < wanted:
                    self._finished.append(_Beam(beam.score / self._length, beam.told))
            elif len(beams) < wanted:
                parents.append(parent)
                tokens.append(token)
                beams.append(beam)
        self._finished = sorted(self._finished, key=lambda beam: -beam.score)[:wanted]
        self._beams = beams
        if is_last or (len(self._finished) == wanted and beams[0].score / self._length <= self._finished[-1].score):
            return None
        return Growth(parents, tokens)

    def _scores(self, log_probabilities: np.ndarray) -> np.ndarray:
        """Summed log-probabilities of all beams with all tokens (beams, vocabulary); changes what it is given."""
        if self._processors:
            texts = [self._context + [choice.token for choice in beam.told] for beam in self._beams]
            changed = self._processors(torch.tensor(texts), torch.from_numpy(log_probabilities))
            log_probabilities = changed.numpy()
        log_probabilities[:, self._mute] = -np.inf
        log_probabilities += np.array([beam.score for beam in self._beams], np.float32)[:, None]
        return log_probabilities


def greatest_places(scores: np.ndarray, wanted: int) -> np.ndarray:
    """Where the greatest scores stand, in descending order (wanted); equal ones in the order of their places.

    Of `wanted` columns with the greatest maxima each holds a score as great as the least of these maxima, so none below
    that can be among the greatest. One pass of maxima and one of comparisons leave a few hundred scores to be sorted.

    Args:
        scores: Any number of them, -inf among them (scores).
        wanted: How many, no more than there are.
    """
    columns = len(scores) // RUNS
    likely = np.arange(len(scores))
    if columns > wanted:
        maxima = scores[: columns * RUNS].reshape(RUNS, columns).max(axis=0)
        likely = np.flatnonzero(scores >= np.partition(maxima, columns - wanted)[columns - wanted])
    return likely[np.argsort(-scores[likely], kind="stable")[:wanted]]


def _log_sum_exp(logits: np.ndarray) -> np.ndarray:
    """The logarithm of the sum of the exponentials of each row (rows)."""
    greatest = logits.max(axis=1)
    if not np.isfinite(greatest).all():  # NaN, +inf or nothing but -inf
        raise StoryLabError(NOT_NUMBERS)
    return greatest + np.log(np.exp(logits - greatest[:, None]).sum(axis=1))
