"""Many stories at once: a batch of openings goes through the model together, each with its own luck."""

from collections.abc import Iterator, Sequence

from storylab.decoding import Settings
from storylab.errors import StoryLabError
from storylab.storytellers.storyteller import Storyteller
from storylab.storytellers.telling import Telling
from storylab.storytellers.under_way import UnderWay


def tell_together(
    storyteller: Storyteller,
    openings: Sequence[str],
    settings: Settings,
    seeds: Sequence[int],
    batch_size: int = 32,
) -> Iterator[tuple[int, Telling]]:
    """Tell a story for each opening, many at a time.

    Openings of equal length in tokens share a batch, so that none is padded; each has a random stream of its own.
    A story is therefore the one that `Storyteller.tell` tells, whatever it shares a batch with, but for the
    last bits of floating-point sums, which may differ with the size of a batch and rarely decide a token.

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
    prompts = [begin(number).prompt for number in range(len(openings))]
    if settings.strategy == "beam":
        for number, (opening, seed) in enumerate(zip(openings, seeds, strict=True)):
            yield number, storyteller.tell(opening, settings, seed)
        return
    lengths = [storyteller.kind.prompt(prompt)["input_ids"].shape[1] for prompt in prompts]
    order = sorted(range(len(openings)), key=lambda number: lengths[number])
    for group in _groups(order, lengths, batch_size):
        yield from _tell_group(storyteller, [(number, begin(number)) for number in group])


def _groups(order: Sequence[int], lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Runs of equal length, at most `size` long."""
    group: list[int] = []
    for number in order:
        if group and (len(group) == size or lengths[number] != lengths[group[0]]):
            yield group
            group = []
        group.append(number)
    if group:
        yield group


def _tell_group(storyteller: Storyteller, group: list[tuple[int, UnderWay]]) -> Iterator[tuple[int, Telling]]:
    choosers = {number: storyteller.chooser(under_way.settings, under_way.seed) for number, under_way in group}
    session = storyteller.session([under_way.prompt for _, under_way in group])
    left = group[0][1].settings.max_new_tokens
    while group:
        left -= 1
        choices = [
            choosers[number].choose(session.context[row : row + 1], session.logits[row])
            for row, (number, _) in enumerate(group)
        ]
        ended = [under_way.add(choice) is None for choice, (_, under_way) in zip(choices, group, strict=True)]
        at_limit = left <= 0 or session.room <= 0
        yield from (
            (number, under_way.telling())
            for done, (number, under_way) in zip(ended, group, strict=True)
            if done or at_limit
        )
        if at_limit:
            return
        rows = [row for row, done in enumerate(ended) if not done]
        if not rows:
            return
        if len(rows) < len(group):
            session.keep(rows)
            group = [group[row] for row in rows]
        session.advance([choices[row].token for row in rows])
