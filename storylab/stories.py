"""Five-sentence stories: read them, clean them, split them, fingerprint them, measure them.

Framing, training and evaluation take their stories from here, so this is the one place that decides what a
story is, when two stories are the same and which side of a split a story falls on.
"""

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from storylab.errors import StoryLabError

SENTENCES = 5
MAX_COLUMNS = 1_000
MAX_ROW_CHARACTERS = 1_000_000
PERCENTILES = (5, 25, 50, 75, 95, 99)

_REQUIRED = tuple(f"sentence{number}" for number in range(1, SENTENCES + 1))
_OPTIONAL = ("storyid", "storytitle")
_NOT_ALPHANUMERIC = re.compile(r"[\W_]+")
# A byte that is not UTF-8 is read as a lone surrogate ("surrogateescape"), so that its column can be named.
_UNREADABLE = re.compile("[\0\udc80-\udcff]")
_HUB_SOURCE = re.compile(r"hub:(?P<name>\w[\w.-]*/\w[\w.-]*)(@(?P<revision>[\w./-]+))?")


@dataclass(frozen=True, slots=True)
class Story:
    """A story of exactly five sentences.

    Raises:
        StoryLabError: there are not five sentences.
    """

    sentences: tuple[str, ...]
    id: str = ""
    title: str = ""

    def __post_init__(self) -> None:
        if len(self.sentences) != SENTENCES:
            raise StoryLabError(f"a story has {len(self.sentences)} sentences, {SENTENCES} are needed")

    @property
    def opening(self) -> str:
        """The first sentence."""
        return self.sentences[0]

    @property
    def continuation(self) -> str:
        """Sentences 2 to 5, joined by one space."""
        return " ".join(self.sentences[1:])

    @property
    def text(self) -> str:
        """All five sentences, joined by one space."""
        return " ".join(self.sentences)

    @property
    def scored_words(self) -> int:
        """What a loss on it is divided by: whitespace-separated words of sentences 2 to 5, and one for the end."""
        return len(self.continuation.split()) + 1


# Reading


def read_stories(source: str | Path, *, split: str = "train", limit: int | None = None) -> list[Story]:
    """Reads stories from a CSV file or a Hub data set; whitespace inside sentences is collapsed.

    Columns are found by name, in any order, whatever their case: `sentence1` to `sentence5` are needed,
    `storyid` and `storytitle` are used where present, others are ignored. A CSV is comma-separated UTF-8,
    with or without BOM. Errors give the row (stories counted from 1; the header and blank lines don't count)
    and, for a file, the line that the row starts on.

    Args:
        source: path of a CSV, or `hub:OWNER/NAME` or `hub:OWNER/NAME@REVISION`.
        split: split of the Hub data set; a CSV has no splits.
        limit: read only the first `limit` stories and look at nothing after them.

    Raises:
        StoryLabError: the source can't be read or a row isn't a story; names file, row and column.
    """
    if limit is not None and (type(limit) is not int or limit < 1):
        raise StoryLabError(f"the limit of stories must be a whole number from 1 on, not {limit!r}")
    rows = read_rows(source, _REQUIRED, _OPTIONAL, what="stories", split=split)
    return [
        Story(tuple(map(row.sentence, _REQUIRED)), *map(row.label, _OPTIONAL))  # id and title
        for row in islice(rows, limit)
    ]


