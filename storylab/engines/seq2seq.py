"""The encoder-decoder as two graphs: one reads the source, the other writes, with a cache, and looks at the source."""

from collections.abc import Sequence

import numpy as np

from storylab.engines.attention import encoder_layer, feed_forward, project
from storylab.engines.causal import CausalGraph
from storylab.engines.causal_texts import CausalTexts
from storylab.engines.graph import FLOAT, INT64, MICROSOFT, Graph
from storylab.engines.runtime import Binding, Runner
from storylab.engines.texts import moved
from storylab.models import Seq2SeqStoryteller

PADDING = 16
"""Sources are padded to a multiple of it; sums over more padding would group their terms in another way."""


def padded_length(length: int, positions: int) -> int:
    """How long a source is with its padding, of a model with so many positions."""
    return min(positions, -(-length // PADDING) * PADDING)


def source_graph(model: Seq2SeqStoryteller, block: int | None) -> Graph:
    """`ids` (texts, length), `places` (length), `mask` (texts, 1, length, length) -> keys and values for each layer.

    The outputs `source_keys0`, `source_values0`, ... (texts, heads, length, width / heads) are the source as the
    writing half's layers see it.
    """
    graph, config, encoder = Graph(block), model.config, model.encoder
    ids, places = graph.input("ids", INT64, ["texts", "length"]), graph.input("places", INT64, ["length"])
    mask = graph.input("mask", FLOAT, ["texts", 1, "length", "length"])
    x = graph.op(
        "Add", [graph.embed(ids, model.tokens.weight, model.head.weight), graph.embed(places, encoder.positions.weight)]
    )
    shape = graph.op("Shape", [ids])
    split = graph.op("Concat", [shape, graph.constant(-1)], axis=0)
    by_head = graph.op("Concat", [shape, graph.constant(config.heads, config.width // config.heads)], axis=0)
    x = graph.op("Reshape", [x, graph.constant(-1, config.width)])  # (texts * length, width)
    for layer in encoder.layers:
        x = encoder_layer(graph, x, layer, split, mask)
    x = graph.layer_norm(x, encoder.norm)
    for number, layer in enumerate(model.decoder.layers):
        for side, part in zip(("keys", "values"), project(graph, x, layer.source_attention, "key value"), strict=True):
            name = f"source_{side}{number}"
            graph.output(name, FLOAT, ["texts", config.heads, "length", config.width // config.heads])
            graph.op("Transpose", [graph.op("Reshape", [part, by_head])], [name], perm=[0, 2, 1, 3])
    return graph


def target_graph(model: Seq2SeqStoryteller, block: int | None) -> CausalGraph:
    """The writing half, one token of each text at a time; `unread` (texts, 1, 1, source length) hides padding."""
    config, decoder = model.config, model.decoder
    width = config.width // config.heads
    graph = CausalGraph(block, config.heads, config.heads, width)
    unread = graph.input("unread", FLOAT, ["texts", 1, 1, "source"])
    place = graph.embed(graph.places(), decoder.positions.weight)
    x = graph.op("Add", [graph.embed(graph.rows, model.tokens.weight, model.head.weight), place])
    for number, layer in enumerate(decoder.layers):
        each = project(graph, graph.layer_norm(x, layer.attention_norm), layer.attention)
        mixed = graph.attention(each, number)
        x = graph.op("Add", [x, graph.linear(mixed, layer.attention.output.weight)])
        read = layer.source_attention
        source = [
            graph.input(f"source_{side}{number}", FLOAT, ["texts", config.heads, "source", width])
            for side in ("keys", "values")
        ]
        (query,) = project(graph, graph.layer_norm(x, layer.source_norm), read, "query")
        mixed = graph.op(
            "MultiHeadAttention",
            [graph.apart(query), *source, "", "", unread],
            domain=MICROSOFT,
            num_heads=config.heads,
        )
        x = graph.op("Add", [x, graph.linear(graph.together(mixed), read.output.weight)])
        inner = graph.layer_norm(x, layer.feed_forward_norm)
        x = graph.op("Add", [x, feed_forward(graph, inner, layer.feed_forward)])
    graph.logits(graph.layer_norm(graph.pick(x), decoder.norm), model.head.weight)
    return graph


class Seq2SeqTexts(CausalTexts):
    """Texts whose sources have the same `padded_length`.

    Args:
        reader: Runs the source's graph.
        writer: Runs the target's.
        graph: The target's.
        sources: Tokens of the openings.
        start: The token that each target begins with.
        positions: The most tokens that a target may have.
    """

    def __init__(
        self,
        reader: Runner,
        writer: Runner,
        graph: CausalGraph,
        sources: Sequence[Sequence[int]],
        start: int,
        positions: int,
    ):
        lengths = np.array([len(source) for source in sources])
        longest = padded_length(int(lengths.max()), positions)
        ids = np.zeros((len(sources), longest), np.int64)
        for row, source in zip(ids, sources, strict=True):
            row[: len(source)] = source
        hidden = np.arange(longest) >= lengths[:, None]  # (texts, length)
        self._unread = np.where(hidden, np.float32(-1e9), np.float32(0))[None, :, None, None]
        self._read = np.arange(len(sources))  # which source each row of the memory has: beams share one
        self._source = np.empty((2 * graph.layers, len(sources), graph.heads, longest, graph.width), np.float32)
        self._read_source(reader.binding(), ids)
        super().__init__(writer, graph, [[start]] * len(sources), positions)

    def _read_source(self, bound: Binding, ids: np.ndarray) -> None:
        """Apart, so that the binding and its turn end here and the writer's may begin."""
        bound.input("ids", ids)
        bound.input("places", np.arange(ids.shape[1]))
        bound.input("mask", np.repeat(self._unread[0], ids.shape[1], axis=2))
        for number, memory in enumerate(self._source):
            bound.output(_name(number), memory)
        bound.run()

    def _shrink(self, moves: list[tuple[int, int]], left: int) -> None:
        super()._shrink(moves, left)
        known, read = len(self._read), self._read
        other = [(row, to) for row, to in moves if to >= known or read[row] != read[to]]
        self._source, self._unread = moved(self._source, other, left), moved(self._unread, other, left)
        self._read = moved(read[None], moves, left)[0]

    def _bind_memory(self) -> None:
        super()._bind_memory()
        self._bound.input("unread", self._unread[0])
        for number, memory in enumerate(self._source):
            self._bound.input(_name(number), memory)


def _name(number: int) -> str:
    return f"source_{('keys', 'values')[number % 2]}{number // 2}"
