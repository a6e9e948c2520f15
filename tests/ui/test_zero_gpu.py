"""The function that ZeroGPU wants marked, with and without the package that marks it."""

import sys
import types

import pytest

from storylab.ui import zero_gpu


def test_without_spaces_nothing_is_marked(monkeypatch):
    monkeypatch.setitem(sys.modules, "spaces", None)  # its import fails
    assert zero_gpu.mark() is None


def test_with_spaces_the_function_is_marked_as_that_package_does_it(monkeypatch):
    marked = []
    monkeypatch.setitem(sys.modules, "spaces", types.SimpleNamespace(GPU=lambda task: marked.append(task) or task))
    assert zero_gpu.mark() is zero_gpu.lent_gpu
    assert marked == [zero_gpu.lent_gpu]


def test_the_function_names_the_gpu_or_says_that_there_is_none():
    import torch

    if torch.cuda.is_available():
        assert zero_gpu.lent_gpu() == torch.cuda.get_device_name()
    else:
        with pytest.raises((AssertionError, RuntimeError)):
            zero_gpu.lent_gpu()
