"""The record of all measurements, docs/speed.json, and the tables of docs/speed.md that are written from it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.rows import Row, Spread
from storylab.markdown import put, table

DOCS = Path(__file__).resolve().parents[1] / "docs"
HEAD = ["what", "held against", "ours", "unit", "peer's", "ours ", "ratio", "asked", "reached"]
ALIGNED = ["---", "---", "---", "---", "---:", "---:", "---:", "---:", "---"]


@dataclass(frozen=True)
class Size:
    """What some work takes at one size."""

    work: str
    stories: int
    seconds: float
    bytes: int
    """The most memory that it took, beside what the process had before."""
    real: bool
    """Whether all stories are of the corpus, and none made up."""


def line(row: Row | Size) -> str:
    """A row as one line of text."""
    if isinstance(row, Size):
        return f"{row.work}, {row.stories:,} stories: {row.seconds:.3g} s, {row.bytes / 2**20:,.0f} MiB"
    verdict = "" if row.reached is None else (" ok" if row.reached else " SHORT")
    return f"{row.what}: {row.ours} {row.our_figure} {row.unit}, {row.peer} {row.peer_figure}: {row.ratio}{verdict}"


def keep(docs: Path, part: str, rows: Sequence[Row | Size]) -> None:
    """Put a part's rows in place of those that were there, in the record and in the page.

    Args:
        docs: The folder of both.
        part: Whose rows they are.
        rows: As they were measured.
    """
    record, page = docs / "speed.json", docs / "speed.md"
    known = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    known[part] = [asdict(row) for row in rows]
    record.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    text = page.read_text(encoding="utf-8") if page.exists() else "# Speed\n"
    page.write_text(put(text, part, markdown(rows)), encoding="utf-8")


def read(docs: Path) -> dict[str, list[Row | Size]]:
    """All rows of the record, by part."""
    path = docs / "speed.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {part: [_row(values) for values in rows] for part, rows in known.items()}


def _row(values: dict) -> Row | Size:
    if "stories" in values:
        return Size(**values)
    spreads = {name: Spread(**value) for name, value in values.items() if isinstance(value, dict)}
    return Row(**values | spreads)


def markdown(rows: Sequence[Row | Size]) -> str:
    """The rows of a part as a table."""
    if rows and isinstance(rows[0], Size):
        return _growth(rows)
    return table([HEAD, ALIGNED, *map(_cells, rows)])


def _cells(row: Row) -> list[str]:
    asked = "" if row.at_least is None else f"at least {row.at_least:g}"
    asked = asked if row.at_most is None else f"at most {row.at_most:g}"
    reached = {None: "", True: "yes", False: "no"}[row.reached]
    figures = [_spread(spread) for spread in (row.peer_figure, row.our_figure, row.ratio)]
    return [row.what, row.peer, row.ours, row.unit, *figures, asked, reached]


def _spread(spread: Spread) -> str:
    return str(spread) if spread.least != spread.greatest else str(spread).split(" ")[0]


def _growth(sizes: Sequence[Size]) -> str:
    counts = sorted({size.stories for size in sizes})
    works = list(dict.fromkeys(size.work for size in sizes))
    cells = {(size.work, size.stories): f"{size.seconds:.3g} s, {size.bytes / 2**20:,.0f} MiB" for size in sizes}
    head = ["work", *(f"{count:,} stories" for count in counts)]
    rows = [[work, *(cells.get((work, count), "") for count in counts)] for work in works]
    return table([head, ["---", *["---:"] * len(counts)], *rows])
