"""The engines by name, for whoever asks for one before anything heavy is imported."""

import os

from storylab.errors import StoryLabError

AUTO, TORCH, ONNX = "auto", "torch", "onnx"
NAMES = (AUTO, TORCH, ONNX)
VARIABLE = "STORYLAB_ENGINE"
"""The environment variable that names an engine where none is asked for."""
DTYPES = ("fp32", "bf16", "int8")
"""What a model can compute in, by name."""


def named_engine(name: str | None) -> str:
    """The name of an engine that was asked for, or that the environment asks for where none was.

    Raises:
        StoryLabError: There is none of that name.
    """
    name = name or os.environ.get(VARIABLE) or AUTO
    if name not in NAMES:
        raise StoryLabError(f"engine must be one of {', '.join(NAMES)}, not {name!r}")
    return name
