"""Whose training the Training tab shows: checkpoint folders with their titles and the colours of their cards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from storylab.storytellers import describe
from storylab.storytellers.catalog import CHECKPOINTS
from storylab.training.history import Training, read_trainings
from storylab.ui import cards
from storylab.ui.texts import Say

DASHES = ((), (7, 3), (2, 2), (9, 3, 2, 3))
"""How lines are broken, in turn, so that no colour stands alone: pixels drawn and left out."""


@dataclass(frozen=True)
class Trained:
    """A checkpoint whose log is sound, as the page shows it."""

    training: Training
    title: str
    """No other has the same."""
    colour: str
    """That of its card's edge."""
    dash: tuple[int, ...]

    @property
    def name(self) -> str:
        """The folder's name, which is the storyteller's."""
        return self.training.name


def trained(say: Say) -> tuple[list[Trained], dict[str, str]]:
    """Every checkpoint folder, read anew: those with a sound log, and of the others why theirs is not."""
    rows = {row["name"]: row for row in describe()}
    trainings, unsound = read_trainings(CHECKPOINTS)
    places = {name: place for place, name in enumerate([*rows, *(t.name for t in trainings if t.name not in rows)])}
    trainings.sort(key=lambda training: places[training.name])
    titles = [_title(training, rows, say) for training in trainings]
    often = Counter(titles)
    return [
        Trained(
            training,
            title if often[title] == 1 else f"{title} ({training.name})",
            cards.EDGES[places[training.name] % len(cards.EDGES)],
            DASHES[places[training.name] % len(DASHES)],
        )
        for training, title in zip(trainings, titles, strict=True)
    ], unsound


def _title(training: Training, rows: Mapping[str, Mapping[str, Any]], say: Say) -> str:
    row = rows.get(training.name)
    return cards.title(row, say) if row else training.title or training.name


def with_logs() -> list[Mapping[str, Any]]:
    """The descriptions of the storytellers that are not broken and have a log; the logs are not read."""
    return [
        row for row in describe() if row["state"] != "broken" and (CHECKPOINTS / row["name"] / "log.jsonl").is_file()
    ]


def duration(seconds: float, say: Say) -> str:
    """A time in words."""
    if seconds < 60:
        return say("training_seconds", seconds=seconds)
    hours, minutes = divmod(round(seconds / 60), 60)
    return say("training_hours", hours=hours, minutes=minutes) if hours else say("training_minutes", minutes=minutes)
