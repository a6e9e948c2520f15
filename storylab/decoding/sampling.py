"""Choosing the next token, with random numbers that belong to one telling alone.

transformers' `generate` samples from torch's global random state, so a telling would change with whatever
runs beside it. Here each telling owns a `RandomStream`, and a draw is the Gumbel-max trick: the argmax of
the log-probabilities plus independent Gumbel noise is an exact sample from the distribution (Gumbel 1954,
"Statistical theory of extreme values"; Maddison, Tarlow and Minka 2014, "A* Sampling"). One number is drawn
for every token of the vocabulary, so storytellers that share a vocabulary share their luck on equal seeds:
where their distributions agree, so do their tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from storylab.decoding.cuts import log_sum_exp, nucleus, tempered
from storylab.decoding.settings import Settings
from storylab.errors import StoryLabError

if TYPE_CHECKING:
    from transformers.generation.logits_process import LogitsProcessor, LogitsProcessorList

NOT_NUMBERS = "the model's logits are not all numbers; its weights may be damaged"


class RandomStream:
    """Gumbel noise from a generator of its own: the k-th call gives the same numbers whatever runs beside it.

    Args:
        seed: From 0 to 2**32 - 1.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._generator = torch.Generator(device="cpu").manual_seed(seed)

    def gumbel(self, size: int) -> Tensor:
        """Draws independent standard Gumbel numbers, `-log(-log(u))` of uniform `u`.

        Args:
            size: How many.

        Returns:
            Finite numbers, float32, on the CPU.  # (size,)
        """
        return torch.from_numpy(self.luck(size))

    def luck(self, size: int, wanted: np.ndarray | None = None) -> np.ndarray:
        """What `gumbel` draws, of the places that are wanted alone; the stream goes on by all."""
        uniform = torch.rand(size, generator=self._generator, dtype=torch.float64).numpy()  # (size,)
        if wanted is not None:
            uniform = uniform[wanted]
        # Multiples of 2**-53 from 0 to 1 - 2**-53. The last gives 36.7; 0 would give -inf and forbid a token.
        return -np.log(-np.log(uniform.clip(min=2.0**-54))).astype(np.float32)


def named_processors(settings: Settings, mute: Sequence[int] = ()) -> dict[str, LogitsProcessor]:
    """The library's processors for the settings by the option's name, in the order in which `generate` applies them.

    Tokens of `mute` are never chosen: those that are no text, such as padding.

    The repetition settings hold for every strategy; temperature and the cuts only where tokens are drawn.
    An option at its neutral value adds nothing.
    """
    # Takes a third of a second the first time, which reading settings or printing help should not pay.
    from transformers.generation import logits_process as library

    processors: dict[str, LogitsProcessor] = {}
    if settings.repetition_penalty != 1:
        processors["repetition_penalty"] = library.RepetitionPenaltyLogitsProcessor(settings.repetition_penalty)
    if settings.no_repeat_ngram_size > 0:
        processors["no_repeat_ngram_size"] = library.NoRepeatNGramLogitsProcessor(settings.no_repeat_ngram_size)
    if mute:
        processors["mute"] = library.SuppressTokensLogitsProcessor(list(mute))
    if settings.strategy != "sample":
        return processors
    if settings.temperature != 1:
        processors["temperature"] = library.TemperatureLogitsWarper(settings.temperature)
    if settings.top_k > 0:
        processors["top_k"] = library.TopKLogitsWarper(settings.top_k)
    if settings.top_p < 1:
        processors["top_p"] = library.TopPLogitsWarper(settings.top_p)
    if settings.min_p > 0:
        processors["min_p"] = library.MinPLogitsWarper(settings.min_p)
    if settings.typical_p < 1:
        processors["typical_p"] = library.TypicalLogitsWarper(settings.typical_p)
    return processors


def logits_processors(settings: Settings, mute: Sequence[int] = ()) -> LogitsProcessorList:
    """What `named_processors` gives, as the list that `generate` takes."""
    from transformers.generation.logits_process import LogitsProcessorList

    return LogitsProcessorList(named_processors(settings, mute).values())


