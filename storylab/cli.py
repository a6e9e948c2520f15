"""The command line: `python -m storylab COMMAND`; the layers' own commands are beside them."""

import argparse
import os
import sys
from collections.abc import Sequence

from storylab import __version__
from storylab.decoding import check_opening, check_seed
from storylab.doctor.cli import add_command as add_doctor
from storylab.errors import StoryLabError
from storylab.evaluation.cli import add_commands as add_evaluation_commands
from storylab.exhibits.cli import add_commands as add_exhibit_commands
from storylab.exhibits.commands import add_commands as add_live_commands
from storylab.inspection.cli import add_commands as add_inspection_commands
from storylab.memory import enough_memory
from storylab.processes import SharedError, are_several, first_speaks, is_first, is_silent
from storylab.shell import Arguments, add_json, add_model, add_settings, print_json, read_settings, where
from storylab.storytellers import Piece, describe, load
from storylab.storytellers.catalog import probe_endpoints
from storylab.storytellers.sources import PROJECT
from storylab.training.commands import add_commands as add_training_commands
from storylab.watching import begin


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit status. What a person can mend is said in one line on stderr."""
    for stream in (sys.stdout, sys.stderr):  # a story may hold what the terminal's encoding lacks
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with first_speaks():
        options = _parser().parse_args(arguments)
    end = None
    try:
        if are_several() and not getattr(options, "several", False):
            raise SharedError(
                "of the commands only evaluate and report run on several processes: start it without a launcher"
            )
        end = begin(__version__) if is_first() else None
        with enough_memory():
            return options.command(options) or 0
    except StoryLabError as error:
        if not is_silent(error):
            print(f"storylab: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader, `head` for instance, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    finally:
        if end:
            end()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="storylab", description="Language models finish the same story.")
    parser.add_argument("--version", action="version", version=f"storylab {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    models = commands.add_parser("models", help="list the storytellers and their states")
    models.add_argument("--probe", action="store_true", help="ask endpoints whether they are there; a second at most")
    add_json(models)
    models.set_defaults(command=_models)

    tell = commands.add_parser("tell", help="tell a story from its first sentence")
    tell.add_argument("opening", nargs="?", help="the first sentence, 1 to 300 characters")
    add_model(tell)
    tell.add_argument("--seed", type=int, help="0 to 4294967295; drawn and reported where left out")
    add_settings(tell)
    tell.add_argument("--openings", metavar="FILE", help="a text file with an opening a line, each told")
    add_json(tell)
    tell.set_defaults(command=_tell)

    add_evaluation_commands(commands)
    add_inspection_commands(commands)
    add_training_commands(commands, PROJECT)

    download = commands.add_parser("download", help="fetch a storyteller's weights")
    download.add_argument("name", metavar="NAME", help="a storyteller's name, or hub:OWNER/NAME")
    download.set_defaults(command=_download)

    add_doctor(commands)
    add_exhibit_commands(commands)
    add_live_commands(commands)
    return parser


def _models(options: Arguments) -> None:
    if options.probe:
        probe_endpoints()
    rows = describe()
    if options.json:
        return print_json(rows)
    for row in rows:
        size = f"{row['parameters'] / 1e6:.1f}M" if row["parameters"] else "-"
        print(f"{row['name']:<22}{row['state']:<14}{size:>8}  {row['title']}")
        if row["reason"]:
            print(f"{'':<22}{row['reason']}")


def _tell(options: Arguments) -> None:
    settings = read_settings(options)
    if (options.opening is None) == (options.openings is None):
        raise StoryLabError("give an opening, or --openings FILE")
    openings = [options.opening] if options.openings is None else _read_openings(options.openings)
    openings = [check_opening(opening) for opening in openings]
    seed = check_seed(options.seed)
    storyteller = load(options.model, **where(options))
    tellings = []
    for number, opening in enumerate(openings):
        own_seed = (seed + number) % 2**32  # a seed for each, so that equal openings still differ
        if options.json:
            tellings.append(storyteller.tell(opening, settings, own_seed).to_dict())
            continue
        shown = opening + " "  # with the first piece, so that a refusal stands alone
        for piece in storyteller.stream(opening, settings, own_seed):
            if isinstance(piece, Piece):
                print(shown + piece.text, end="", flush=True)
                shown = ""
        print(f"\n[{piece.model}, seed {piece.seed}, ended by {piece.ended_by}, {piece.tokens_per_second} tokens/s]")
    if options.json:
        print_json(tellings if options.openings is not None else tellings[0])


def _read_openings(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8-sig") as file:
            openings = [line.strip() for line in file if line.strip()]
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise StoryLabError(f"{path} can't be read: {getattr(error, 'strerror', None) or error}") from None
    if not openings:
        raise StoryLabError(f"{path} has no openings")
    return openings


def _download(options: Arguments) -> None:
    from tqdm import tqdm

    from storylab.storytellers.catalog import fetch

    bar = None

    def show(done: int, total: int) -> None:
        nonlocal bar  # made with the first bytes, so that a refusal stands alone
        bar = bar or tqdm(desc=options.name, unit="B", unit_scale=True, leave=False)
        bar.total = total or None
        bar.update(done - bar.n)

    try:
        entry = fetch(options.name, show)
    finally:
        if bar:
            bar.close()
    print(f"{entry.name} is here: {entry.folder}")
