"""The command `exhibit`: repeat one of the course report's findings."""

import argparse
import sys
import threading
from collections.abc import Mapping
from typing import Any

from storylab.errors import StoryLabError
from storylab.exhibits.exhibits import EXHIBITS, begin, watch
from storylab.exhibits.parts import Doing, Exhibit, Shown
from storylab.shell import Arguments, add_device, add_json, print_json, where


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add it to the command line."""
    exhibit = commands.add_parser("exhibit", help="repeat one of the course report's findings")
    exhibit.add_argument("name", nargs="?", metavar="NAME", help=f"one of {', '.join(EXHIBITS)}; none lists them")
    add_device(exhibit)
    add_json(exhibit)
    exhibit.set_defaults(command=_exhibit)


def _exhibit(options: Arguments) -> None:
    if options.name is None:
        return _list(options.json)
    if options.name not in EXHIBITS:
        raise StoryLabError(f"there is no exhibit {options.name[:60]!r}; there are {', '.join(EXHIBITS)}")
    exhibit = begin(options.name)
    if not options.json:
        print(f"{exhibit.title}\n{exhibit.finding}", flush=True)
    _run(exhibit, where(options), quiet=options.json)
    if options.json:
        return print_json(exhibit.to_dict())
    _print_figures(exhibit)


def _list(as_json: bool) -> None:
    if as_json:
        rows = [{"name": name, "title": one.title, "finding": one.finding} for name, one in EXHIBITS.items()]
        return print_json(rows)
    for name, one in EXHIBITS.items():
        print(f"{name:<14}{one.title}")


def _run(exhibit: Exhibit, computes: Mapping[str, Any], quiet: bool) -> None:
    """Collect an exhibit's parts; unless quiet, tellings are printed as they come, and work under way on stderr."""
    waiting = not quiet and sys.stderr.isatty()
    for part in watch(exhibit.name, threading.Event(), computes):
        exhibit.add(part)
        if waiting and isinstance(part, Doing) and part.key == "training":
            print(f"\r{part.side}: step {part.done} of {part.total}", end="", file=sys.stderr, flush=True)
        if isinstance(part, Shown) and not quiet:
            print(f"\n[{part.label}]\n{part.telling.opening} {part.telling.text}")
            print("".join(f"  {fault['message']}\n" for fault in part.telling.pathologies), end="", flush=True)


def _print_figures(exhibit: Exhibit) -> None:
    for guess in exhibit.guesses:
        tokens = ", ".join(f"{token!r} {probability:.3f}" for token, probability in guess.tokens)
        print(f"\n[{guess.side}: {guess.label}]\n{guess.after} ... {tokens}")
    for side in ("failure", "repair"):
        if losses := [point for point in exhibit.losses if point.side == side]:
            first, last = losses[0], losses[-1]
            print(f"\n{side}: loss {first.loss:.2f} at step {first.step}, {last.loss:.2f} at step {last.step}")
    for level in exhibit.levels:
        print(f"loss of {level.label}: {level.loss:.2f}")
    if exhibit.figures:
        print(f"\n{'':<44}{'failure':>10}{'repair':>10}")
    for key, label in dict((figure.key, figure.label) for figure in exhibit.figures).items():
        values = {figure.side: figure for figure in exhibit.figures if figure.key == key}
        cells = "".join(f"{values[side].written if side in values else '':>10}" for side in ("failure", "repair"))
        print(f"{label:<44}{cells}")
