"""What an exhibit shows: parts that come one after the other while it runs, and all of them together at its end."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from storylab.storytellers import Telling

Side = Literal["failure", "repair"]
"""What a part belongs to: the report's way of doing it, or the mended one."""
Unit = Literal["share", "nats", "count", "seconds"]
"""Of a figure; `share` is from 0 to 1."""


@dataclass(frozen=True)
class Doing:
    """Work under way."""

    key: Literal["training", "telling", "reading"]
    side: Side
    done: int = 0
    """Steps of a training, tokens of a telling."""
    total: int = 0
    """0 where nobody knows."""


@dataclass(frozen=True)
class Shown:
    """A telling of an exhibit."""

    label: str
    """Who tells and how, in English."""
    telling: Telling
    side: Side = "repair"
    key: str = ""
    """What names it in other languages."""


@dataclass(frozen=True)
class Loss:
    """A point of a training's curve."""

    side: Side
    step: int
    loss: float
    """Mean of the last few steps, in nats a label."""


@dataclass(frozen=True)
class Level:
    """A loss to compare curves with."""

    key: str
    label: str
    loss: float
    """In nats a label."""


@dataclass(frozen=True)
class Guess:
    """What a model expects after a text."""

    label: str
    side: Side
    key: str
    after: str
    """The text."""
    tokens: list[tuple[str, float]]
    """The likeliest next tokens, each with its probability."""


@dataclass(frozen=True)
class Figure:
    """A number of one side; both sides have the same ones, where both can."""

    key: str
    label: str
    side: Side
    value: float
    unit: Unit

    @property
    def written(self) -> str:
        """The value as people read it."""
        if self.unit == "share":
            return f"{self.value:.1%}"
        return f"{self.value:.0f}" if self.unit == "count" else f"{self.value:.2f}"


Part = Doing | Shown | Loss | Level | Guess | Figure


@dataclass
class Exhibit:
    """A finding and what shows it. The fields are those of `exhibit --json`."""

    name: str
    title: str
    finding: str
    """What is to be seen, in a sentence or two."""
    shown: list[Shown] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    levels: list[Level] = field(default_factory=list)
    guesses: list[Guess] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)

    def add(self, part: Part) -> None:
        """Put a part to the others; work under way is none that stays."""
        places = {Shown: self.shown, Loss: self.losses, Level: self.levels, Guess: self.guesses, Figure: self.figures}
        if (place := places.get(type(part))) is not None:
            place.append(part)

    def to_dict(self) -> dict[str, Any]:
        """The exhibit as JSON-ready data."""
        return asdict(self)
