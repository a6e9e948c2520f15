"""Tellings that share a batch, each with settings of its own: watched token by token, and stopped at any of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storylab.decoding.sampling import Choice
    from storylab.storytellers.storyteller import Storyteller
    from storylab.storytellers.telling import Piece
    from storylab.storytellers.under_way import UnderWay

    Step = tuple[int, Choice, Piece | None]
    """The number of a telling, the token that was chosen for it, and what that adds to it: None where it has ended."""


def tell_side_by_side(
    storyteller: Storyteller, tellings: Sequence[UnderWay], stop: threading.Event | None = None
) -> Iterator[list[Step]]:
    """Carry on tellings that have begun, a token each at a time.

    Prompts of equal length in tokens share a batch, so that none is padded; each telling has a random stream of its
    own. As with `tell_together`, a story is the one that `Storyteller.tell` tells, but for the last bits of
    floating-point sums, which may differ with the size of a batch and rarely decide a token.

    Args:
        storyteller: Who tells.
        tellings: Begun by `Storyteller.begin`, none of them a beam search.
        stop: Ends all when set, before the next token.

    Yields:
        After each token what it did to the tellings that are still told. `UnderWay.ended_by` stays None for those
        that reach the token limit or are stopped.
    """
    lengths = [storyteller.kind.prompt(telling.prompt)["input_ids"].shape[1] for telling in tellings]
    for length in sorted(set(lengths)):
        numbers = [number for number, found in enumerate(lengths) if found == length]
        yield from _tell(storyteller, tellings, numbers, stop or threading.Event())


def _tell(
    storyteller: Storyteller, tellings: Sequence[UnderWay], numbers: list[int], stop: threading.Event
) -> Iterator[list[Step]]:
    if stop.is_set():
        return
    choosers = {number: storyteller.chooser(tellings[number].settings, tellings[number].seed) for number in numbers}
    session = storyteller.session([tellings[number].prompt for number in numbers])
    told = 0
    while not stop.is_set():
        steps = []
        for row, number in enumerate(numbers):
            choice = choosers[number].choose(session.context[row : row + 1], session.logits[row])
            steps.append((number, choice, tellings[number].add(choice)))
        yield steps
        told += 1
        going_on = [
            row
            for row, (number, _, piece) in enumerate(steps)
            if piece is not None and told < tellings[number].settings.max_new_tokens
        ]
        if not going_on or session.room <= 0:
            return
        if len(going_on) < len(numbers):
            session.keep(going_on)
        numbers = [numbers[row] for row in going_on]
        session.advance([steps[row][1].token for row in going_on])
