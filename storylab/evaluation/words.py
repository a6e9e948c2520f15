"""Words and n-grams as every metric of n-grams counts them."""

import re
from collections.abc import Iterator, Sequence


def words_of(text: str) -> list[str]:
    r"""The words that n-grams are made of: what matches \w+, in lower case. "Don't" is two."""
    return re.findall(r"\w+", text.lower())


def ngrams(words: Sequence[str], n: int) -> Iterator[tuple[str, ...]]:
    """All runs of n words, overlaps included, in order."""
    return zip(*(words[first:] for first in range(n)), strict=False)
