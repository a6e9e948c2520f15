"""The engines by name, for whoever asks for one before anything heavy is imported."""

import os

from storylab.errors import StoryLabError

AUTO, TORCH, ONNX = "auto", "torch", "onnx"
NAMES = (AUTO, TORCH, ONNX)
VARIABLE = "STORYLAB_ENGINE"
"""The environment variable that names an engine where none is asked for."""
FP32, BF16, INT8 = "fp32", "bf16", "int8"
DTYPES = (AUTO, FP32, BF16, INT8)
"""What a model can compute in, by name; "auto" is 8 bits where they are told more quickly, else fp32."""
DTYPE_VARIABLE = "STORYLAB_DTYPE"
"""The environment variable that names what to compute in where nothing is asked for."""


def named_engine(name: str | None) -> str:
    """The name of an engine that was asked for, or that the environment asks for where none was; else "auto".

    Raises:
        StoryLabError: There is none of that name.
    """
    return _named("engine", name, VARIABLE, AUTO, NAMES)


def named_dtype(name: str | None) -> str:
    """The name of what was asked to compute in, or of what the environment asks for where nothing was; else "auto".

    Raises:
        StoryLabError: There is none of that name.
    """
    return _named("dtype", name, DTYPE_VARIABLE, AUTO, DTYPES)


def _named(what: str, name: str | None, variable: str, usual: str, names: tuple[str, ...]) -> str:
    if name is None:
        name = os.environ.get(variable) or usual
    if name not in names:
        raise StoryLabError(f"{what} must be one of {', '.join(names)}, not {name!r}")
    return name
