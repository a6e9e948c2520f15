"""The page in English: a table for each of its parts, put together."""

from storylab.ui.texts.english import compare, decoding, live, page, results, stories, tokens, tour, training
from storylab.ui.texts.english.compare import EXAMPLES

_PARTS = (page, compare, tokens, decoding, training, live, results, stories, tour)

ENGLISH: dict[str, str] = {key: words for part in _PARTS for key, words in part.TEXTS.items()}

__all__ = ["ENGLISH", "EXAMPLES"]
