"""Stories as one column of a report has them: what was told behind each opening, and what it takes to measure it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from storylab.stories import SENTENCES


@dataclass(frozen=True, slots=True)
class Told:
    """What was told behind an opening. It encodes and scores as a `Story` does, with any number of sentences."""

    opening: str
    continuation: str
    """The sentences, whitespace collapsed; empty where nothing was told."""
    sentences: int = SENTENCES - 1
    """How many they are."""
    finished: bool = True
    """Whether the teller ended the story by itself."""
    ended_by: str = "end"
    """As in a `Telling`."""
    seed: int = 0
    seconds: float = 0.0
    """What telling took; of a batch, a story's share."""

    @property
    def text(self) -> str:
        """The opening and the continuation."""
        return f"{self.opening} {self.continuation}".rstrip()

    @property
    def scored_words(self) -> int:
        """What a loss on it is divided by: its words, and one for the end."""
        return len(self.continuation.split()) + 1


@dataclass(frozen=True)
class Column:
    """One teller's stories for the same openings as all the others': a storyteller's, people's, or a baseline's."""

    name: str
    title: str
    kind: str
    """`storyteller`, `human` or `baseline`."""
    told: Sequence[Told]
    references: Sequence[str] | None
    """The human continuations; None for people's own stories, which have nothing to be held against."""
    nll: np.ndarray | None = None
    """A storyteller's loss on each human continuation, in nats (stories,)."""
    words: np.ndarray | None = None
    """What that is divided by (stories,)."""

    def inputs(self) -> dict[str, Sequence[Any]]:
        """What the metrics read (`storylab.evaluation.metrics`), as far as this column has it."""
        inputs = {
            "predictions": [told.continuation for told in self.told],
            "openings": [told.opening for told in self.told],
            "sentences": [told.sentences for told in self.told],
            "finished": [told.finished for told in self.told],
            "references": self.references,
            "nll": self.nll,
            "words": self.words,
        }
        return {name: values for name, values in inputs.items() if values is not None}
