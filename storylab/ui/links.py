"""Links: opening, storytellers, seed and settings in the query of the page's address.

`?tab=compare&opening=My+dog+ran+away.&models=seq2seq,encoder&seed=1&preset=careful&top_p=0.95&run=1`: every part may
be left out, and a part that is no good is left out, with a message. `seeds` and `luck` are the Compare tab's, and other
tabs have parts of their own; `run=1` presses the tab's main button.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode

from storylab.decoding import OPTIONS, PRESETS, Settings, check_opening, check_seed
from storylab.decoding.settings import shown
from storylab.errors import StoryLabError
from storylab.storytellers.catalog import OWN_NAME

T = TypeVar("T")
LUCK = ("same", "own")
"""Whether all storytellers have the same random numbers, or each has its own."""
MOST_SEEDS = 6
"""Seeds at once of one storyteller."""


@dataclass
class Link:
    """What a link asks for; None where it says nothing, or nothing good."""

    opening: str | None = None
    storytellers: list[str] | None = None
    seed: int | None = None
    seeds: int | None = None
    """How many seeds at once, of one storyteller."""
    luck: str | None = None
    """`own` where each storyteller has random numbers of its own."""
    preset: str | None = None
    settings: Settings | None = None
    problems: list[str] = field(default_factory=list)
    """One message for each part that was left out."""


def read_link(query: Mapping[str, str], ready: Collection[str]) -> Link:
    """Read the query of the page's address; what it does not know is not its own, and passed over.

    Args:
        query: The parameters by name.
        ready: The names of the storytellers that can be asked to tell.
    """
    link = Link()

    def part(name: str, read: Callable[[str], T]) -> T | None:
        return read_part(query, name, read, link.problems)

    link.opening = part("opening", check_opening)
    link.storytellers = part("models", lambda names: _read_names(names, ready))
    link.seed = part("seed", lambda words: check_seed(_read_number("seed", words, int)))
    link.seeds = part("seeds", _read_seeds)
    link.luck = part("luck", _read_luck)
    link.preset = part("preset", _read_preset)
    values = {name: part(name, lambda words, name=name: _read_option(name, words)) for name in OPTIONS}
    changes = {name: value for name, value in values.items() if value is not None}
    if link.preset or changes:
        link.settings = Settings.from_mapping(changes, link.preset or "default")
        if link.settings != PRESETS[link.preset or "default"]:
            link.preset = None
    return link


def read_part(query: Mapping[str, str], name: str, read: Callable[[str], T], problems: list[str]) -> T | None:
    """A part of a query; None where it is missing, or no good, which is added to the problems.

    Args:
        query: The parameters by name.
        name: The part's.
        read: Makes it of its words, or raises StoryLabError.
        problems: Gets a message where it does.
    """
    try:
        return read(query[name]) if name in query else None
    except StoryLabError as error:
        problems.append(str(error))
        return None


def write_query(tab: str, run: bool = True, **parts: object) -> str:
    """The query of a link to a tab; a part that is None or empty is left out.

    Nobody else has the storyteller that a visitor has trained: `models` is written without it, and a link that would
    have nobody else tell only fills in the fields.

    Args:
        tab: The tab's key.
        run: Whether the link presses the tab's main button.
        parts: What else it says.
    """
    if models := parts.get("models"):
        parts["models"] = ",".join(name for name in str(models).split(",") if name != OWN_NAME)
        run = run and bool(parts["models"])
    kept = {name: part for name, part in parts.items() if part not in (None, "")}
    return urlencode({"tab": tab, **kept} | ({"run": 1} if run else {}))


def write_settings(settings: Settings) -> dict[str, object]:
    """The parts of a link that give settings: the name of their preset, or what differs from the default one."""
    for name, preset in PRESETS.items():
        if settings == preset:
            return {} if name == "default" else {"preset": name}
    default = PRESETS["default"].to_dict()
    return {name: value for name, value in settings.to_dict().items() if value != default[name]}


def _read_names(words: str, ready: Collection[str]) -> list[str]:
    names = [name.strip() for name in words.split(",") if name.strip()]
    for name in names:
        if name not in ready:
            raise StoryLabError(f"storyteller {shown(name)} is not ready here")
    return names


def _read_seeds(words: str) -> int:
    number = _read_number("seeds", words, int)
    if not 1 <= number <= MOST_SEEDS:
        raise StoryLabError(f"seeds must be a whole number from 1 to {MOST_SEEDS}, not {shown(words)}")
    return number


def _read_luck(words: str) -> str:
    if words not in LUCK:
        raise StoryLabError(f"luck must be one of {', '.join(LUCK)}, not {shown(words)}")
    return words


def _read_preset(name: str) -> str:
    if name not in PRESETS:
        raise StoryLabError(f"preset must be one of {', '.join(PRESETS)}, not {shown(name)}")
    return name


def _read_option(name: str, words: str) -> Any:
    option = OPTIONS[name]
    return option.check(words if option.kind is str else _read_number(name, words, option.kind))


def _read_number(name: str, words: str, kind: type) -> float:
    try:
        return kind(words)
    except ValueError:
        raise StoryLabError(f"{name} must be a number, not {shown(words)}") from None
