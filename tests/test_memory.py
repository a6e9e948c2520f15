"""Memory that does not suffice is one sentence, whichever library wanted it."""

import numpy as np
import pytest
import torch

from storylab import memory
from storylab.errors import StoryLabError
from storylab.memory import available, enough_memory, is_memory_error, require_memory

PETABYTE = 2**50


def run_onnx() -> None:
    """ONNX Runtime is asked for sixty-four terabytes."""
    import onnxruntime
    from onnx import TensorProto, helper

    size = helper.make_tensor_value_info("size", TensorProto.INT64, [1])
    zeros = helper.make_tensor_value_info("zeros", TensorProto.FLOAT, ["n"])
    graph = helper.make_graph([helper.make_node("ConstantOfShape", ["size"], ["zeros"])], "zeros", [size], [zeros])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    session.run(None, {"size": np.array([2**44])})


def out_of_memory_on_a_gpu() -> None:
    raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


TOO_MUCH = {
    "torch": lambda: torch.empty(PETABYTE),
    "numpy": lambda: np.empty(PETABYTE),
    "python": lambda: bytearray(2**60),
    "onnx runtime": run_onnx,
    "a GPU": out_of_memory_on_a_gpu,
}


@pytest.mark.parametrize("library", TOO_MUCH)
def test_too_little_memory_is_one_sentence(library):
    with pytest.raises(StoryLabError) as refused, enough_memory("seq2seq can't go on"):
        TOO_MUCH[library]()
    assert str(refused.value) == "seq2seq can't go on: there is too little memory"


def test_other_errors_stay_what_they_are():
    for error in (ValueError("wrong"), RuntimeError("size mismatch"), OSError(28, "No space left on device")):
        assert not is_memory_error(error)
        with pytest.raises(type(error)) as raised, enough_memory():
            raise error
        assert raised.value is error
    with pytest.raises(StoryLabError, match=r"^mine: out of memory$"), enough_memory("yours"):
        raise StoryLabError("mine: out of memory")


def test_what_is_needed_is_held_against_what_there_is():
    require_memory(1000)
    with pytest.raises(StoryLabError, match=r"^there is too little memory: 1,125,899\.9 GB are needed, .* are free$"):
        require_memory(PETABYTE)


def test_a_container_has_no_more_than_its_limit_leaves(monkeypatch):
    monkeypatch.setattr(memory.cgroup, "memory", lambda: None)
    free = available()
    monkeypatch.setattr(memory.cgroup, "memory", lambda: (1000, 570))
    assert available() == 430
    monkeypatch.setattr(memory.cgroup, "memory", lambda: (1000, 1100))  # for a moment
    assert available() == 0
    monkeypatch.setattr(memory.cgroup, "memory", lambda: (2**50, 570))
    assert available() == pytest.approx(free, rel=0.2)