@dataclass(frozen=True, slots=True)
class Choice:
    """A chosen token and how likely the model itself held it."""

    token: int
    """The token's id."""
    log_probability: float
    """Natural logarithm, under the softmax of the logits before any processor."""


class TokenChooser:
    """Chooses the tokens of one telling, greedily or by a draw.

    Args:
        settings: With strategy "greedy" or "sample"; a beam search weighs whole texts.
        stream: The telling's random numbers, one call a token; greedy leaves it alone.
        mute: Tokens that are never chosen.

    Raises:
        ValueError: The strategy is "beam".
    """

    def __init__(self, settings: Settings, stream: RandomStream, mute: Sequence[int] = ()) -> None:
        if settings.strategy == "beam":
            raise ValueError("a beam search does not choose token by token")
        self._draws = settings.strategy == "sample"
        self._stream = stream
        self._settings, self._mute = settings, list(mute)
        self._processors = logits_processors(settings, mute)
        cuts = named_processors(settings, mute).keys()
        self._is_plain = cuts <= {"mute", "temperature", "top_p"}

    def transform(self, context_ids: Tensor, logits: Tensor) -> Tensor:
        """The log-probabilities from which a token is chosen.

        Args:
            context_ids: What stands in the text so far.  # (1, length)
            logits: Of the next token.  # (vocabulary,)

        Returns:
            Float32 on the CPU, -inf for a forbidden token, never for all of them: where every token would
            repeat an n-gram, the model's own probabilities stand.  # (vocabulary,)

        Raises:
            StoryLabError: The logits are not numbers, which damaged weights bring about.
        """
        return self._transform(context_ids, _log_softmax(logits), logits)

    def choose(self, context_ids: Tensor, logits: Tensor) -> Choice:
        """Chooses the next token: the argmax, of log-probabilities plus Gumbel noise where tokens are drawn.

        Args:
            context_ids: What stands in the text so far.  # (1, length)
            logits: Of the next token.  # (vocabulary,)

        Raises:
            StoryLabError: The logits are not numbers, which damaged weights bring about.
        """
        values = logits.detach().float().cpu().numpy()
        if not np.isfinite(values.max()):  # NaN, +inf or nothing but -inf
            raise StoryLabError(NOT_NUMBERS)
        allowed, scores = self._allowed(context_ids, values)
        if self._draws:
            # Of the other tokens the luck is drawn too, but not needed.
            scores = scores - np.float32(log_sum_exp(scores)) + self._stream.luck(len(values), allowed)
        token = int(allowed[scores.argmax()])
        return Choice(token, float(values[token]) - log_sum_exp(values))

    def _allowed(self, context_ids: Tensor, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The tokens that may be chosen, in ascending order, and their scores, but for a constant."""
        if self._is_plain:
            scores = tempered(logits, self._mute, self._settings.temperature if self._draws else 1.0)
            if self._draws and self._settings.top_p < 1 and np.isfinite(scores.max()):
                inside = nucleus(scores, self._settings.top_p)
                return inside, scores[inside]
        else:
            scores = self.transform(context_ids, torch.from_numpy(logits)).numpy()
        finite = np.flatnonzero(np.isfinite(scores))
        if len(finite) == 0:  # every token is mute
            finite, scores = np.arange(len(logits)), logits
        return finite, scores[finite]

    def _transform(self, context_ids: Tensor, log_probabilities: Tensor, logits: Tensor) -> Tensor:
        if not self._processors:
            return log_probabilities
        scores = self._processors(context_ids.cpu(), logits.detach().float().cpu()[None])[0]
        if not bool(scores.isfinite().any()):
            return log_probabilities
        return scores.log_softmax(dim=-1)


def _log_softmax(logits: Tensor) -> Tensor:
    """Log-probabilities in float32 on the CPU; NaN, +inf or nothing but -inf among the logits is refused."""
    log_probabilities = logits.detach().float().cpu().log_softmax(dim=-1)
    if bool(log_probabilities.isnan().any()):
        raise StoryLabError(NOT_NUMBERS)
    return log_probabilities
