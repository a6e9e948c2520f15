"""Which engine tells with a model, and what the 8-bit type makes of it."""

from typing import TYPE_CHECKING

import torch
from transformers import PreTrainedModel

from storylab.engines.names import AUTO, ONNX, TORCH
from storylab.errors import StoryLabError

if TYPE_CHECKING:
    from storylab.engines.engine import Engine


def engine_for(model: PreTrainedModel, name: str, dtype: str) -> "Engine | None":
    """The engine that tells with a model; None where torch does.

    Args:
        model: Where it is to stay, in the type that it computes in; that is fp32 for dtypes "int8" and "auto".
        name: "torch", "onnx", or "auto": ONNX Runtime where it can tell what torch tells, else torch.
        dtype: "fp32", "bf16", "int8", or "auto": 8 bits where ONNX Runtime tells and the processor gains by them.

    Raises:
        StoryLabError: "onnx" or "int8" was asked for, and something stands against it.
    """
    int8 = dtype == "int8"
    if int8 and name == TORCH:
        raise StoryLabError("int8 is computed by ONNX Runtime only, not by the engine torch")
    if name == TORCH:
        return None
    obstacle = _obstacle(model, dtype)
    if obstacle is None:
        from storylab.engines.engine import ENGINES

        return ENGINES[type(model)](model, int8 or (dtype == AUTO and gains_by_8_bits()))
    if int8 or name == ONNX:
        raise StoryLabError(f"{'int8' if int8 else 'the engine onnx'} {obstacle}")
    return None


def gains_by_8_bits() -> bool:
    """Whether the processor is of those on which 8 bits are known to be quicker: x86 with AVX2 or AVX-512."""
    return torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")


def _obstacle(model: PreTrainedModel, dtype: str) -> str | None:
    """What stands against telling with ONNX Runtime, in words that go on from what was asked for."""
    if dtype == "bf16":
        return "computes in fp32 or int8, not in bf16"
    if model.device.type != "cpu":
        return f"computes on the CPU, not on {model.device.type}"
    try:
        from storylab.engines.engine import ENGINES
    except ImportError:
        return "needs the packages onnxruntime and onnx, which are not installed"
    engine = ENGINES.get(type(model))
    if engine is None or model.dtype != torch.float32 or not engine.fits(model):
        return f"is not there for a {model.config.model_type} of this shape"
    return None
