"""Memory that was freed, and how it comes back to the system."""

import ctypes
import sys


def trim() -> None:
    """Give back what the C library keeps of freed memory, where it is glibc; nothing elsewhere.

    Loading a model frees as much as it keeps: tensors in the file's precision, buffers, graphs. glibc holds on to
    freed blocks below the last one in use, a hundred megabytes after four small models.
    """
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        if hasattr(library, "malloc_trim"):
            library.malloc_trim(0)
