"""A corpus in figures: its stories and words, and how long the stories are for each tokenizer."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from storylab.decoding.stopping import split_sentences
from storylab.errors import StoryLabError
from storylab.inspection.vocabularies import WORDS, Vocabulary
from storylab.stories import SENTENCES, LengthStatistics, Story, length_statistics, read_stories, remove_duplicates
from storylab.storytellers.catalog import PROJECT

LIMITS = (32, 48, 64, 85, 107, 128)
"""Lengths at which the share of stories cut is told; 85 and 107 are the course report's longest stories."""
MOST_STORIES = 20_000
"""Stories of a file that are read."""
MOST_CHARACTERS = 2000
"""Of a story that somebody types."""
BAD_ROWS_TOLD = 3
"""Rows left out that are told with their reason."""
FIRST_WORDS = 8
"""The most frequent first words that are told."""
COMPANIONS = 2
"""Stories that stand beside one in a batch."""
SMALL = PROJECT / "train" / "tiny.csv"
"""The corpus that comes with StoryLab."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


@dataclass(frozen=True)
class Corpus:
    """The stories of a file."""

    name: str
    """The file's."""
    stories: tuple[Story, ...]
    bad_rows: int = 0
    """Rows that are no story and were left out."""
    reasons: tuple[str, ...] = ()
    """What was wrong with the first of them."""

    @property
    def full(self) -> bool:
        """Whether as many stories were read as are; the file may hold more."""
        return len(self.stories) == MOST_STORIES


@dataclass(frozen=True)
class CorpusStatistics:
    """A corpus in figures."""

    stories: int
    duplicates: int
    """Stories that are the same as one before them but for case, blanks and punctuation."""
    words: int
    """Between blanks."""
    words_per_sentence: float
    types: int
    """Different words, whatever their case, without punctuation."""
    once: int
    """Those of them that occur once."""
    first_words: tuple[tuple[str, int], ...]
    """The most frequent first words of stories, and of how many each is the first."""
    lengths: dict[str, LengthStatistics]
    """By tokenizer; without start and end tokens."""

    def to_dict(self, limits: Sequence[int] = LIMITS) -> dict[str, Any]:
        """The statistics as JSON-ready data, with the share of stories cut at some lengths."""
        lengths = {
            name: measured.to_dict() | {"share_cut": {str(limit): measured.share_cut(limit) for limit in limits}}
            for name, measured in self.lengths.items()
        }
        return asdict(self) | {"lengths": lengths}


def read_corpus(source: str | Path, limit: int | None = MOST_STORIES) -> Corpus:
    """Read the stories of a CSV or a Hub data set; rows that are no story are left out and counted.

    Args:
        source: As for `read_stories`.
        limit: Read only the first `limit` stories.

    Raises:
        StoryLabError: The source can't be read, or no row is a story; names the file without its folder.
    """
    name, errors = Path(source).name, []
    try:
        stories = read_stories(source, limit=limit, on_bad_row=errors.append)
        if not stories and errors:
            raise errors[0]
    except StoryLabError as error:
        raise StoryLabError(_without_folder(errors[0] if errors else error, source)) from None
    reasons = tuple(_without_folder(error, source) for error in errors[:BAD_ROWS_TOLD])
    return Corpus(name, tuple(stories), len(errors), reasons)


@cache
def small_corpus() -> Corpus:
    """The corpus that comes with StoryLab: stories written for it."""
    return read_corpus(SMALL)


def companions(story: Story) -> list[Story]:
    """Two other stories of the corpus that comes with StoryLab, to stand beside one in a batch."""
    others = (other for other in small_corpus().stories if other.sentences != story.sentences)
    return list(islice(others, COMPANIONS))


def corpus_statistics(
    stories: Sequence[Story], tokenizers: Mapping[str, Callable[[str], Sequence[int]]]
) -> CorpusStatistics:
    """Measure some stories, and their length with each tokenizer and in words.

    Args:
        stories: At least one.
        tokenizers: Name -> function from a text to its token ids.

    Raises:
        StoryLabError: There are no stories.
    """
    lengths = length_statistics(stories, {**tokenizers, WORDS: str.split})
    found = Counter(word for story in stories for word in _words(story.text))
    firsts = Counter(first for story in stories for first in _words(story.opening)[:1])
    return CorpusStatistics(
        stories=len(stories),
        duplicates=len(stories) - len(remove_duplicates(stories)),
        words=lengths[WORDS].tokens,
        words_per_sentence=lengths[WORDS].words_per_sentence,
        types=len(found),
        once=sum(count == 1 for count in found.values()),
        first_words=tuple(firsts.most_common(FIRST_WORDS)),
        lengths=lengths,
    )


def measure(corpus: Corpus, vocabularies: Sequence[Vocabulary]) -> CorpusStatistics:
    """The statistics of a corpus with some of the tokenizers at hand."""
    return corpus_statistics(corpus.stories, {vocabulary.name: vocabulary.encode for vocabulary in vocabularies})


def typed_story(text: str, most: int = MOST_CHARACTERS) -> Story:
    """The story in a text of five lines, or else of five sentences.

    Args:
        text: What somebody typed.
        most: The characters that it may have.

    Raises:
        StoryLabError: There are fewer or more than five, or what is there is no text, or too long.
    """
    if len(text) > most:
        raise StoryLabError(f"the story has {len(text):,} characters, at most {most:,} are read")
    for character in text:
        if not character.isspace() and unicodedata.category(character) in ("Cc", "Cs"):  # control, surrogate
            raise StoryLabError(f"the story holds U+{ord(character):04X}, which is not a character of a text")
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    return Story(tuple(lines if len(lines) == SENTENCES else split_sentences(" ".join(lines))))


def _words(text: str) -> list[str]:
    """The words of a text, in lower case and without punctuation; an apostrophe stays inside one."""
    return _WORD.findall(text.lower())


def _without_folder(error: StoryLabError, source: str | Path) -> str:
    return str(error).replace(str(source), Path(source).name)
