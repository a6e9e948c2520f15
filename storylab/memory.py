"""Memory that does not suffice: known before it is taken where that can be, one sentence where it can't."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from storylab import cgroup
from storylab.errors import StoryLabError

TOO_LITTLE = "there is too little memory"
_WORDS = ("can't allocate memory", "cannot allocate memory", "failed to allocate memory", "bad_alloc", "out of memory")
"""How torch's allocators, Rust's system errors, ONNX Runtime, C++ and CUDA say so."""


def is_memory_error(error: BaseException) -> bool:
    """Whether an error says that memory was asked for and not had, whichever library raised it."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's, for any GPU
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    return any(words in str(error).lower() for words in _WORDS)


@contextmanager
def enough_memory(doing: str = "") -> Iterator[None]:
    """Too little memory becomes one sentence; what was taken meanwhile is free again once the error is.

    Args:
        doing: What the sentence begins with.

    Raises:
        StoryLabError: Memory did not suffice.
    """
    try:
        yield
    except StoryLabError:
        raise
    except Exception as error:
        if not is_memory_error(error):
            raise
        raise StoryLabError(f"{doing}: {TOO_LITTLE}" if doing else TOO_LITTLE) from None


def require_memory(needed: float) -> None:
    """Refuse what needs more memory than there is.

    Where a system promises more memory than it has, as Linux does, no allocation fails: the process is killed later,
    and everybody's stories with it.

    Args:
        needed: Bytes.

    Raises:
        StoryLabError: There are fewer.
    """
    if needed > (there := available()):
        raise StoryLabError(f"{TOO_LITTLE}: {_gigabytes(needed)} are needed, {_gigabytes(there)} are free")


def available() -> float:
    """Bytes that can still be taken, swap included, within the limit of a container or service."""
    import psutil

    free = psutil.virtual_memory().available + psutil.swap_memory().free
    if (granted := cgroup.memory()) is None:
        return free
    most, used = granted
    return max(0, min(free, most - used))


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:,.1f} GB"
