"""The encoder-only storyteller as a graph, which reads its whole prefix for every token."""

from collections.abc import Sequence

import numpy as np

from storylab.engines.attention import encoder_layer
from storylab.engines.graph import FLOAT, INT64, Graph
from storylab.engines.runtime import Runner
from storylab.engines.texts import Texts
from storylab.models import EncoderStoryteller


def fits(model: EncoderStoryteller) -> bool:
    """Whether it is the whole storyteller and not the first stage of a training."""
    return not model.config.causal


def graph_of(model: EncoderStoryteller, block: int | None) -> Graph:
    """`ids` (texts, length) and `places` (length) to the `logits` (texts, vocabulary) of the token after them."""
    graph, config = Graph(block), model.config
    ids = graph.input("ids", INT64, ["texts", "length"])
    places = graph.input("places", INT64, ["length"])
    back = graph.input("distances", INT64, ["length"])
    place = graph.op("Add", [graph.embed(places, model.positions.weight), graph.embed(back, model.distances.weight)])
    x = graph.op("Add", [graph.embed(ids, model.tokens.weight, model.head.weight), place])  # (texts, length, width)
    split = graph.op("Concat", [graph.op("Shape", [ids]), graph.constant(-1)], axis=0)
    x = graph.op("Reshape", [x, graph.constant(-1, config.width)])  # (texts * length, width)
    for layer in model.layers:
        x = encoder_layer(graph, x, layer, split)
    x = graph.op("Reshape", [graph.layer_norm(x, model.norm), split])
    # A mean as a product, which sums in one order however many texts there are; ReduceMean does not.
    shares = graph.input("shares", FLOAT, ["texts", 1, "length"])
    pooled = graph.op("Reshape", [graph.op("MatMul", [shares, x]), graph.constant(-1, config.width)])
    graph.output("logits", FLOAT, ["texts", config.vocab_size])
    graph.op("Identity", [graph.linear(pooled, model.head.weight)], ["logits"])
    return graph


class EncoderTexts(Texts):
    """Texts with prompts of equal length."""

    def __init__(self, runner: Runner, prompts: Sequence[Sequence[int]]):
        self._runner, self._ids = runner, np.array(prompts, np.int64)
        self._run()

    def advance(self, tokens: Sequence[int]) -> None:
        self._ids = np.concatenate([self._ids, np.array(tokens, np.int64)[:, None]], axis=1)
        self._run()

    def keep(self, texts: Sequence[int]) -> None:
        self._ids, self.logits = self._ids[list(texts)], self.logits[list(texts)]

    def _run(self) -> None:
        places = np.arange(self._ids.shape[1])
        texts, length = self._ids.shape
        shares = np.full((texts, 1, length), 1 / length, np.float32)
        inputs = {"ids": self._ids, "places": places, "distances": places[::-1].copy(), "shares": shares}
        (self.logits,) = self._runner.run(inputs, self)
