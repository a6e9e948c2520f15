"""One storyteller, one opening and one seed, many ways to decode, side by side."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from storylab.decoding import PRESETS, Settings, check_seed
from storylab.storytellers.telling import Piece, Telling
from storylab.storytellers.together import tell_side_by_side

if TYPE_CHECKING:
    from storylab.storytellers.storyteller import Storyteller

_PURE = PRESETS["pure"]
STRATEGIES: Mapping[str, Settings] = {
    "greedy": PRESETS["greedy"],
    "beam": PRESETS["beam"],
    "temperature 0.1": replace(_PURE, temperature=0.1),
    "temperature 0.5": replace(_PURE, temperature=0.5),
    "temperature 1": _PURE,
    "temperature 1.5": replace(_PURE, temperature=1.5),
    "top-k 40": replace(_PURE, top_k=40),
    "top-p 0.9": replace(_PURE, top_p=0.9),
    "min-p 0.05": replace(_PURE, min_p=0.05),
    "typical-p 0.9": replace(_PURE, typical_p=0.9),
}
"""Settings that change one thing each, so that the same random numbers show what it does."""


def stream_strategies(
    storyteller: Storyteller, opening: str, seed: int | None = None, stop: threading.Event | None = None
) -> Iterator[tuple[str, Piece | Telling]]:
    """Tell a story by every strategy of `STRATEGIES`, all from the same random numbers.

    Those that go token by token are told together; the beam search, which is whole before it can be read, follows.

    Args:
        storyteller: Who tells.
        opening: The first sentence, 1 to 300 characters.
        seed: 0 to 2**32 - 1; None draws one.
        stop: Ends all when set, before the next token.

    Yields:
        (name of the strategy, piece of its story), and at the end of each story (name, telling); a story is the one
        that `Storyteller.tell` tells, but for what `tell_side_by_side` says of floating-point sums.

    Raises:
        StoryLabError: Opening or seed is not what it must be, before anything is told.
    """
    seed, stop = check_seed(seed), stop or threading.Event()
    together = [name for name, settings in STRATEGIES.items() if settings.strategy != "beam"]
    tellings = [storyteller.begin(opening, STRATEGIES[name], seed) for name in together]
    left = dict(zip(together, tellings, strict=True))
    for steps in tell_side_by_side(storyteller, tellings, stop):
        for number, _, piece in steps:
            name = together[number]
            yield name, left.pop(name).telling() if piece is None else piece
    for name, telling in left.items():
        yield name, telling.telling("stopped" if stop.is_set() else "tokens")
    for name, settings in STRATEGIES.items():
        if settings.strategy == "beam":
            for piece in storyteller.stream(opening, settings, seed, stop):
                yield name, piece


def tell_strategies(
    storyteller: Storyteller, opening: str, seed: int | None = None, stop: threading.Event | None = None
) -> Iterator[tuple[str, Telling]]:
    """The same, without the pieces: (name of the strategy, telling), as they end."""
    for name, told in stream_strategies(storyteller, opening, seed, stop):
        if isinstance(told, Telling):
            yield name, told
