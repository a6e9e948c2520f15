"""Telling with a causal decoder's graph: one run reads the prompts, one run a token goes on with all texts."""

from collections.abc import Sequence

import numpy as np

from storylab.engines.causal import CausalGraph
from storylab.engines.runtime import Runner
from storylab.engines.texts import GROWTH, Slots, Texts, moved


class CausalTexts(Texts):
    """Texts with prompts of any lengths.

    Args:
        runner: Of the graph.
        graph: Whose shapes say how much memory it takes.
        prompts: Tokens of each text, one at least.
        positions: The most tokens that a text may have.
    """

    def __init__(self, runner: Runner, graph: CausalGraph, prompts: Sequence[Sequence[int]], positions: int):
        self._graph, self._positions = graph, positions
        self._slots, self._bound = Slots(len(prompts)), runner.binding()
        self._lengths = np.array([len(prompt) for prompt in prompts])  # (texts), by row of the memory
        longest = int(self._lengths.max())
        shape = (2 * graph.layers, len(prompts), graph.key_heads, self._room(longest), graph.width)
        self._cache = np.zeros(shape, np.float32)
        self._bind_memory()
        ids = np.zeros((len(prompts), longest), np.int64)
        for row, prompt in zip(ids, prompts, strict=True):
            row[: len(prompt)] = prompt
        places = np.broadcast_to(np.arange(longest), ids.shape)
        self._run(ids, places, np.arange(len(prompts)) * longest + self._lengths - 1)

    def advance(self, tokens: Sequence[int]) -> None:
        ids = np.empty((len(tokens), 1), np.int64)
        ids[self._slots.rows, 0] = tokens
        places = self._lengths[:, None].copy()
        self._lengths += 1
        if self._lengths.max() > self._cache.shape[3]:
            self._grow()
        self._run(ids, places, self._slots.rows)

    def keep(self, texts: Sequence[int]) -> None:
        self.logits = self.logits[list(texts)]
        rows = self._cache.shape[1]
        self._shrink(self._slots.keep(texts), len(texts))
        if len(texts) != rows:
            self._bind_memory()

    def _shrink(self, moves: list[tuple[int, int]], left: int) -> None:
        """Bring what is kept of each text to the first rows."""
        self._cache = moved(self._cache, moves, left, int(self._lengths.max()))
        self._lengths = moved(self._lengths[None], moves, left)[0]

    def _room(self, length: int) -> int:
        return min(self._positions, length + GROWTH)

    def _grow(self) -> None:
        filled = self._cache.shape[3]
        shape = (*self._cache.shape[:3], min(self._positions, 2 * filled), self._cache.shape[4])
        grown = np.zeros(shape, np.float32)
        grown[:, :, :, :filled] = self._cache
        self._cache = grown
        self._bind_memory()

    def _bind_memory(self) -> None:
        for number, memory in enumerate(self._cache):
            name = f"{('keys', 'values')[number % 2]}{number // 2}"
            self._bound.input(name, memory)
            self._bound.output(f"new_{name}", memory)  # in place

    def _run(self, ids: np.ndarray, places: np.ndarray, asked: np.ndarray) -> None:
        """Compute the logits of the rows asked for, in the texts' order."""
        bound = self._bound
        bound.copy("ids", ids)
        if self._graph.has_places:
            bound.copy("places", places)
        bound.copy("last", (self._lengths - 1).astype(np.int32))
        bound.copy("longest", np.array(self._lengths.max(), np.int32))
        bound.copy("asked", asked)
        self.logits = np.empty((len(asked), self._graph.vocabulary), np.float32)
        bound.output("logits", self.logits)
        bound.run()
