"""What the graphs of causal decoders share: inputs, attention with a cache, logits of the tokens that are asked for.

A run takes the new tokens of some texts, right-padded to one length where they differ, and keeps keys and values in
buffers that it is given: what it reads and what it writes is the same memory. All rows of a batch are computed apart,
so a text's numbers do not hang on what it is computed with.
"""

from torch import Tensor

from storylab.engines.graph import FLOAT, INT32, INT64, MICROSOFT, Graph

STEP = 8
"""What the width of a head must be a multiple of; ONNX Runtime's attention with a cache takes no other."""


class CausalGraph(Graph):
    """A graph with the inputs of a causal decoder.

    `ids` and `places` (texts, length) are the new tokens and their positions, `last` (texts) and `longest` say how
    long each text is with them (its length less one, and the greatest length), `asked` (n) numbers the rows, counted
    through all texts, whose `logits` (n, vocabulary) are wanted.
    """

    def __init__(self, block: int | None, heads: int, key_heads: int, width: int):
        super().__init__(block)
        self.heads, self.key_heads, self.width = heads, key_heads, width
        self.layers, self.vocabulary, self.has_places = 0, 0, False
        self.ids = self.input("ids", INT64, ["texts", "length"])
        self.last = self.input("last", INT32, ["texts"])
        self.longest = self.input("longest", INT32, [])
        self.asked = self.input("asked", INT64, ["asked"])
        self.rows = self.op("Reshape", [self.ids, self.constant(-1)])  # (texts * length)
        self._split = self.op("Concat", [self.op("Shape", [self.ids]), self.constant(-1)], axis=0)
        self._flat = self.constant(-1, heads * width)

    def places(self) -> str:
        """The positions of the new tokens (texts * length), for models that learn an embedding of each."""
        self.has_places = True
        places = self.input("places", INT64, ["texts", "length"])
        return self.op("Reshape", [places, self.constant(-1)])

    def apart(self, x: str) -> str:
        """(texts * length, width) -> (texts, length, width)."""
        return self.op("Reshape", [x, self._split])

    def together(self, x: str) -> str:
        """(texts, length, heads * width) -> (texts * length, heads * width)."""
        return self.op("Reshape", [x, self._flat])

    def attention(self, query_key_value: list[str], layer: int, more: tuple[str, ...] = (), **about) -> str:
        """Causal attention of the new tokens to themselves and to all before: (rows, width) of each -> (rows, width).

        Args:
            query_key_value: The three, or one that holds them side by side.
            layer: Whose keys and values are kept.
            more: Further inputs of the operator.
            **about: Further attributes of the operator.
        """
        self.layers = max(self.layers, layer + 1)
        cache = ["texts", self.key_heads, "room", self.width]
        earlier = [self.input(f"{side}{layer}", FLOAT, cache) for side in ("keys", "values")]
        kept = [self.output(f"new_{side}{layer}", FLOAT, cache) for side in ("keys", "values")]
        read = [self.apart(x) for x in query_key_value]
        mixed = self.op(
            "GroupQueryAttention",
            [*read, *[""] * (3 - len(read)), *earlier, self.last, self.longest, *more],
            [self.name(), *kept],
            MICROSOFT,
            num_heads=self.heads,
            kv_num_heads=self.key_heads,
            **about,
        )
        return self.together(mixed)

    def pick(self, x: str) -> str:
        """The rows that are asked for."""
        return self.op("Gather", [x, self.asked])

    def logits(self, x: str, head: Tensor) -> None:
        """Map picked rows to the vocabulary, by a matrix (vocabulary, width), and give them out."""
        self.vocabulary = head.shape[0]
        self.output("logits", FLOAT, ["asked", self.vocabulary])
        self.op("Identity", [self.linear(x, head)], ["logits"])
