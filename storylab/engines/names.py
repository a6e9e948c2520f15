"""The engines by name, for whoever asks for one before anything heavy is imported."""

import os

from storylab.errors import StoryLabError

AUTO, TORCH, ONNX = "auto", "torch", "onnx"
NAMES = (AUTO, TORCH, ONNX)
VARIABLE = "STORYLAB_ENGINE"
"""The environment variable that names an engine where none is asked for."""
FP32, BF16, INT8 = "fp32", "bf16", "int8"
DTYPES = (FP32, BF16, INT8)
"""What a model can compute in, by name."""
DTYPE_VARIABLE = "STORYLAB_DTYPE"
"""The environment variable that names what to compute in where nothing is asked for."""


def named_engine(name: str | None) -> str:
    """The name of an engine that was asked for, or that the environment asks for where none was.

    Raises:
        StoryLabError: There is none of that name.
    """
    if name is None:
        name = os.environ.get(VARIABLE) or AUTO
    if name not in NAMES:
        raise StoryLabError(f"engine must be one of {', '.join(NAMES)}, not {name!r}")
    return name


def named_dtype(name: str | None) -> str:
    """The name of what was asked to compute in, or of what the environment asks for where nothing was; else fp32.

    Raises:
        StoryLabError: There is none of that name.
    """
    if name is None:
        name = os.environ.get(DTYPE_VARIABLE) or FP32
    if name not in DTYPES:
        raise StoryLabError(f"dtype must be one of {', '.join(DTYPES)}, not {name!r}")
    return name
