"""Texts that an engine has under way: the memory that they take, and how some of them are dropped."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

GROWTH = 64
"""Keys and values have room for so many tokens more than there are, and for twice as many when it is used up."""


class Texts(ABC):
    """Some texts; each is computed as it would be alone."""

    logits: np.ndarray
    """Of the next tokens (texts, vocabulary)."""

    @abstractmethod
    def advance(self, tokens: Sequence[int]) -> None:
        """Put a token behind each text and compute the logits of those after them."""

    @abstractmethod
    def keep(self, texts: Sequence[int]) -> None:
        """Go on with some of the texts, by their numbers."""


class Slots:
    """Which row of the memory each text has, so that dropping one moves no more than one other.

    Args:
        texts: How many there are.
    """

    def __init__(self, texts: int):
        self.rows = np.arange(texts)

    def keep(self, texts: Sequence[int]) -> list[tuple[int, int]]:
        """Keep some texts; returns the moves (from row, to row) that bring them to the first rows."""
        self.rows = self.rows[list(texts)]
        left = len(self.rows)
        free = iter(sorted(set(range(left)) - set(self.rows.tolist())))
        moves = []
        for text in np.flatnonzero(self.rows >= left):
            moves.append((int(self.rows[text]), next(free)))
            self.rows[text] = moves[-1][1]
        return moves


def moved(memory: np.ndarray, moves: list[tuple[int, int]], left: int) -> np.ndarray:
    """Memory (parts, texts, ...) after some moves, down to the rows that are left; what is kept is not copied."""
    for origin, target in moves:
        memory[:, target] = memory[:, origin]
    return memory[:, :left]
