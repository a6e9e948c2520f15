"""How far a storyteller's stories lie from people's as a whole: MAUVE, which needs the package `mauve-text`."""

import importlib.metadata
import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from storylab.errors import StoryLabError
from storylab.evaluation.metrics.base import Better, OfflineMetric
from storylab.framing import pad
from storylab.storytellers.kinds import CausalKind
from storylab.tokenizers import encode

if TYPE_CHECKING:
    from storylab.storytellers.storyteller import Storyteller

READ_AT_ONCE = 32
"""Stories of one forward pass."""


class Mauve(OfflineMetric):
    """How alike the told stories and people's are as two clouds of points, as `mauve`.

    Formula: both sets of stories, with their openings, become points: the reader's last hidden state at their
        last token. The points are put into a tenth as many clusters as there are stories in a set, and the value
        is the area under the curve of the two histograms' divergences from their mixtures (scaling factor 5).
    Unit: none; values compare only for the same reader and number of stories.
    Range: 0 to 1.
    Direction: higher is better.
    Source: Pillutla et al. 2021, by their package `mauve-text` with its defaults and seed. They read with GPT-2
        large; here a storyteller at hand reads, so that nothing is downloaded.

    It looks from so far that it misses what a reader sees at once: an opening said four times can score high. It
    belongs to a whole set of stories, so there is no row for each, no interval and no paired test.
    """

    key: ClassVar[str] = "mauve"
    inputs: ClassVar[tuple[str, ...]] = ("predictions", "references", "openings")
    better: ClassVar[Better] = "higher"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __init__(self, reader: "Storyteller", **options: Any):
        """Make the metric.

        Args:
            reader: The causal storyteller whose hidden states are the points.
            options: Those of `evaluate.Metric`.

        Raises:
            StoryLabError: `mauve-text` is not installed, or the reader is of another kind.
        """
        if importlib.util.find_spec("mauve") is None:
            raise StoryLabError("MAUVE needs the package mauve-text: pip install '.[mauve]'")
        if not isinstance(reader.kind, CausalKind):
            raise StoryLabError(f"MAUVE is read by a causal storyteller, such as gpt2-mini, not by {reader.name}")
        self.reader = reader
        super().__init__(**options)

    @property
    def settings(self) -> dict[str, Any]:
        """Who read, and the package's version."""
        return {"reader": self.reader.name, "version": importlib.metadata.version("mauve-text")}

    def _compute(
        self, predictions: Sequence[str], references: Sequence[str], openings: Sequence[str]
    ) -> dict[str, Any]:
        from mauve import compute_mauve

        told, human = (
            self._points([f"{opening} {text}" for opening, text in zip(openings, texts, strict=True)])
            for texts in (predictions, references)
        )
        return self._result(min(float(compute_mauve(p_features=told, q_features=human).mauve), 1.0))

    @torch.inference_mode()
    def _points(self, texts: Sequence[str]) -> np.ndarray:
        """The last hidden state of each text at its last token (texts, width); of one too long, at the last read."""
        kind, points = self.reader.kind, []
        for first in range(0, len(texts), READ_AT_ONCE):
            rows = [
                np.array([kind.start, *encode(kind.tokenizer, text)][: kind.positions])
                for text in texts[first : first + READ_AT_ONCE]
            ]
            ids = pad(rows, kind.end).to(self.reader.model.device)  # causal: what is behind a text changes nothing
            states = self.reader.model.base_model(input_ids=ids).last_hidden_state  # (rows, longest, width)
            last = torch.tensor([len(row) - 1 for row in rows], device=states.device)
            points.append(states[torch.arange(len(rows)), last].float().cpu().numpy())
        return np.concatenate(points)
