"""A graph of ONNX operators, written node by node over weights that stay where torch keeps them."""

from collections.abc import Sequence

import numpy as np
from onnx import NodeProto, TensorProto, ValueInfoProto, helper
from torch import Tensor

from storylab.engines.eight_bits import BLOCK, WHOLE_ROW, ZERO, quantise, rounded

MICROSOFT = "com.microsoft"
"""The domain of ONNX Runtime's own operators: attention with a cache, products with 8-bit weights."""
OPERATORS = 20
"""The version of the ONNX operators; the first with Gelu."""
FILE, ALIGNMENT = "weights", 64
"""What the model calls the file with its weights, and what their places in it are multiples of, in bytes."""
FLOAT, INT32, INT64 = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64
UINT8 = TensorProto.UINT8


class Graph:
    """Nodes, inputs, outputs and weights of one graph; activations are rows of numbers (rows, width).

    Weights are kept beside the graph until it is run: the model that `model()` returns refers to them as places in a
    file, whose bytes `file()` gives.

    Args:
        block: Where the matrices of `linear` are kept in 8 bits, how many neighbours in a row share a scale, or
            `WHOLE_ROW`; None where they are not.
    """

    def __init__(self, block: int | None = None):
        self.block = block
        self._weights: list[np.ndarray] = []
        self._size = 0
        self._nodes: list[NodeProto] = []
        self._inputs: list[ValueInfoProto] = []
        self._outputs: list[ValueInfoProto] = []
        self._constants: dict[tuple[tuple[float, ...], int], TensorProto] = {}
        self._references: list[TensorProto] = []
        self._known: dict[tuple[int, tuple[int, ...]], str] = {}
        self._names = 0

    def name(self) -> str:
        """A name that no other value of the graph has."""
        self._names += 1
        return f"v{self._names}"

    def input(self, name: str, kind: int, shape: Sequence[int | str]) -> str:
        """Declare an input; a word in the shape is a size that may change from run to run."""
        self._inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, name: str, kind: int, shape: Sequence[int | str]) -> str:
        """Declare an output, which a node must name among its own."""
        self._outputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def op(
        self, operator: str, inputs: Sequence[str], outputs: Sequence[str] | None = None, domain: str = "", **about
    ) -> str:
        """Add a node; returns its first output, named by the graph where `outputs` names none."""
        outputs = outputs or [self.name()]
        self._nodes.append(helper.make_node(operator, list(inputs), list(outputs), domain=domain, **about))
        return outputs[0]

    def constant(self, *values: float, kind: int = INT64) -> str:
        """A list of numbers. Equal ones are one constant, so that ONNX Runtime sees what is computed twice."""
        if (values, kind) not in self._constants:
            self._constants[values, kind] = helper.make_tensor(self.name(), kind, [len(values)], values)
        return self._constants[values, kind].name

    def weight(self, values: Tensor | np.ndarray) -> str:
        """A weight of the model; the same memory is the same weight."""
        if isinstance(values, Tensor):
            values = values.detach().numpy()
        values = np.ascontiguousarray(values)
        key = (values.__array_interface__["data"][0], values.shape)
        if key not in self._known:
            name = self._known[key] = self.name()
            kind = helper.np_dtype_to_tensor_dtype(values.dtype)
            reference = TensorProto(name=name, data_type=kind, dims=values.shape, data_location=TensorProto.EXTERNAL)
            for about, value in (("location", FILE), ("offset", self._size), ("length", values.nbytes)):
                reference.external_data.add(key=about, value=str(value))
            self._references.append(reference)
            self._weights.append(values)
            self._size += padded_size(values)
        return self._known[key]

    def linear(self, x: str, matrix: Tensor, bias: Tensor | None = None, columns_first: bool = False) -> str:
        """`x` (rows, in) by a matrix (out, in), or (in, out) where `columns_first`, plus a bias (out)."""
        if self.block is not None:
            by = self._by_rows if self.block == WHOLE_ROW else self._by_blocks
            return by(x, matrix.T if columns_first else matrix, bias)
        inputs = [x, self.weight(matrix)] + ([] if bias is None else [self.weight(bias)])
        return self.op("Gemm", inputs, transB=0 if columns_first else 1)

    def _by_blocks(self, x: str, matrix: Tensor, bias: Tensor | None) -> str:
        numbers, scales = quantise(matrix, self.block)
        inputs = [x, self.weight(numbers), self.weight(scales)]
        if bias is not None:
            inputs += ["", "", self.weight(bias)]  # no zero points: 128 stands for nought; no order of groups
        columns, rows = matrix.shape
        return self.op(
            "MatMulNBits", inputs, domain=MICROSOFT, K=rows, N=columns, bits=8, block_size=self.block, accuracy_level=4
        )  # level 4: activations are rounded to 8 bits too, block by block, so that products are of whole numbers

    def _by_rows(self, x: str, matrix: Tensor, bias: Tensor | None) -> str:
        """Each row of x is rounded to 127 steps as well, so that all sums are of whole numbers, in any order exact."""
        weights, scales = quantise(matrix, WHOLE_ROW)
        largest = self.op("ReduceMax", [self.op("Abs", [x]), self.constant(1)])
        scale = self.op("Mul", [largest, self.constant(1 / 127, kind=FLOAT)])
        scale = self.op("Max", [scale, self.constant(1e-30, kind=FLOAT)])  # a row of noughts has none
        one, zero = self.constant(1, kind=FLOAT), self.constant(ZERO, kind=UINT8)
        numbers = self.op("QuantizeLinear", [self.op("Div", [x, scale]), one, zero])
        signed = (weights[:, 0].T - ZERO).astype(np.int8)
        inputs = [numbers, self.weight(signed), one, self.weight(scales[:, 0]), zero]
        product = self.op("Mul", [self.op("MatMulIntegerToFloat", inputs, domain=MICROSOFT), scale])
        return product if bias is None else self.op("Add", [product, self.weight(bias)])

    def layer_norm(self, x: str, norm) -> str:
        """A torch LayerNorm, with or without a bias."""
        inputs = [x, self.weight(norm.weight)] + ([] if norm.bias is None else [self.weight(norm.bias)])
        return self.op("LayerNormalization", inputs, axis=-1, epsilon=norm.eps)

    def embed(self, ids: str, table: Tensor, head: Tensor | None = None) -> str:
        """Rows of a table (entries, width) by their numbers (rows).

        Where the table is the head's matrix too, it is kept in 8 bits as that is.
        """
        if self.block is None or head is None or head.data_ptr() != table.data_ptr():
            return self.op("Gather", [self.weight(table), ids])
        if table.shape[1] % BLOCK == 0:  # the operator knows whole blocks only
            numbers, scales = quantise(table, self.block)
            if self.block == WHOLE_ROW:
                scales = scales.repeat(table.shape[1] // BLOCK, axis=1)
            inputs = [self.weight(numbers.reshape(table.shape)), ids, self.weight(scales)]
            about = {"bits": 8, "block_size": BLOCK, "gather_axis": 0, "quantize_axis": 1}
            return self.op("GatherBlockQuantized", inputs, domain=MICROSOFT, **about)
        return self.op("Gather", [self.weight(rounded(table, self.block)), ids])

    def squared_relu(self, x: str) -> str:
        """max(x, 0) squared."""
        positive = self.op("Relu", [x])
        return self.op("Mul", [positive, positive])

    def file(self) -> bytes:
        """The weights, one behind the other; the graph lets go of them."""
        file, place = bytearray(self._size), 0
        for values in self._weights:
            file[place : place + values.nbytes] = values.data.cast("B")
            place += padded_size(values)
        self._weights.clear()
        return bytes(file)

    def model(self) -> bytes:
        """The graph as ONNX Runtime reads it, without the weights."""
        graph = helper.make_graph(
            self._nodes, "storyteller", self._inputs, self._outputs, [*self._constants.values(), *self._references]
        )
        domains = [helper.make_opsetid("", OPERATORS), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=domains, ir_version=10).SerializeToString()


def padded_size(values: np.ndarray) -> int:
    """Bytes up to the next weight."""
    return -(-values.nbytes // ALIGNMENT) * ALIGNMENT
