"""What is wrong with a telling, as its reader sees it, and which setting helps.

Words are runs of letters and digits, lower-cased, an apostrophe inside kept; n-grams are n words in a row.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from storylab.decoding.stopping import ends_with_stop, split_sentences

NGRAM = 4
"""The length of a repeated run of words that counts as a loop, as in the measure repetition-4."""
COPIED_SHARE = 0.5
"""The share of four-word runs in common that makes a copy; 0.15% of human stories on ROCStories reach it."""


@dataclass(frozen=True, slots=True)
class Pathology:
    """A named fault of a telling."""

    code: str
    """loop, copies_opening, punctuation, cut_off or too_few_sentences."""
    message: str
    """One sentence: what happened, why, and which setting helps."""


def find_pathologies(opening: str, story: Sequence[str], ended_by: str | None, sentences: int = 4) -> list[Pathology]:
    """Names the faults of a telling, each at most once.

    - loop: four words in a row come twice in the story, across its sentences and overlaps included.
    - copies_opening: a sentence of the story says a sentence of the opening again (`copies_opening`).
    - punctuation: a sentence has fewer than two letters.
    - cut_off: the token limit ended the telling, or a person did in the middle of a sentence.
    - too_few_sentences: the model itself ended the story before it had all its sentences.

    Args:
        opening: The sentence that was typed.
        story: The sentences told after it.
        ended_by: "end", "sentences", "tokens" or "stopped", as in a telling; None while it is still told.
        sentences: How many sentences the story was to have.
    """
    faults = {}
    if repeated := repeated_words(story):
        words, times = repeated
        faults["loop"] = (
            f'The story goes in circles ("{words}" comes {times} times), because what was told once seems '
            "likely to the model again; a repetition penalty of about 1.2 or a no-repeat n-gram size of "
            f"{NGRAM} helps."
        )
    copies = [number for number, sentence in enumerate(story, 1) if copies_opening(opening, sentence)]
    if copies:
        faults["copies_opening"] = (
            f"Sentence {copies[0]} of the story says the opening again, because words already there are the "
            "safest for the model; a repetition penalty of about 1.2 or a higher temperature helps."
        )
    bare = [number for number, sentence in enumerate(story, 1) if sum(map(str.isalpha, sentence)) < 2]
    if bare:
        faults["punctuation"] = (
            f"Sentence {bare[0]} of the story is bare punctuation, because a stop is likely everywhere and "
            "brings on the next; a temperature near 0.8 with a top-p near 0.9 helps."
        )
    if ended_by == "tokens":
        faults["cut_off"] = (
            "The story was cut off at the token limit, because the model had not ended it by then; a higher "
            "limit (max new tokens) helps."
        )
    if ended_by == "stopped" and story and not ends_with_stop(story[-1]):
        faults["cut_off"] = (
            "The last sentence is unfinished, because the telling was stopped in the middle of it; the same "
            "settings and seed tell it to its end."
        )
    if ended_by == "end" and len(story) < sentences:
        faults["too_few_sentences"] = (
            f"The story has {len(story)} of {sentences} sentences, because the model chose its end token "
            "early; another seed or a lower temperature helps."
        )
    return [Pathology(code, message) for code, message in faults.items()]


def repeated_words(story: Sequence[str]) -> tuple[str, int] | None:
    """The four words in a row that come most often in a story, and how often; None where none comes twice."""
    counts = _ngrams(_words(" ".join(story)))
    ngram, times = max(counts.items(), key=lambda item: item[1], default=((), 1))
    return (" ".join(ngram), times) if times > 1 else None


def copies_opening(opening: str, sentence: str) -> bool:
    """Whether a sentence says a sentence of the opening again.

    It does where all words are the same, or where at least `COPIED_SHARE` of the four-word runs of the
    shorter of the two (of five words or more) stand in the other.
    """
    words = _words(sentence)
    if not words:
        return False
    ngrams = set(_ngrams(words))
    for original in map(_words, split_sentences(opening)):
        shorter = min(len(ngrams), len(copied := set(_ngrams(original))))
        if words == original or (shorter > 1 and len(ngrams & copied) / shorter >= COPIED_SHARE):
            return True
    return False


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text.lower())


def _ngrams(words: Sequence[str]) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[start:] for start in range(NGRAM)), strict=False))
