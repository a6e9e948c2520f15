"""A session whose texts an engine computes."""

from collections.abc import Sequence

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
        self._contexts = [list(context) for context in contexts]
        self.logits = torch.from_numpy(texts.logits)

    @property
    def context(self) -> Tensor:
        """All texts so far, of equal length (texts, length)."""
        return torch.tensor(self._contexts)

    @property
    def room(self) -> int:
        """How many more tokens each text has positions for."""
        return min(map(self.room_of, range(len(self._contexts))))

    def context_of(self, text: int) -> Tensor:
        return torch.tensor(self._contexts[text : text + 1])

    def room_of(self, text: int) -> int:
        return self._positions - len(self._contexts[text])

    def advance(self, tokens: Sequence[int]) -> None:
        for context, token in zip(self._contexts, tokens, strict=True):
            context.append(token)
        self._texts.advance(tokens)
        self.logits = torch.from_numpy(self._texts.logits)

    def keep(self, texts: Sequence[int]) -> None:
        self._contexts = [self._contexts[text] for text in texts]
        self._texts.keep(texts)
        self.logits = torch.from_numpy(self._texts.logits)
