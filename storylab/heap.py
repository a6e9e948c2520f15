"""Memory that was freed: how it comes back to the system, or is kept for what asks next."""

import ctypes
import sys

LARGE = 2**20
"""Bytes from which on a block is kept apart: those of a matrix, not those of the logits of a few texts."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
"""What glibc's malloc.h calls them."""
_NEVER = -1


def trim() -> None:
    """Give back what the C library keeps of freed memory, where it is glibc; nothing elsewhere.

    Loading a model frees as much as it keeps: tensors in the file's precision, buffers, graphs. glibc holds on to
    freed blocks below the last one in use, a hundred megabytes after four small models.
    """
    _call("malloc_trim", 0)


def keep_large_blocks_apart() -> None:
    """Have the C library take large blocks from the system and give them back at once, where it is glibc.

    Left to itself it does so until it has freed a block of up to 32 MiB, and puts such blocks into its heap from
    then on: what is freed below others stays, 35 to 130 MiB after four small models, more or less by chance.
    """
    _call("mallopt", _MMAP_THRESHOLD, LARGE)


def keep_what_is_freed() -> None:
    """Have the C library keep freed blocks of any size for what asks next, where it is glibc: for trainings.

    Every step of a training asks for the same blocks again. Left to itself glibc gives those above 32 MiB back as
    they are freed, and the end of its heap as well; the system then fills each page with zeros at its next touch, a
    tenth of a step's time on two cores. It is for good, and leaves `keep_large_blocks_apart` without effect.
    """
    _call("mallopt", _MMAP_MAX, 0)
    _call("mallopt", _TRIM_THRESHOLD, _NEVER)


def _call(name: str, *arguments: int) -> None:
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    if hasattr(library, name):
        getattr(library, name)(*arguments)
