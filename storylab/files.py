"""Files that are whole or not there when written, and plain files of a bounded size when read."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

from storylab.errors import StoryLabError

MOST_TEXT = 64_000_000
"""Bytes of a text file that is read as a whole; a tokenizer of a large vocabulary has half of it."""


def read_text(path: Path, most: int = MOST_TEXT, errors: str = "strict") -> str:
    """The text of a UTF-8 file, read as a whole.

    A name may lead anywhere: what is no plain file (a pipe, a device) would be waited for, or never end.

    Args:
        path: The file, or a link to it.
        most: The bytes that it may have.
        errors: What becomes of bytes that are not UTF-8, as `bytes.decode` has it.

    Raises:
        OSError: It is no plain file, is larger, or can't be read.
        ValueError: It is not UTF-8, or the path is none.
    """
    about = os.stat(path)
    if not stat.S_ISREG(about.st_mode):
        raise OSError(errno.EINVAL, "it is no plain file", str(path))
    if about.st_size > most:
        raise OSError(errno.EFBIG, f"it has {about.st_size:,} bytes, at most {most:,} are read", str(path))
    with open(path, "rb") as file:
        return file.read(most).decode("utf-8", errors)


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write(temporary path)`, then put the file in place in one move, so that no half file shows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8, whole or not at all.

    Raises:
        StoryLabError: It can't be written.
    """
    try:
        write_atomically(path, lambda part: part.write_text(text, encoding="utf-8", newline="\n"))
    except OSError as error:
        raise StoryLabError(f"{path} can't be written: {error.strerror}") from None
