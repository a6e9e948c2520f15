"""A session whose texts an engine computes."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from storylab.engines.texts import Texts
from storylab.storytellers.kinds import Session


class EngineSession(Session):
    """Texts under way in an engine; they may differ in length.

    Args:
        texts: What computes them.
        contexts: The texts so far, as repetition settings see them.
        positions: The most tokens that a text may have.
    """

    def __init__(self, texts: Texts, contexts: Sequence[Sequence[int]], positions: int):
        self._texts, self._positions = texts, positions
        self._lengths = [len(context) for context in contexts]
        self._contexts = np.empty((len(contexts), positions + 1), np.int64)  # filled from the left
        for row, context in zip(self._contexts, contexts, strict=True):
            row[: len(context)] = context
        self.logits = torch.from_numpy(texts.logits)

    @property
    def context(self) -> Tensor:
        """All texts so far, of equal length (texts, length)."""
        (length,) = set(self._lengths)
        return torch.from_numpy(self._contexts[:, :length].copy())

    @property
    def room(self) -> int:
        """How many more tokens each text has positions for."""
        return self._positions - max(self._lengths)

    def context_of(self, text: int) -> Tensor:
        return torch.from_numpy(self._contexts[text, : self._lengths[text]])[None]

    def room_of(self, text: int) -> int:
        return self._positions - self._lengths[text]

    def advance(self, tokens: Sequence[int]) -> None:
        for text, token in enumerate(tokens):
            self._contexts[text, self._lengths[text]] = token
            self._lengths[text] += 1
        self._texts.advance(tokens)
        self.logits = torch.from_numpy(self._texts.logits)

    def keep(self, texts: Sequence[int]) -> None:
        texts = list(texts)
        self._contexts, self._lengths = self._contexts[texts], [self._lengths[text] for text in texts]
        self._texts.keep(texts)
        self.logits = torch.from_numpy(self._texts.logits)
