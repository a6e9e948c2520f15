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
        """Go on with some of the texts, by their numbers, in any order; one named twice goes on as two."""


class Slots:
    """Which row of the memory each text has, so that no more is moved than rows are to be filled.

    Args:
        texts: How many there are.
    """

    def __init__(self, texts: int):
        self.rows = np.arange(texts)

    def keep(self, texts: Sequence[int]) -> list[tuple[int, int]]:
        """Keep some texts or copies of them; returns the moves (from row, to row) that bring them to the first rows.

        No move overwrites what another reads.
        """
        self.rows = self.rows[list(texts)]
        left = len(self.rows)
        free = iter(sorted(set(range(left)) - set(self.rows.tolist())))
        moves, taken = [], set()
        for text, row in enumerate(self.rows.tolist()):
            if row >= left or row in taken:
                moves.append((row, next(free)))
                self.rows[text] = moves[-1][1]
            taken.add(row)
        return moves


def moved(memory: np.ndarray, moves: list[tuple[int, int]], left: int, length: int | None = None) -> np.ndarray:
    """Memory (parts, texts, ...) after some moves, with the rows that are left; what stays in its row is not copied.

    Args:
        memory: Where each text has a row of each part.
        moves: From row, to row.
        left: How many rows, which may be more than there were.
        length: How much of the last axis but one is filled and needs to be moved; None for all.
    """
    filled = np.s_[...] if length is None else np.s_[..., :length, :]
    if left > memory.shape[1]:
        more = np.zeros((memory.shape[0], left, *memory.shape[2:]), memory.dtype)
        more[:, : memory.shape[1]] = memory
        memory = more
    for origin, target in moves:
        memory[:, target][filled] = memory[:, origin][filled]
    return memory[:, :left]
