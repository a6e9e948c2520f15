"""Many stories at once: a batch of them goes through the model together, each with its own luck and settings."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from storylab.errors import StoryLabError
from storylab.storytellers.observers import told_now

if TYPE_CHECKING:
    from storylab.decoding import Settings
    from storylab.decoding.sampling import Choice
    from storylab.storytellers.storyteller import Storyteller
    from storylab.storytellers.telling import Piece, Telling
    from storylab.storytellers.under_way import UnderWay

    Step = tuple[int, Choice, Piece | None]
    """The number of a telling, the token that was chosen for it, and what that adds to it: None where it has ended."""


def tell_together(
    storyteller: Storyteller,
    openings: Sequence[str],
    settings: Settings,
    seeds: Sequence[int],
    batch_size: int = 32,
) -> Iterator[tuple[int, Telling]]:
    """Tell a story for each opening, many at a time.

    Openings share a batch where the storyteller lets them keep company: with torch those of equal length in tokens,
    so that none is padded. Each has a random stream of its own. A story is therefore the one that
    `Storyteller.tell` tells, whatever it shares a batch with; with torch but for the last bits of floating-point sums,
    which may differ with the size of a batch and rarely decide a token.

    Args:
        storyteller: Who tells.
        openings: First sentences, 1 to 300 characters each.
        settings: How to decode; a beam search goes through its openings one by one.
        seeds: One for each opening.
        batch_size: Openings that share a batch at most.

    Yields:
        (number of the opening, telling), as they end.

    Raises:
        StoryLabError: An opening or seed is not what it must be, before anything is told.
    """
    if len(openings) != len(seeds):
        raise StoryLabError(f"{len(openings)} openings need as many seeds, not {len(seeds)}")
    begin = lambda number: storyteller.begin(openings[number], settings, seeds[number])  # noqa: E731
    groups = companies(storyteller, openings, settings, seeds, batch_size)
    if settings.strategy == "beam":
        for number, (opening, seed) in enumerate(zip(openings, seeds, strict=True)):
            yield number, storyteller.tell(opening, settings, seed)
        return
    for group in groups:
        left = {number: begin(number) for number in group}
        with told_now(len(group)):
            for steps in _tell(storyteller, dict(left), threading.Event()):
                yield from ((number, left.pop(number).telling()) for number, _, piece in steps if piece is None)
        yield from ((number, telling.telling()) for number, telling in left.items())


def companies(
    storyteller: Storyteller, openings: Sequence[str], settings: Settings, seeds: Sequence[int], batch_size: int
) -> list[list[int]]:
    """The numbers of the openings that `tell_together` tells together; each group may be told by itself.

    The arguments and errors are those of `tell_together`.
    """
    begun = (storyteller.begin(opening, settings, seed) for opening, seed in zip(openings, seeds, strict=True))
    return list(_groups(storyteller, [telling.prompt for telling in begun], batch_size))


def tell_side_by_side(
    storyteller: Storyteller, tellings: Sequence[UnderWay], stop: threading.Event | None = None
) -> Iterator[list[Step]]:
    """Carry on tellings that have begun, a token each at a time; each may have settings of its own.

    They share batches as in `tell_together`, and what is said there of floating-point sums holds here too.

    Args:
        storyteller: Who tells.
        tellings: Begun by `Storyteller.begin`, none of them a beam search.
        stop: Ends all when set, before the next token.

    Yields:
        After each token what it did to the tellings that are still told. `UnderWay.ended_by` stays None for those
        that reach the token limit or are stopped.
    """
    for group in _groups(storyteller, [telling.prompt for telling in tellings], len(tellings)):
        with told_now(len(group)):
            yield from _tell(storyteller, {number: tellings[number] for number in group}, stop or threading.Event())


def _groups(storyteller: Storyteller, prompts: Sequence[str], size: int) -> Iterator[list[int]]:
    """The numbers of prompts in runs that can keep company, at most `size` long."""
    company = [storyteller.company(prompt) for prompt in prompts]
    group: list[int] = []
    for number in sorted(range(len(prompts)), key=lambda number: company[number]):
        if group and (len(group) == size or company[number] != company[group[0]]):
            yield group
            group = []
        group.append(number)
    if group:
        yield group


def _tell(storyteller: Storyteller, tellings: dict[int, UnderWay], stop: threading.Event) -> Iterator[list[Step]]:
    """Carry on tellings of one batch, by their numbers, until all have ended."""
    if stop.is_set():
        return
    choosers = {number: storyteller.chooser(told.settings, told.seed) for number, told in tellings.items()}
    session = storyteller.session([telling.prompt for telling in tellings.values()])
    numbers, told = list(tellings), 0
    while not stop.is_set():
        steps = []
        for row, number in enumerate(numbers):
            choice = choosers[number].choose(session.context_of(row), session.logits[row])
            steps.append((number, choice, tellings[number].add(choice)))
        yield steps
        told += 1
        going_on = [
            row
            for row, (number, _, piece) in enumerate(steps)
            if piece is not None and told < tellings[number].settings.max_new_tokens and session.room_of(row) > 0
        ]
        if not going_on:
            return
        if len(going_on) < len(numbers):
            session.keep(going_on)
        numbers = [numbers[row] for row in going_on]
        session.advance([steps[row][1].token for row in going_on])
