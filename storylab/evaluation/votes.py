"""Which of two stories people like better: votes in an SQLite file, and strengths made of them."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import platformdirs

from storylab.errors import StoryLabError

PATIENCE = 30.0
"""Seconds that a vote waits for others that are being written."""
NORMAL = 1.96
"""Standard errors on either side of a 95% interval."""
PRECISION = 1e-9
MOST_STEPS = 200
"""Newton's steps end below it."""
TABLE = """
CREATE TABLE IF NOT EXISTS votes (
    ballot TEXT PRIMARY KEY, opening TEXT NOT NULL, first TEXT NOT NULL, second TEXT NOT NULL,
    first_seed INTEGER NOT NULL, second_seed INTEGER NOT NULL, better TEXT NOT NULL,
    at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
)"""


@dataclass(frozen=True)
class Vote:
    """One choice between two stories of the same opening."""

    ballot: str
    """An id of the pair that was shown: it counts once, however often it is sent."""
    opening: str
    first: str
    """Who told the one."""
    second: str
    """Who told the other."""
    first_seed: int
    second_seed: int
    better: Literal["first", "second", "tie"]


@dataclass(frozen=True)
class Strength:
    """How strong a storyteller is in the votes."""

    name: str
    strength: float
    """The log-odds of winning against one of strength 0, which the mean is."""
    low: float
    high: float
    """Ends of the 95% interval, 1.96 standard errors to either side."""
    votes: int
    """Votes that it was in."""
    share: float
    """Share of them that it won, ties as half."""


def votes_file() -> Path:
    """Where votes are kept: what `STORYLAB_VOTES` names, else a file in the user's data folder."""
    return Path(os.environ.get("STORYLAB_VOTES") or platformdirs.user_data_path("storylab") / "votes.sqlite")


class Votes:
    """The votes in a file. Any number of threads and processes may add to it at once; none is lost."""

    def __init__(self, path: Path):
        """Name the file; it is made with the first vote."""
        self.path = path

    def add(self, vote: Vote) -> bool:
        """Note a vote; False where its ballot has been cast before.

        Raises:
            StoryLabError: The file can't be written.
        """
        columns = "ballot, opening, first, second, first_seed, second_seed, better"
        with self._open() as file:
            done = file.execute(f"INSERT OR IGNORE INTO votes ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", astuple(vote))
            return done.rowcount == 1

    def all(self) -> list[Vote]:
        """Every vote, in the order of coming; none where there is no file yet.

        Raises:
            StoryLabError: The file can't be read.
        """
        if not self.path.exists():
            return []
        with self._open() as file:
            columns = "ballot, opening, first, second, first_seed, second_seed, better"
            return [Vote(*row) for row in file.execute(f"SELECT {columns} FROM votes ORDER BY rowid")]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=PATIENCE)) as file, file:
                file.execute(TABLE)
                yield file
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or error
            raise StoryLabError(f"the votes in {self.path.name} can't be kept: {reason}") from None


def strengths(votes: Sequence[Vote]) -> list[Strength]:
    """The storytellers' strengths, the strongest first.

    The model of Bradley and Terry (1952): a beats b with the probability that the logistic function has at the
    difference of their strengths. A tie counts as half a win for each. So that one who never lost has a strength
    too, each has a tie with an opponent of strength 0 besides its votes.

    Args:
        votes: Any number of them.
    """
    names = sorted({name for vote in votes for name in (vote.first, vote.second)})
    if not names:
        return []
    wins = _wins(votes, names)
    strength, error = bradley_terry(wins)
    won, met = wins.sum(axis=1), (wins + wins.T).sum(axis=1)
    rows = [
        Strength(name, s, s - NORMAL * e, s + NORMAL * e, round(m), w / m)
        for name, s, e, w, m in zip(names, *map(np.ndarray.tolist, (strength, error, won, met)), strict=True)
    ]
    return sorted(rows, key=lambda row: -row.strength)


def _wins(votes: Sequence[Vote], names: Sequence[str]) -> np.ndarray:
    """What the row's teller won against the column's (tellers, tellers)."""
    number = {name: place for place, name in enumerate(names)}
    wins = np.zeros((len(names), len(names)))
    for vote in votes:
        one, other = number[vote.first], number[vote.second]
        share = {"first": 1.0, "second": 0.0, "tie": 0.5}[vote.better]
        wins[one, other] += share
        wins[other, one] += 1 - share
    return wins


def bradley_terry(wins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Strengths of a table of wins, by Newton's method.

    Args:
        wins: What the row's player won against the column's (players, players).

    Returns:
        The strengths, of which the mean is 0 (players,), and their standard errors, from the information matrix
        (players,).
    """
    games = wins + wins.T
    strength = np.zeros(len(wins))
    for _ in range(MOST_STEPS):  # beyond it, rounding keeps the steps of very lopsided tables above the precision
        against = _logistic(strength[:, None] - strength)  # chance of the row's player (players, players)
        alone = _logistic(strength)  # against the opponent of strength 0 (players,)
        gradient = (wins - games * against).sum(axis=1) + 0.5 - alone
        spread = games * against * (1 - against)
        information = np.diag(spread.sum(axis=1) + alone * (1 - alone)) - spread
        step = np.linalg.solve(information, gradient)
        strength = strength + np.clip(step, -1, 1)  # a full step from far away can overshoot
        if np.abs(step).max() < PRECISION:
            break
    centre = np.eye(len(wins)) - 1 / len(wins)
    return centre @ strength, np.sqrt(np.diag(centre @ np.linalg.inv(information) @ centre))


def _logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))
