"""Every figure of docs/speed.md: ``python -m benchmarks [PART ...] [--turns N] [--stories FILE] [--test FILE]``.

Each part is a module with a function ``rows(options)`` that yields what it measures, row by row. What is measured goes
into docs/speed.json part by part, and the tables of docs/speed.md are written from that.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import record
from storylab.errors import StoryLabError

PARTS = ("decoding", "shapes", "beams", "starting", "page", "memory", "training", "packing", "growth", "load", "line")
"""In the order of docs/speed.md; `growth` yields sizes and what they take."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; returns the exit status."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all where none is named")
    parser.add_argument("--turns", type=int, default=5, help="turns that count, after one that does not")
    parser.add_argument("--stories", type=Path, metavar="TRAIN.csv", default=Path("train/tiny.csv"))
    parser.add_argument("--test", type=Path, metavar="TEST.csv", help="stories to tell the loss of 8 bits on")
    parser.add_argument("--docs", type=Path, default=record.DOCS, help="the folder of speed.json and speed.md")
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"there is no part {sorted(unknown)[0]}")
    try:
        for part in options.parts or PARTS:
            rows = []
            for row in importlib.import_module(f"benchmarks.{part}").rows(options):
                rows.append(row)
                print(f"{part}: {record.line(row)}", flush=True)
            record.keep(options.docs, part, rows)
    except StoryLabError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
