"""The command that looks at finished trainings: `trainings`."""

from __future__ import annotations

import argparse
from pathlib import Path

from storylab.shell import Arguments, add_json, print_json


def add_commands(commands: argparse._SubParsersAction, project: Path) -> None:
    """Add it to the command line.

    Args:
        commands: Where to.
        project: The folder with `checkpoints/` and `train/`.
    """
    trainings = commands.add_parser("trainings", help="what training each checkpoint cost, and the curves of it")
    trainings.add_argument(
        "--compare",
        nargs=2,
        metavar=("RECIPE", "OTHER"),
        help="the settings in which two recipes differ: train/NAME, checkpoints/NAME or NAME",
    )
    add_json(trainings)
    trainings.set_defaults(command=lambda options: (_compare if options.compare else _list)(options, project))


def _list(options: Arguments, project: Path) -> None:
    from storylab.training.history import read_trainings

    trainings, unsound = read_trainings(project / "checkpoints")
    if options.json:
        told = [training.to_dict() for training in trainings]
        return print_json(told + [{"name": name, "reason": reason} for name, reason in unsound.items()])
    print(f"{'':<22}{'parameters':>12}{'trained':>10}{'tokens':>10}{'time':>9}{'per word':>10}  hardware")
    for training in trainings:
        sizes = f"{_millions(training.parameters):>12}{_millions(training.trained_parameters):>10}"
        spent = f"{_millions(training.tokens):>10}{duration(training.seconds):>9}"
        best = "-" if training.best_perplexity is None else f"{training.best_perplexity:.2f}"
        mark = "*" if training.reads_prose else " "
        print(f"{training.name:<22}{sizes}{spent}{best:>9}{mark}  {training.hardware or '-'}")
    for name, reason in unsound.items():
        print(f"{name:<22}{reason}")
    if any(training.reads_prose for training in trainings):
        print("* of held-out documents; the others of validation stories")
    if earlier := [training.name for training in trainings if training.goes_on and training.stages == 1]:
        print(f"not counted: what came before the weights that {', '.join(earlier)} went on from")


def _compare(options: Arguments, project: Path) -> None:
    from storylab.training.comparison import compare, find_recipe

    rows = compare(*(find_recipe(project, name) for name in options.compare))
    if options.json:
        return print_json([row.to_dict() for row in rows])
    differing = [row for row in rows if row.differs]
    for row in differing:
        print(f"{row.setting:<22}{_shown(row.first):<28}{_shown(row.second)}")
    if not differing:
        print("the two recipes do the same")


def duration(seconds: float) -> str:
    """A time in hours and minutes: `1:36`; below a minute in seconds."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours}:{minutes:02}"


def _millions(count: int | None) -> str:
    return "-" if count is None else f"{count / 1e6:.2f}M"


def _shown(value: object) -> str:
    return "-" if value is None else repr(value)
