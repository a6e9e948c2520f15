"""Which rows of the memory texts have, as some of them end or go on as several."""

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


@given(some.data())
def test_a_text_that_is_named_twice_has_its_memory_twice(data):
    texts = data.draw(some.integers(1, 6))
    slots, memory, names = Slots(texts), np.arange(texts)[None].copy(), list(range(texts))
    for _ in range(4):
        kept = data.draw(some.lists(some.integers(0, len(names) - 1), min_size=1, max_size=8))
        stay = sum(row < len(kept) for row in set(slots.rows[kept].tolist()))
        moves = slots.keep(kept)
        memory, names = moved(memory, moves, len(kept)), [names[text] for text in kept]
        assert memory[0, slots.rows].tolist() == names
        assert sorted(slots.rows.tolist()) == list(range(len(kept)))
        assert len(moves) == len(kept) - stay


def test_no_more_than_what_is_filled_is_moved():
    memory = np.arange(2 * 2 * 3 * 4, dtype=np.float32).reshape(1, 2, 2, 3, 4)
    before = memory.copy()
    after = moved(memory, [(0, 1)], 2, length=2)
    assert np.array_equal(after[:, 1, :, :2], before[:, 0, :, :2])
    assert np.array_equal(after[:, 1, :, 2:], before[:, 1, :, 2:])
