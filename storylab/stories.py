"""Five-sentence stories: read them, clean them, split them, fingerprint them, measure them.

Framing, training and evaluation take their stories from here, so this is the one place that decides what a
story is, when two stories are the same and which side of a split a story falls on.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from storylab.errors import StoryLabError
from storylab.rows import Row, check_limit, read_rows, refuse, shortened

SENTENCES = 5
PERCENTILES = (5, 25, 50, 75, 95, 99)

_REQUIRED = tuple(f"sentence{number}" for number in range(1, SENTENCES + 1))
_OPTIONAL = ("storyid", "storytitle")
_NOT_ALPHANUMERIC = re.compile(r"[\W_]+")


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


def read_stories(
    source: str | Path,
    *,
    split: str = "train",
    limit: int | None = None,
    on_bad_row: Callable[[StoryLabError], None] = refuse,
) -> list[Story]:
    """Reads stories from a CSV file or a Hub data set; whitespace inside sentences is collapsed.

    Columns are found by name, in any order, whatever their case: `sentence1` to `sentence5` are needed,
    `storyid` and `storytitle` are used where present, others are ignored. A CSV is comma-separated UTF-8,
    with or without BOM. Errors give the row (stories counted from 1; the header and blank lines don't count)
    and, for a file, the line that the row starts on.

    Args:
        source: path of a CSV, or `hub:OWNER/NAME` or `hub:OWNER/NAME@REVISION`.
        split: split of the Hub data set; a CSV has no splits.
        limit: read only the first `limit` stories and look at nothing after them.
        on_bad_row: given the error of each row that isn't a story; where it returns, the row is left out.

    Raises:
        StoryLabError: the source can't be read or a row isn't a story; names file, row and column.
    """
    check_limit(limit, "stories")
    rows = read_rows(source, _REQUIRED, _OPTIONAL, what="stories", split=split, on_bad_row=on_bad_row)
    return list(islice(_to_stories(rows, on_bad_row), limit))


def _to_stories(rows: Iterable[Row], on_bad_row: Callable[[StoryLabError], None]) -> Iterator[Story]:
    for row in rows:
        try:
            story = Story(tuple(map(row.sentence, _REQUIRED)), *map(row.label, _OPTIONAL))  # id and title
        except StoryLabError as error:
            on_bad_row(error)
        else:
            yield story


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
                    label = f" (id {shortened(story.id)})" if story.id else ""
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
