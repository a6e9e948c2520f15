"""Two recipes side by side: every setting of both, and where they differ in what they do."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from storylab.docstrings import field_help
from storylab.errors import StoryLabError
from storylab.files import read_text
from storylab.training.recipe import MOST_BYTES, Recipe, read_recipe

FOLDERS = ("train", "checkpoints")
"""Where recipes lie in a project: `train/NAME.toml`, and `checkpoints/NAME/recipe.toml` as it was carried out."""
WORDS = ("name", "title", "note", "takes")
"""What names and explains a recipe and decides nothing."""


def _of_framing(*framings: str) -> Callable[[Recipe], bool]:
    return lambda recipe: recipe.framing in framings


HEEDED: dict[str, Callable[[Recipe], bool]] = {
    "vocabulary_size": lambda recipe: not (recipe.vocabulary or recipe.init_from or recipe.base),
    "stories": lambda recipe: recipe.framing != "text",
    "validation": lambda recipe: recipe.framing != "text",
    "test": lambda recipe: recipe.framing != "text",
    "text": _of_framing("text"),
    "prefixes": _of_framing("next-token"),
    "validation_prefixes": _of_framing("next-token"),
    "learn_prompt": _of_framing("autoregressive", "packed"),
    "pack_length": _of_framing("packed", "text"),
    "validation_windows": _of_framing("text"),
    "matrix_learning_rate": lambda recipe: recipe.optimizer == "muon",
    "momentum": lambda recipe: recipe.optimizer == "muon",
    "decay": lambda recipe: recipe.schedule == "wsd",
}
"""The settings that not every recipe heeds, and which do."""


@dataclass(frozen=True)
class Row:
    """One setting of two recipes."""

    setting: str
    """A field of `Recipe`; `model.width` is one of the architecture's shape."""
    first: Any
    """The value; None where the recipe does not heed the setting, or has no such part of the shape."""
    second: Any
    meaning: str
    """The field's docstring."""

    @property
    def differs(self) -> bool:
        """Whether the two do something else here."""
        return self.first != self.second

    def to_dict(self) -> dict[str, Any]:
        """What `trainings --compare --json` prints."""
        return asdict(self) | {"differs": self.differs}


def compare(first: Recipe, second: Recipe) -> list[Row]:
    """Every setting of two recipes, in the order of `Recipe`, the architecture's shape one part a row."""
    one, other, help_texts = _heeded(first), _heeded(second), field_help(Recipe)
    rows = []
    for key in [key for key in asdict(first) if key not in WORDS]:
        if key != "model":
            rows.append(Row(key, one[key], other[key], help_texts[key]))
            continue
        parts = dict.fromkeys([*first.model, *second.model])
        rows += [Row(f"model.{p}", first.model.get(p), second.model.get(p), help_texts[key]) for p in parts]
    return rows


def _heeded(recipe: Recipe) -> dict[str, Any]:
    always = lambda recipe: True  # noqa: E731
    return {key: value if HEEDED.get(key, always)(recipe) else None for key, value in asdict(recipe).items()}


def list_recipes(project: Path) -> dict[str, Path]:
    """The files of a project's recipes by their keys, `train/NAME` and `checkpoints/NAME`."""
    written = sorted((project / "train").glob("*.toml"), key=lambda path: path.stem)
    files = [(f"train/{path.stem}", path) for path in written]
    carried_out = sorted((project / "checkpoints").glob("[!.]*/recipe.toml"))
    files += [(f"checkpoints/{path.parent.name}", path) for path in carried_out]
    return {key: path for key, path in files if _is_recipe(path)}


def _is_recipe(path: Path) -> bool:
    """Whether a TOML file is a recipe, sound or not, and no other list of the folder."""
    try:
        return "framing" in tomllib.loads(read_text(path, MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return False


def find_recipe(project: Path, name: str) -> Recipe:
    """The recipe of a key of `list_recipes`; of a bare name the one that was carried out, where there is one.

    Raises:
        StoryLabError: There is none of that name, or it is not sound.
    """
    known = list_recipes(project)
    for key in (name, *(f"{folder}/{name}" for folder in reversed(FOLDERS))):
        if key in known:
            return read_recipe(known[key])
    shown = name if len(name) <= 60 else name[:57] + "..."
    raise StoryLabError(f"there is no recipe {shown!r}; there are {', '.join(known)}")
