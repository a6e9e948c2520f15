"""Files and folders that are whole or not there, whatever ends the process that writes them; plain files when read."""

import errno
import glob
import os
import re
import shutil
import stat
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from storylab.errors import StoryLabError

PART = ".part"
"""What the name of a file that is not whole yet ends with."""
ATTEMPTS = 3
"""Times that a folder is moved to its place: who looks at the very moment may have put the older one back."""
_LOCK = ".lock"
_SYSTEM = re.compile(r"\(os error (\d+)\)")
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
        return file.read(about.st_size).decode("utf-8", errors)


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write(temporary path)`, then put the file in place in one move, so that no half file shows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}{PART}")
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
    with storing(path):
        write_atomically(path, lambda part: part.write_text(text, encoding="utf-8", newline="\n"))


def written(name: str) -> str:
    """A file's name or path as text that can be written, though its bytes may be none of the system's language."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """A disk that is full, read-only or broken becomes one sentence about the file or folder that is written.

    Raises:
        StoryLabError: It can't be written.
    """
    try:
        yield
    except Exception as error:
        reason = _disk_reason(error)
        if reason is None:
            raise
        raise StoryLabError(f"{path} can't be written: {reason}") from None


def _disk_reason(error: Exception) -> str | None:
    """What the system said; None where it said nothing."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    found = _SYSTEM.search(str(error))  # as Rust words it, for safetensors and tokenizers
    return os.strerror(int(found[1])) if found else None


@contextmanager
def only_one(folder: Path, doing: str) -> Iterator[None]:
    """Work in a folder alone; what a killed process left half written there is removed first.

    The lock is the system's and ends with its process, however that ends.

    Args:
        folder: Made where it is not there.
        doing: What is done there, for the message: "a training".

    Raises:
        StoryLabError: Another process, or thread, works there, or the folder can't be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / _LOCK)
    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise StoryLabError(f"{doing} is under way in {folder}: wait for its end, or end it") from None
    try:
        for left in folder.glob(f".*{PART}"):
            left.unlink(missing_ok=True)
        yield
    finally:
        lock.release()


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to fill, which takes its place when the block ends; where the block raises, nothing has changed.

    A folder can't be replaced in one move everywhere, so an older one is set aside under a name of its own for a
    moment. Who is killed in that moment leaves it to `put_back`.

    Args:
        target: The place, with an older folder or without.

    Raises:
        StoryLabError: It can't be written.
    """
    from filelock import FileLock

    with storing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        put_back(target)
        for left in target.parent.glob(f".{glob.escape(target.name)}.*{PART}"):
            with suppress(OSError), FileLock(left / _LOCK, blocking=False):  # else it is being filled
                shutil.rmtree(left)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.", suffix=PART) as name:
            scratch = Path(name)
            with FileLock(scratch / _LOCK):
                (scratch / "new").mkdir()
                yield scratch / "new"
                _replace(target, scratch)


def _replace(target: Path, scratch: Path) -> None:
    """Move `new` from the scratch folder to its place, and an older folder from there to the scratch folder."""
    aside = _aside(target)
    try:
        for attempt in range(ATTEMPTS):
            if aside.exists():
                os.rename(aside, scratch / f"older {attempt}")
            if target.exists():
                os.rename(target, aside)
            try:
                os.rename(scratch / "new", target)
                break
            except OSError:
                if attempt == ATTEMPTS - 1 or not target.exists():
                    raise
    except OSError:
        put_back(target)
        raise
    if aside.exists():  # once half deleted, it must not bear a name that counts
        os.rename(aside, scratch / "old")


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")


def put_back(target: Path) -> None:
    """Put a folder back that was set aside by a process that was killed before it put another in its place."""
    if not target.exists() and _aside(target).is_dir():
        with suppress(OSError):  # somebody else was faster, or the disk is read-only
            os.rename(_aside(target), target)


def put_all_back(parent: Path) -> None:
    """`put_back` for all folders in a folder."""
    for aside in parent.glob(".*.old"):
        put_back(parent / aside.name[1 : -len(".old")])
