"""A batch of stories as a model gets it, to be looked at: tensors of cells, each with the part that it plays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

IGNORED = -100
"""The label that torch's cross-entropy leaves out."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A number of a tensor."""

    text: str
    """The token by itself, or the number."""
    id: int
    """The number."""
    role: str
    """What it is: `prompt`, `target`, `special` (a start or an end) or `padding`; of labels also `ignored`; of an
    attention mask `seen` or `unseen`; of position_ids `position`."""
    begins: bool = False
    """Whether a story of a pack begins here."""


@dataclass(frozen=True)
class Grid:
    """A tensor of a batch."""

    name: str
    """As the model's forward takes it."""
    axes: tuple[str, ...]
    """What its dimensions count: `batch`, then `length`, `source`, `target` or `label`. Tensors that share their
    axes stand under each other, position by position."""
    shape: tuple[int, ...]
    rows: tuple[tuple[Cell, ...], ...]
    """By example; none of a tensor with more than two dimensions, which is shown as looks."""


@dataclass(frozen=True)
class Look:
    """Which positions (columns) each position (row) of the first example may look at."""

    name: str
    """`self`; of an encoder-decoder `encoder`, `decoder` and `cross`, from the decoder to the encoder."""
    allowed: tuple[tuple[bool, ...], ...]


@dataclass(frozen=True)
class Framed:
    """A batch in a framing."""

    name: str
    """As recipes call the framing."""
    example: str
    """What a row of the batch is: `prefix`, `story` or `pack`."""
    tensors: tuple[Grid, ...]
    looks: tuple[Look, ...]

    @property
    def labels(self) -> int:
        """Labels that enter the loss."""
        return sum(cell.id != IGNORED for cell in self._cells("labels"))

    @property
    def read(self) -> int:
        """Positions that models read, padding included."""
        return sum(1 for name in ("input_ids", "decoder_input_ids") for _ in self._cells(name))

    @property
    def padding(self) -> int:
        """Those of them that are padding."""
        names = ("input_ids", "decoder_input_ids")
        return sum(cell.role == "padding" for name in names for cell in self._cells(name))

    def to_dict(self) -> dict[str, Any]:
        """The batch as JSON-ready data; of looks a text of 0 and 1 for each row."""
        looks = [
            {"name": look.name, "allowed": ["".join("01"[may] for may in row) for row in look.allowed]}
            for look in self.looks
        ]
        return asdict(self) | {"looks": looks, "labels": self.labels, "read": self.read, "padding": self.padding}

    def _cells(self, name: str) -> Iterator[Cell]:
        return (cell for tensor in self.tensors if tensor.name == name for row in tensor.rows for cell in row)
