"""The page in Chinese: a table for each of its parts, put together."""

from storylab.ui.texts.chinese import compare, decoding, live, page, results, stories, tokens, tour, training

_PARTS = (page, compare, tokens, decoding, training, live, results, stories, tour)

CHINESE: dict[str, str] = {key: words for part in _PARTS for key, words in part.TEXTS.items()}
