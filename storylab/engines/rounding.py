"""Which way of rounding to 8 bits a model gets on this machine."""

from functools import cache

import numpy as np
import torch
from transformers import PreTrainedModel

from storylab.engines.eight_bits import BLOCK, WHOLE_ROW
from storylab.engines.graph import FLOAT, Graph
from storylab.engines.runtime import Runner
from storylab.models import EncoderStoryteller


def block_of(model: PreTrainedModel) -> int:
    """How many neighbours in a row of a model's matrices share a scale: `BLOCK`, or `WHOLE_ROW`.

    Whole rows are for a model that multiplies many at once, since it reads its prefix anew for every token.
    """
    return WHOLE_ROW if isinstance(model, EncoderStoryteller) and sums_are_exact() else BLOCK


@cache
def sums_are_exact() -> bool:
    """Whether this machine's products of whole rows never overflow.

    x86 without VNNI adds two products of 8 bits in 16, which the largest of them overflow; so some of those are tried.
    """
    width, columns = 64, 16
    graph = Graph(WHOLE_ROW)
    x = graph.input("x", FLOAT, ["rows", width])
    graph.output("y", FLOAT, ["rows", columns])
    graph.op("Identity", [graph.linear(x, torch.ones(columns, width))], ["y"])
    try:
        runner = Runner(graph)
        (y,) = runner.run({"x": np.ones((4, width), np.float32)}, runner)
    except MemoryError:
        raise
    except Exception:  # one of ONNX Runtime's several, where it has no such product
        return False
    return bool(np.allclose(y, width, rtol=1e-3))