def read_rows(
    source: str | Path,
    required: Sequence[str],
    optional: Sequence[str] = (),
    *,
    aliases: Mapping[str, str] | None = None,
    what: str = "rows",
    split: str = "train",
) -> Iterator["Row"]:
    """Reads the rows of a CSV file or a Hub data set one by one; `read_stories` says what it takes for a CSV.

    Args:
        source: path of a CSV, or `hub:OWNER/NAME` or `hub:OWNER/NAME@REVISION`.
        required: names of the columns that must be there; case does not count.
        optional: names of the columns that are read where present.
        aliases: other names of columns, in lower case, each with the name that it stands for.
        what: what the rows hold, for the message where there are none.
        split: split of the Hub data set.

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
            rows = _csv_rows(file, place)
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
        parts = [self.source if self.source.isprintable() else ascii(self.source)]
        if self.row is not None:
            name = f"row {self.row}" if self.row else "header"
            parts.append(f"{name} (line {self.line})" if self.line else name)
        if column is not None:
            parts.append(f"column {_short(column)}")
        return StoryLabError(f"{', '.join(parts)}: {problem}")


class _Lines:
    """The lines of a file, for `csv.reader`; never holds more than one row of bounded length in memory."""

    def __init__(self, file: io.TextIOBase, place: _Place) -> None:
        self.file, self.place = file, place
        self.start_row()

    def start_row(self) -> None:
        self.characters = 0
        self.unreadable: str | None = None  # an unreadable character of the row

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self.file.readline(MAX_ROW_CHARACTERS + 1)
        if not line:
            raise StopIteration
        self.characters += len(line)
        if self.characters > MAX_ROW_CHARACTERS:
            problem = f"more than {MAX_ROW_CHARACTERS:,} characters in a row; is a quote left open?"
            raise self.place.error(problem)
        if match := _UNREADABLE.search(line):
            self.unreadable = match.group()
        return line


def _csv_rows(file: io.TextIOBase, place: _Place) -> Iterator[list[str]]:
    """Yields the header, then each row with as many fields as the header has; keeps `place` up to date."""
    lines = _Lines(file, place)
    reader = csv.reader(lines, strict=True)
    header: list[str] = []
    place.row = 0
    while True:
        lines.start_row()
        place.line = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            broken = f"not a sound CSV row ({error}); is a quote left open?"
            raise place.error(_unreadable(lines.unreadable) if lines.unreadable else broken) from error
        if row is None:
            return
        if not row:  # a blank line
            continue
        header = header or row
        if lines.unreadable:
            _refuse_unreadable(row, header, place)
        if len(row) != len(header):
            # The first column that is missing, or the last one before what is too much.
            column = header[min(len(row), len(header) - 1)]
            raise place.error(f"the row has {len(row)} fields where the header has {len(header)}", column)
        yield row
        place.row += 1


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
        raise place.error(f"cannot load split {_short(split)}: {reason}") from error
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
        found = ", ".join(_short(name) for name in header[:10]) + (", ..." if len(header) > 10 else "")
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


def _short(text: str, length: int = 40) -> str:
    """Text from a file as it may stand in a message: one line, not too long."""
    text = text if len(text) <= length else text[: length - 3] + "..."
    return text if text.isprintable() and text == text.strip() and text else ascii(text)


# Sameness, splits, fingerprint


def normalise(text: str) -> str:
    """Lower-cases and keeps only letters and digits, so that typography alone makes no new story."""
    return _NOT_ALPHANUMERIC.sub("", text.lower())


def _key(story: Story) -> bytes:
    """SHA-256 of the normalised text, 32 bytes; a million of them need less memory than the texts."""
    return hashlib.sha256(normalise(story.text).encode()).digest()


def remove_duplicates(stories: Iterable[Story]) -> list[Story]:
    """Keeps, in order, the first of all stories that have the same normalised text."""
    first: dict[bytes, Story] = {}
    for story in stories:
        first.setdefault(_key(story), story)
    return list(first.values())


@dataclass(frozen=True, slots=True)
class Splits:
    """The three sides of a corpus."""

    train: list[Story] = field(default_factory=list)
    validation: list[Story] = field(default_factory=list)
    test: list[Story] = field(default_factory=list)


def split_stories(stories: Iterable[Story], validation: float = 0.05, test: float = 0.05) -> Splits:
    """Splits by a hash of each story alone, so that a story never changes sides when others come or go.

    Args:
        stories: any number of them; duplicates land on the same side.
        validation: expected share of validation stories, 0 <= validation.
        test: expected share of test stories, 0 <= test, validation + test < 1.
    """
    if not (validation >= 0 and test >= 0 and validation + test < 1):  # so written, NaN is refused too
        shares = f"validation {validation} and test {test}"
        raise StoryLabError(f"the shares of {shares} must not be negative and must sum to less than 1")
    splits = Splits()
    for story in stories:
        # The hash's first 53 bits, the most that a float holds exactly, are a uniform number in [0, 1).
        position = (int.from_bytes(_key(story)[:8], "big") >> 11) / 2**53
        if position < validation:
            splits.validation.append(story)
        elif position < validation + test:
            splits.test.append(story)
        else:
            splits.train.append(story)
    return splits


def refuse_leakage(splits: Splits) -> None:
    """Raises StoryLabError if a story is in two splits; names it by position and id, never by its text."""
    seen: dict[str, dict[bytes, int]] = {}
    for name in ("train", "validation", "test"):
        numbers: dict[bytes, int] = {}
        for number, story in enumerate(getattr(splits, name), start=1):
            key = _key(story)
            for other, others in seen.items():
                if key in others:
                    label = f" (id {_short(story.id)})" if story.id else ""
                    twin = f"story {others[key]} of {other}"
                    raise StoryLabError(f"story {number}{label} of {name} is also {twin}")
            numbers.setdefault(key, number)
        seen[name] = numbers


def fingerprint(stories: Iterable[Story]) -> str:
    """SHA-256 (64 hex digits) of the sentences in order; ids and titles don't enter it.

    Each sentence is preceded by its length in bytes, so that a word that moves over a boundary changes it.
    """
    digest = hashlib.sha256()
    for story in stories:
        for sentence in story.sentences:
            data = sentence.encode()
            digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


# Lengths


@dataclass(frozen=True)
class LengthStatistics:
    """How long the stories of a corpus are for one tokenizer."""

    stories: int
    tokens: int
    """Tokens of all stories together."""
    minimum: int
    mean: float
    maximum: int
    percentiles: dict[int, float]
    """Tokens a story at percent 5, 25, 50, 75, 95 and 99, linearly interpolated."""
    words_per_sentence: float
    """Mean over all sentences of their whitespace-separated words."""
    histogram: dict[int, int]
    """Number of stories of each length in tokens that occurs, shortest first."""

    def share_cut(self, limit: int) -> float:
        """Share of stories, 0 to 1, that have more than `limit` tokens and would be cut there."""
        return sum(count for length, count in self.histogram.items() if length > limit) / self.stories

    def to_dict(self) -> dict:
        """The same for JSON, whose keys are strings."""
        result = asdict(self)
        for name in ("percentiles", "histogram"):
            result[name] = {str(key): value for key, value in result[name].items()}
        return result


def length_statistics(
    stories: Sequence[Story], tokenizers: dict[str, Callable[[str], Sequence[int]]]
) -> dict[str, LengthStatistics]:
    """Measures the text of each story (its sentences joined by one space) with each tokenizer.

    Args:
        stories: at least one.
        tokenizers: name -> function from a text to its token ids, for instance a tokenizer's `encode`.

    Raises:
        StoryLabError: there are no stories.
    """
    if not stories:
        raise StoryLabError("there are no stories to measure")
    words = sum(len(sentence.split()) for story in stories for sentence in story.sentences)
    words_per_sentence = words / (SENTENCES * len(stories))
    return {name: _measure(stories, encode, words_per_sentence) for name, encode in tokenizers.items()}


def _measure(
    stories: Sequence[Story], encode: Callable[[str], Sequence[int]], words_per_sentence: float
) -> LengthStatistics:
    lengths = [len(encode(story.text)) for story in stories]
    values = np.percentile(lengths, PERCENTILES)
    return LengthStatistics(
        stories=len(lengths),
        tokens=sum(lengths),
        minimum=min(lengths),
        mean=sum(lengths) / len(lengths),
        maximum=max(lengths),
        percentiles={percent: float(value) for percent, value in zip(PERCENTILES, values, strict=True)},
        words_per_sentence=words_per_sentence,
        histogram=dict(sorted(Counter(lengths).items())),
    )
