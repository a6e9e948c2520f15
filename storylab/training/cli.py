"""The command line of training: `python -m train NAME`."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from storylab import __version__
from storylab.errors import StoryLabError
from storylab.memory import enough_memory
from storylab.processes import are_several, first_speaks, is_first, is_silent, join

if TYPE_CHECKING:
    from storylab.training.recipe import Recipe


def main(arguments: Sequence[str] | None, recipes: Path, find_base: Callable[[str], Path] = Path) -> int:
    """Train a recipe of a folder; returns the exit status.

    Args:
        arguments: The command line, `sys.argv[1:]` where None.
        recipes: The folder with the recipes; checkpoints and runs lie beside it.
        find_base: The folder of a pre-trained model by the name that a recipe gives it.
    """
    for stream in (sys.stdout, sys.stderr):  # a path may hold what the terminal's encoding lacks
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    names = sorted(path.stem for path in recipes.glob("*.toml"))
    with first_speaks():
        options = _parser(names).parse_args(arguments)
    try:
        with enough_memory("the training can't go on"):
            _train(options, recipes, find_base)
    except StoryLabError as error:
        if not is_silent(error):
            print(f"train: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        if is_first():
            print(f"\ntrain: interrupted; python -m train {options.name} --resume goes on", file=sys.stderr)
        return 130
    return 0


def _parser(names: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="train", description="Train a storyteller by a recipe.")
    parser.add_argument("name", metavar="NAME", help=f"{', '.join(names)}; or the path of a recipe")
    parser.add_argument("--version", action="version", version=f"storylab {__version__}")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a recipe's value")
    parser.add_argument("--stories", help="training stories: a CSV, or hub:OWNER/NAME")
    parser.add_argument("--validation", help="validation stories; else split off from --stories")
    parser.add_argument("--test", help="test stories, measured once at the end")
    parser.add_argument("--texts", help="recipes vocabulary and prepare: folder of the text files that they name")
    parser.add_argument("--resume", action="store_true", help="go on where runs/NAME was interrupted")
    parser.add_argument("--init-from", metavar="CHECKPOINT", help="start from a checkpoint's weights")
    parser.add_argument("--device", choices=("auto", "cpu"), default="auto", help="auto takes a GPU where there is one")
    parser.add_argument("--dtype", choices=("fp32", "bf16"), help="precision of the training; else the recipe's")
    return parser


def _train(options: argparse.Namespace, recipes: Path, find_base: Callable[[str], Path]) -> None:
    processes = join("train NAME", options.device)
    project = recipes.parent
    with processes.agreeing():
        path = _find(options.name, recipes)
        if path.stem in MAKERS:
            if are_several():
                raise StoryLabError(f"recipe {path.stem} runs on one process: start it without a launcher")
            print(MAKERS[path.stem](path, options, recipes))
            return
        recipe = _recipe(path, options)
    from storylab.training.run import run  # imports torch, transformers and accelerate

    folder = run(
        recipe,
        checkpoints=project / "checkpoints",
        runs=project / "runs",
        resume=options.resume,
        device=options.device,
        find_base=find_base,
        processes=processes,
    )
    if processes.main:
        print(f"checkpoint: {folder}")


def _find(name: str, recipes: Path) -> Path:
    path = Path(name) if name.endswith(".toml") else recipes / f"{name}.toml"
    if not _is_file(path):
        shown = name if len(name) <= 60 else name[:57] + "..."
        raise StoryLabError(f"there is no recipe {shown!r}; there are {', '.join(_names(recipes))}")
    return path


def _recipe(path: Path, options: argparse.Namespace) -> "Recipe":
    from storylab.training.recipe import read_recipe

    recipe = read_recipe(path, options.set)
    given = {part: getattr(options, part) for part in ("stories", "validation", "test", "init_from")}
    given["precision"] = options.dtype
    return replace(recipe, **{key: value for key, value in given.items() if value is not None})


def _make_vocabulary(path: Path, options: argparse.Namespace, recipes: Path) -> str:
    from storylab.training.vocabulary import make_vocabulary, read_vocabulary_recipe

    recipe = read_vocabulary_recipe(path, options.set)
    return make_vocabulary(recipe, options.stories, options.texts, recipes / "vocabulary")


def _prepare(path: Path, options: argparse.Namespace, recipes: Path) -> str:
    from storylab.training.prepare import prepare, read_prepare_recipe

    return prepare(read_prepare_recipe(path, options.set), options.texts, recipes.parent / "runs" / "prose")


MAKERS = {"vocabulary": _make_vocabulary, "prepare": _prepare}
"""Recipes of what trainings lean on, by name: each makes it and says what it made."""


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long for a file, or with a NUL in it
        return False


def _names(recipes: Path) -> list[str]:
    return sorted(path.stem for path in recipes.glob("*.toml"))
