"""ONNX Runtime: sessions over a graph's weights, and the turns that they take on the processor."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import onnxruntime
import torch

from storylab.engines.graph import FILE, Graph
from storylab.engines.round_robin import RoundRobin
from storylab.errors import StoryLabError

THREADS = 4
"""The most threads that a step of a small model gains from."""


def threads() -> int:
    """How many threads a step takes: no more than torch may."""
    return max(1, min(THREADS, torch.get_num_threads()))


TURNS = RoundRobin(at_once=max(1, torch.get_num_threads() // threads()))
"""So many steps at once keep all cores busy; more would only push one another off them."""


@contextmanager
def one_error() -> Iterator[None]:
    """Whatever ONNX Runtime raises becomes an error that people can read.

    Raises:
        StoryLabError: It can't compute what it was asked for.
    """
    try:
        yield
    except Exception as error:  # it has several, of classes that it does not name in public
        raise StoryLabError(f"ONNX Runtime: {str(error).strip().splitlines()[0]}") from None


class Runner:
    """A graph that can be run, by several threads at once.

    It copies the weights, those of matrix products in the order that they are read in, and the graph lets go of them.
    They come as a file in memory: of weights that it is given as arrays, ONNX Runtime keeps the arrays too.
    """

    def __init__(self, graph: Graph):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads(), 1
        options.log_severity_level = 4
        # Threads that wait for the next node stay awake during a run, and sleep as soon as it is over: others run.
        options.add_session_config_entry("session.intra_op.allow_spinning", "1")
        options.add_session_config_entry("session.force_spinning_stop", "1")
        weights = graph.file()  # which lives until the session has its copy
        options.add_external_initializers_from_files_in_memory([FILE], [weights], [len(weights)])
        self._session = onnxruntime.InferenceSession(graph.model(), options, providers=["CPUExecutionProvider"])

    def binding(self) -> "Binding":
        """Inputs and outputs of runs that follow one another."""
        return Binding(self._session)

    def run(self, inputs: dict[str, np.ndarray], owner: object) -> list[np.ndarray]:
        """Run once for an owner, whose turn it stays for some runs more."""
        with TURNS.step(owner), one_error():
            return self._session.run(None, inputs)


class Binding:
    """Memory that runs read and write in place; belongs to one thread."""

    def __init__(self, session):
        self._session, self._bound, self._held = session, session.io_binding(), {}

    def input(self, name: str, values: np.ndarray) -> None:
        """Read an input from there from now on."""
        self._held[name] = values
        self._bound.bind_input(name, "cpu", 0, values.dtype.type, values.shape, values.ctypes.data)

    def copy(self, name: str, values: np.ndarray) -> None:
        """Read a copy of an input, which takes the place of the last one where that had its shape and type."""
        held = self._held.get(name)
        if held is not None and (held.shape, held.dtype) == (values.shape, values.dtype):
            held[...] = values
        else:
            self.input(name, values.copy())

    def output(self, name: str, values: np.ndarray) -> None:
        """Write an output there from now on."""
        self._held[name] = values
        self._bound.bind_output(name, "cpu", 0, values.dtype.type, values.shape, values.ctypes.data)

    def run(self) -> None:
        """Compute the outputs of what the inputs hold now."""
        with TURNS.step(self), one_error():
            self._session.run_with_iobinding(self._bound)
