"""What one deployment lets its visitors do: read once from the environment, for the page and the web API.

The command line and the package know no such limits: whoever uses them has the machine to themselves.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from storylab.decoding.settings import OPTIONS, PRESETS, Settings, shown
from storylab.errors import StoryLabError

PREFIX = "STORYLAB_MAX_"
MOST_TOKENS = OPTIONS["max_new_tokens"]


def _limit(default: int, low: int, high: int) -> int:
    """A dataclass field that carries what it may be."""
    return dataclasses.field(default=default, metadata={"low": low, "high": high})


@dataclass(frozen=True)
class Limits:
    """The limits; `read` takes each from the variable `STORYLAB_MAX_` and its name in capitals.

    Raises:
        StoryLabError: A value is no whole number, or out of its range.
    """

    at_once: int = _limit(4, 1, 100)
    """Visitors for whom stories are told at once, 1 to 100; the others wait in line."""

    queue: int = _limit(200, 1, 1000)
    """Places in that line, 1 to 1,000, a thread each; who comes when it is full is refused."""

    tokens: int = _limit(MOST_TOKENS.high, max(one.max_new_tokens for one in PRESETS.values()), MOST_TOKENS.high)
    """The most tokens that may be asked for a telling, 160 to 512: the presets ask for 160."""

    tellings_a_minute: int = _limit(120, 1, 100_000)
    """Tellings a minute and visitor, 1 to 100,000, which may come all at once. Unless it is set, callers on the machine
    itself are not counted."""

    upload_bytes: int = _limit(1_000_000, 1_000, 1_000_000_000)
    """The size of a file that is taken, 1,000 to 1,000,000,000 bytes."""

    trainings: int = _limit(1, 0, 1)
    """Trainings at a time, 0 or 1: accelerate knows one in a process; 0 trains nothing on the page."""

    own_machine_counts: bool = False
    """Whether callers on the machine itself have the limit of tellings a minute too; not a variable of its own."""

    def __post_init__(self) -> None:
        for field in fields():
            value, low, high = getattr(self, field.name), field.metadata["low"], field.metadata["high"]
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                raise _refusal(field, value)

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Limits:
        """The limits that an environment sets; what is not in it, or empty, keeps its default.

        Raises:
            StoryLabError: A value is no whole number or out of its range, or there is no such limit.
        """
        names = {variable(field.name): field for field in fields()}
        said = {name: value for name, value in environment.items() if name.startswith(PREFIX) and value}
        for name in said:
            if name not in names:
                raise StoryLabError(f"there is no limit {name}; the limits are {', '.join(names)}")
        values = {names[name].name: _whole(names[name], value) for name, value in said.items()}
        return cls(**values, own_machine_counts="tellings_a_minute" in values)

    def check(self, settings: Settings) -> Settings:
        """Returns settings that ask for no more tokens than this deployment tells.

        Raises:
            StoryLabError: They ask for more.
        """
        if settings.max_new_tokens > self.tokens:
            raise StoryLabError(f"max_new_tokens must be at most {self.tokens} here, not {settings.max_new_tokens}")
        return settings


def fields() -> list[dataclasses.Field]:
    """The fields that the environment sets."""
    return [field for field in dataclasses.fields(Limits) if "low" in field.metadata]


def variable(name: str) -> str:
    """The environment variable of a limit."""
    return PREFIX + name.upper()


@cache
def limits() -> Limits:
    """The limits of this process.

    Raises:
        StoryLabError: The environment asks for nonsense.
    """
    return Limits.read(os.environ)


def _whole(field: dataclasses.Field, value: str) -> int:
    digits = value.strip()
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 20:
        raise _refusal(field, value)
    return int(digits)


def _refusal(field: dataclasses.Field, value: object) -> StoryLabError:
    low, high = field.metadata["low"], field.metadata["high"]
    return StoryLabError(f"{variable(field.name)} must be a whole number from {low} to {high}, not {shown(value)}")
