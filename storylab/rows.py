"""Rows of a table, from a CSV file or a Hub data set: columns by name, and errors that say where.

Stories and Story Cloze items are read through here, so that bad input is told in one way wherever it enters.
"""

import csv
import io
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from storylab.errors import StoryLabError

MAX_COLUMNS = 1_000
MAX_ROW_CHARACTERS = 1_000_000

# A byte that is not UTF-8 is read as a lone surrogate ("surrogateescape"), so that its column can be named.
_UNREADABLE = re.compile("[\0\udc80-\udcff]")
_HUB_SOURCE = re.compile(r"hub:(?P<name>\w[\w.-]*/\w[\w.-]*)(@(?P<revision>[\w./-]+))?")


def refuse(error: StoryLabError) -> None:
    """Raises the error of a bad row: what happens to one unless a caller has something better."""
    raise error


def check_limit(limit: int | None, what: str = "rows") -> int | None:
    """The limit of how many are read, if it is one.

    Raises:
        StoryLabError: It is no whole number from 1 on.
    """
    if limit is not None and (type(limit) is not int or limit < 1):
        raise StoryLabError(f"the limit of {what} must be a whole number from 1 on, not {limit!r}")
    return limit


def read_rows(
    source: str | Path,
    required: Sequence[str],
    optional: Sequence[str] = (),
    *,
    aliases: Mapping[str, str] | None = None,
    what: str = "rows",
    split: str = "train",
    on_bad_row: Callable[[StoryLabError], None] = refuse,
) -> Iterator["Row"]:
    """Reads the rows of a CSV file or a Hub data set one by one; a CSV is comma-separated UTF-8, with or without BOM.

    Args:
        source: path of a CSV, or `hub:OWNER/NAME` or `hub:OWNER/NAME@REVISION`.
        required: names of the columns that must be there; case does not count.
        optional: names of the columns that are read where present.
        aliases: other names of columns, in lower case, each with the name that it stands for.
        what: what the rows hold, for the message where there are none.
        split: split of the Hub data set.
        on_bad_row: given the error of each row that can't be read; where it returns, the row is left out.

    Yields:
        Rows, each good until the next one is asked for.

    Raises:
        StoryLabError: the source can't be read, lacks a column or has no rows; names file, row and column.
    """
    place = _Place(str(source))
    names = _Names(tuple(required), tuple(optional), aliases or {})
    if isinstance(source, str) and source.startswith("hub:"):
        yield from _to_rows(*_open_hub(source, split, place), place, names, what)
        return
    try:
        with open(source, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            rows = _csv_rows(file, place, on_bad_row)
            header = next(rows, None)
            if header is None:
                raise _Place(str(source)).error("the file is empty")
            yield from _to_rows(header, rows, place, names, what)
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
        raise _Place(str(source)).error(getattr(error, "strerror", None) or str(error)) from error


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table. Columns go by the names under which they were asked for."""

    values: Sequence[object]
    header: Sequence[str]
    columns: Mapping[str, int]
    """Where the columns that were found stand."""
    place: "_Place"

    def sentence(self, column: str) -> str:
        """The text of a column that must hold some, its whitespace collapsed."""
        value = self.values[self.columns[column]]
        if value is not None and not isinstance(value, str):
            raise self.error(f"the sentence is not text but {type(value).__name__}", column)
        sentence = _collapse(value or "")
        if not sentence:
            raise self.error("the sentence is empty", column)
        return sentence

    def label(self, column: str) -> str:
        """Whatever a column holds, as text; empty where there is no such column or nothing in it."""
        value = self.values[self.columns[column]] if column in self.columns else None
        return "" if value is None else _collapse(str(value))

    def error(self, problem: str, column: str) -> StoryLabError:
        """An error that names the source, this row and the column."""
        return self.place.error(problem, self.header[self.columns[column]])


class _Names(NamedTuple):
    """The names of the columns to look for."""

    required: tuple[str, ...]
    optional: tuple[str, ...]
    aliases: Mapping[str, str]


@dataclass(slots=True)
class _Place:
    """Where the reader stands, for messages; row 0 is the header, line 0 means a source without lines."""

    source: str
    row: int | None = None
    line: int = 0

    def error(self, problem: str, column: str | None = None) -> StoryLabError:
        parts = [shortened(self.source, 300)]
        if self.row is not None:
            name = f"row {self.row}" if self.row else "header"
            parts.append(f"{name} (line {self.line})" if self.line else name)
        if column is not None:
            parts.append(f"column {shortened(column)}")
        return StoryLabError(f"{', '.join(parts)}: {problem}")


class _Lines:
    """The lines of a file, for `csv.reader`; never holds more than one row of bounded length in memory."""

    def __init__(self, file: io.TextIOBase, place: _Place) -> None:
        self.file, self.place = file, place
        self.number = 0  # of the last line that was given
        self.again: deque[str] = deque()  # lines to give once more
        self.start_row()

    def start_row(self) -> None:
        self.row: list[str] = []
        self.characters = 0
        self.unreadable: str | None = None  # an unreadable character of the row

    def keep_first(self) -> bool:
        """Give all lines of the row but its first once more; False where it has no others."""
        self.again.extendleft(reversed(self.row[1:]))
        self.number -= len(self.row[1:])
        return len(self.row) > 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self.again.popleft() if self.again else self.file.readline(MAX_ROW_CHARACTERS + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self.row.append(line)
        self.characters += len(line)
        if self.characters > MAX_ROW_CHARACTERS:
            problem = f"more than {MAX_ROW_CHARACTERS:,} characters in a row; is a quote left open?"
            raise self.place.error(problem)
        if match := _UNREADABLE.search(line):
            self.unreadable = match.group()
        return line


def _csv_rows(file: io.TextIOBase, place: _Place, on_bad_row: Callable[[StoryLabError], None]) -> Iterator[list[str]]:
    """Yields the header, then each row with as many fields as the header has; keeps `place` up to date."""
    lines = _Lines(file, place)
    reader = csv.reader(lines, strict=True)
    header: list[str] = []
    place.row = 0
    while True:
        lines.start_row()
        place.line = lines.number + 1
        try:
            row = _next_row(reader, lines)
            if row is None:
                return
            if not row:  # a blank line
                continue
            header = header or row
            _check_row(row, header, lines)
        except StoryLabError as error:
            if not header or not place.row:
                raise  # without a header no row means anything
            on_bad_row(error)
            if lines.keep_first():  # a quote left open takes the rows behind it along
                reader = csv.reader(lines, strict=True)
        else:
            yield row
        place.row += 1


def _next_row(reader: Iterator[list[str]], lines: _Lines) -> list[str] | None:
    try:
        return next(reader, None)
    except csv.Error as error:
        broken = f"not a sound CSV row ({error}); is a quote left open?"
        raise lines.place.error(_unreadable(lines.unreadable) if lines.unreadable else broken) from error


def _check_row(row: list[str], header: list[str], lines: _Lines) -> None:
    """Refuses a row with bytes that are no text, or with more or fewer fields than the header."""
    if lines.unreadable:
        _refuse_unreadable(row, header, lines.place)
    if len(row) != len(header):
        # The first column that is missing, or the last one before what is too much.
        column = header[min(len(row), len(header) - 1)]
        raise lines.place.error(f"the row has {len(row)} fields where the header has {len(header)}", column)


def _open_hub(source: str, split: str, place: _Place) -> tuple[list[str], Iterator[list[object]]]:
    """Returns the column names and the rows of a split of a data set on the Hugging Face Hub."""
    match = _HUB_SOURCE.fullmatch(source)
    if not match:
        raise place.error("a Hub data set is named hub:OWNER/NAME or hub:OWNER/NAME@REVISION")
    try:
        import datasets
    except ImportError as error:
        raise place.error("the Hub needs the package `datasets` (pip install datasets)") from error
    try:
        data = datasets.load_dataset(match["name"], revision=match["revision"], split=split)
    except Exception as error:  # the library raises a dozen kinds; each means "not this data set, not now"
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise place.error(f"cannot load split {shortened(split)}: {reason}") from error
    header = list(data.column_names)
    return header, _hub_rows(data, header, place)


def _hub_rows(data: Iterable[dict], header: list[str], place: _Place) -> Iterator[list[object]]:
    for number, record in enumerate(data, start=1):
        place.row = number
        yield [record[column] for column in header]


def _to_rows(header: list[str], rows: Iterator[list], place: _Place, names: _Names, what: str) -> Iterator[Row]:
    columns = _find_columns(header, place, names)
    empty = True
    for values in rows:
        empty = False
        yield Row(values, header, columns, place)
    if empty:
        raise _Place(place.source).error(f"there is a header but no {what}")


def _find_columns(header: list[str], place: _Place, wanted: _Names) -> dict[str, int]:
    """Maps each wanted column that is there to its position."""
    if len(header) > MAX_COLUMNS:
        raise place.error(f"there are {len(header):,} columns, at most {MAX_COLUMNS:,} are read")
    names = [name.strip().lower() for name in header]
    names = [wanted.aliases.get(name, name).lower() for name in names]
    missing = [name for name in wanted.required if name.lower() not in names]
    if missing:
        found = ", ".join(shortened(name) for name in header[:10]) + (", ..." if len(header) > 10 else "")
        raise place.error(f"missing column {', '.join(missing)} (found: {found})")
    for name in wanted.required + wanted.optional:
        if names.count(name.lower()) > 1:
            raise place.error(f"there are {names.count(name.lower())} columns of that name", name)
    return {name: names.index(name.lower()) for name in wanted.required + wanted.optional if name.lower() in names}


def _collapse(text: str) -> str:
    return " ".join(text.split())


def _refuse_unreadable(row: list[str], header: list[str], place: _Place) -> None:
    for number, text in enumerate(row):
        if match := _UNREADABLE.search(text):
            column = header[number] if place.row and number < len(header) else str(number + 1)
            raise place.error(_unreadable(match.group()), column)


def _unreadable(character: str) -> str:
    if character == "\0":
        return "a NUL character; is this a UTF-16 or a binary file? Save it as UTF-8 text"
    return f"byte 0x{ord(character) & 0xFF:02x} is not UTF-8; save the file as UTF-8"


def shortened(text: str, length: int = 40) -> str:
    """Text from a file as it may stand in a message: one line, not too long."""
    text = text if len(text) <= length else text[: length - 3] + "..."
    if text.isprintable() and text == text.strip() and text:
        return text
    told = ascii(text)  # ten letters for one, at worst
    return told if len(told) <= 3 * length else told[: 3 * length - 3] + "..."
