"""Who finds whom surprising: every storyteller reads every teller's stories, people's too."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from storylab.evaluation.score import bootstrap_interval, perplexity, story_losses
from storylab.evaluation.told import Told
from storylab.framing import encode_stories
from storylab.processes import ALONE, Processes
from storylab.stories import Story

if TYPE_CHECKING:
    from storylab.storytellers.storyteller import Storyteller

Figure = dict[str, float | int | None]


def cross_reading(
    readers: Sequence["Storyteller"],
    written: Mapping[str, Sequence[Told]],
    on_read: Callable[[int, int], None] = lambda done, total: None,
    processes: Processes = ALONE,
) -> dict[str, dict[str, Figure]]:
    """The perplexity per word of each reader on each writer's stories, given their openings.

    Every story is read as a whole one: its words and the end behind them, also where its teller was cut off.
    Stories that have more tokens than some reader has positions are left out for all readers.

    Args:
        readers: Who reads, in their own precision.
        written: The stories of each writer by name, for the same openings.
        on_read: Told how many pairs of a reader and a writer are done, and how many there are, before each batch.
        processes: Who reads; every one returns all figures.

    Returns:
        By reader, by writer: `value`, `low`, `high` (95% bootstrap interval over stories) and `stories` read;
        None for what has no value.
    """
    matrix: dict[str, dict[str, Figure]] = {reader.name: {} for reader in readers}
    total = len(readers) * len(written)
    for name, stories in written.items():
        fit = np.all([fits(reader, stories) for reader in readers], axis=0)
        short = [story for story, fits_all in zip(stories, fit, strict=True) if fits_all]
        for reader in readers:
            done = sum(map(len, matrix.values()))
            matrix[reader.name][name] = _read(reader, short, lambda done=done: on_read(done, total), processes)
    on_read(total, total)
    return matrix


def fits(reader: "Storyteller", stories: Sequence[Told] | Sequence[Story]) -> list[bool]:
    """Whether a reader has positions for each of some stories, with the start or end token around it."""
    encoded = encode_stories(stories, reader.tokenizer)
    return [len(story.opening) + len(story.continuation) < reader.kind.positions for story in encoded]


def _read(reader: "Storyteller", stories: Sequence[Told], on_batch: Callable[[], None], processes: Processes) -> Figure:
    if not stories:
        return {"value": None, "low": None, "high": None, "stories": 0}
    nll, _ = story_losses(reader, stories, lambda examples: on_batch(), processes=processes)
    words = np.array([story.scored_words for story in stories])
    low, high = bootstrap_interval(nll, words)
    value = float(perplexity(np.array([nll.sum(), words.sum()])))
    return {"value": value, "low": low, "high": high, "stories": len(stories)}
