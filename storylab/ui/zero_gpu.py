"""ZeroGPU of Spaces: a GPU is lent to functions that are marked for it, and a page without one never starts there.

The page's storytellers are small and tell on the processor, sooner than a GPU is lent. What is marked is all that
ZeroGPU insists on (huggingface.co/docs/hub/spaces-zerogpu).
"""

from __future__ import annotations

from collections.abc import Callable


def lent_gpu() -> str:
    """The name of the GPU that is lent to this function."""
    import torch

    return torch.cuda.get_device_name()


def mark() -> Callable[[], str] | None:
    """Mark a function before the page is launched; None where `spaces` is not installed, as it is on every Space."""
    try:
        import spaces
    except ImportError:
        return None
    return spaces.GPU(lent_gpu)
