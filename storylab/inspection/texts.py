"""What a text that is looked at must be; free of torch, so that a page can check it before anything is loaded."""

from __future__ import annotations

from typing import Any

from storylab.decoding.settings import shown
from storylab.errors import StoryLabError

MOST_CHARACTERS = 2000
"""Of a text that is read."""


def check_text(text: Any) -> str:
    """Returns what comes after an opening with its whitespace put in order: stripped, and each run of it one space.

    Args:
        text: Up to 2,000 characters (after that), maybe none.

    Raises:
        StoryLabError: It is no text, too long, or holds lone surrogates, which no tokenizer can read.
    """
    if not isinstance(text, str):
        raise StoryLabError(f"the text must be text, not {shown(text)}")
    text = " ".join(text.split())
    if len(text) > MOST_CHARACTERS:
        raise StoryLabError(f"the text has {len(text):,} characters, at most {MOST_CHARACTERS:,} are read")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise StoryLabError("the text has half a character (a lone surrogate), which no model reads") from None
    return text
