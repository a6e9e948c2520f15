"""Bidirectional layers as nodes: the encoder of `EncoderStoryteller` and of `Seq2SeqStoryteller`."""

from storylab.engines.graph import MICROSOFT, Graph
from storylab.models.layers import Attention, EncoderLayer, FeedForward


def project(graph: Graph, x: str, attention: Attention, parts: str = "query key value") -> list[str]:
    """Some of an attention's projections of x (rows, width)."""
    return [graph.linear(x, getattr(attention, part).weight) for part in parts.split()]


def feed_forward(graph: Graph, x: str, layer: FeedForward) -> str:
    """(rows, width) -> (rows, width)."""
    return graph.linear(graph.squared_relu(graph.linear(x, layer.expand.weight)), layer.contract.weight)


def encoder_layer(graph: Graph, x: str, layer: EncoderLayer, split: str, mask: str = "") -> str:
    """An encoder layer on x (rows, width), of which `split` tells the shape (texts, length, -1).

    `mask` (texts, 1, length, length) is added to the scores of attention where some positions must not be seen.
    """
    attention = layer.attention
    each = project(graph, graph.layer_norm(x, layer.attention_norm), attention)
    read = [graph.op("Reshape", [part, split]) for part in each]
    inputs = [*read, "", "", mask] if mask else read
    mixed = graph.op("MultiHeadAttention", inputs, domain=MICROSOFT, num_heads=attention.heads)
    flat = graph.op("Reshape", [mixed, graph.constant(-1, attention.query.weight.shape[0])])
    x = graph.op("Add", [x, graph.linear(flat, attention.output.weight)])
    return graph.op("Add", [x, feed_forward(graph, graph.layer_norm(x, layer.feed_forward_norm), layer.feed_forward)])
