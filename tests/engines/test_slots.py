"""Which rows of the memory texts have, as some of them end."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as some

from storylab.engines.texts import Slots, moved


@given(some.data())
def test_every_text_keeps_its_memory(data):
    texts = data.draw(some.integers(1, 9))
    slots, memory, names = Slots(texts), np.arange(texts)[None].copy(), list(range(texts))
    while len(names) > 1:
        kept = sorted(data.draw(some.sets(some.integers(0, len(names) - 1), min_size=1, max_size=len(names) - 1)))
        moves = slots.keep(kept)
        memory, names = moved(memory, moves, len(kept)), [names[text] for text in kept]
        assert memory[0, slots.rows].tolist() == names
        assert len(moves) <= len(kept)
