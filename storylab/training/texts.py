"""Text files, plain or packed: documents of paragraphs, read one line at a time."""

import gzip
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from storylab.errors import StoryLabError

END_OF_DOCUMENT = "<|endoftext|>"
"""The line that stands between two documents."""


def open_text(path: Path) -> TextIO:
    """Open a UTF-8 text file for reading, unpacking .gz and .xz on the way."""
    openers = {".gz": gzip.open, ".xz": lzma.open}
    return openers.get(path.suffix, open)(path, "rt", encoding="utf-8-sig")


def documents(path: Path) -> Iterator[tuple[bool, str]]:
    """The paragraphs of a text file, each with whether a document begins with it.

    Raises:
        StoryLabError: The file is missing, damaged or not UTF-8.
    """
    begins = True
    try:
        with open_text(path) as file:
            for line in file:
                line = line.strip()
                if line == END_OF_DOCUMENT:
                    begins = True
                elif line:
                    yield begins, line
                    begins = False
    except (OSError, EOFError, lzma.LZMAError, zlib.error, UnicodeDecodeError) as error:
        raise StoryLabError(f"{path} can't be read: {getattr(error, 'strerror', None) or error}") from None


def paragraphs(path: Path, characters: int) -> Iterator[str]:
    """The paragraphs of a text file until so many characters are passed.

    Raises:
        StoryLabError: The file is missing, damaged or not UTF-8.
    """
    read = 0
    for _, paragraph in documents(path):
        yield paragraph
        read += len(paragraph)
        if read > characters:
            return
