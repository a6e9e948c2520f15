"""Tells a storyteller's stories for an evaluation: many at once, one seed a story, and resumable."""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storylab.decoding import Settings
from storylab.evaluation.told import Told
from storylab.files import storing, write_text
from storylab.processes import ALONE, Processes
from storylab.stories import Story
from storylab.storytellers.telling import Telling
from storylab.storytellers.together import companies, tell_together

if TYPE_CHECKING:
    from storylab.storytellers.storyteller import Storyteller

BATCH_SIZE = 32


def seed_of(story: Story, seed: int) -> int:
    """A seed of a story's own, from 0 to 2**32 - 1: the same wherever the story stands and whatever stands beside it.

    Args:
        story: The story whose opening is told on.
        seed: The seed of the whole evaluation.
    """
    return int.from_bytes(hashlib.sha256(f"{seed}\n{story.text}".encode()).digest()[:4], "big")


def tell_stories(
    storyteller: "Storyteller",
    stories: Sequence[Story],
    settings: Settings,
    seed: int,
    *,
    kept: "Kept | None" = None,
    on_told: Callable[[int], None] = lambda done: None,
    batch_size: int = BATCH_SIZE,
    processes: Processes = ALONE,
) -> list[Told]:
    """A story for the opening of each story.

    Args:
        storyteller: Who tells.
        stories: Whose openings; the rest of them only makes their seeds.
        settings: How to decode.
        seed: Of the evaluation; each story's own comes from it (`seed_of`).
        kept: Where stories are kept as they are told; those that it has are not told again. Of several processes the
            main one has it.
        on_told: Told after each story how many there are.
        batch_size: Openings that are told together at most.
        processes: Who tells; every one returns all stories.

    Raises:
        StoryLabError: An opening can't be told on.
    """
    seeds = [seed_of(story, seed) for story in stories]
    told = processes.gather(kept.read(stories, seeds) if kept else {})[0]
    left = [number for number in range(len(stories)) if number not in told]
    if told:
        on_told(len(told))
    # An engine's sums are the same in a batch of any size, so every process can have some; torch's batches stay whole.
    share = math.ceil(len(left) / processes.number) if storyteller.started_engine() else batch_size
    groups = _groups(storyteller, stories, settings, seeds, left, max(1, min(batch_size, share)))

    def tell(numbers: Sequence[int]) -> Iterator[tuple[int, Told]]:
        openings, own_seeds = [stories[number].opening for number in numbers], [seeds[number] for number in numbers]
        since = time.perf_counter()
        for place, telling in tell_together(storyteller, openings, settings, own_seeds, batch_size):
            now = time.perf_counter()
            since, seconds = now, (now - since) / processes.number  # others told as many meanwhile
            yield numbers[place], _told(openings[place], telling, seconds)

    for number, story in processes.each(groups, tell):
        told[number] = story
        if kept:
            kept.add(story)
        on_told(len(told))
    return [told[number] for number in range(len(stories))]


def _groups(
    storyteller: "Storyteller",
    stories: Sequence[Story],
    settings: Settings,
    seeds: Sequence[int],
    left: Sequence[int],
    size: int,
) -> list[list[int]]:
    """The numbers of the stories that are left, in groups that are told together."""
    openings = [stories[number].opening for number in left]
    groups = companies(storyteller, openings, settings, [seeds[number] for number in left], size)
    return [[left[place] for place in group] for group in groups]


def _told(opening: str, telling: Telling, seconds: float) -> Told:
    return Told(
        opening=opening,
        continuation=" ".join(telling.text.split()),
        sentences=len(telling.story),
        finished=telling.finished,
        ended_by=telling.ended_by,
        seed=telling.seed,
        seconds=round(seconds, 6),
    )


class Kept:
    """A file of stories told so far, one JSON object a line, the first of which says how they were told."""

    def __init__(self, path: Path, conditions: Mapping[str, Any]):
        """Go on with a file, or begin it where there is none or its stories were told otherwise.

        Args:
            path: The file.
            conditions: Everything that a story depends on besides its opening and seed, as JSON-ready data.

        Raises:
            StoryLabError: It can't be written.
        """
        self.path = path
        head = json.dumps(conditions, sort_keys=True)
        self._lines = self._sound_lines() if self._head() == head else []
        write_text(path, "".join(f"{line}\n" for line in [head, *self._lines]))

    def read(self, stories: Sequence[Story], seeds: Sequence[int]) -> dict[int, Told]:
        """The stories that are there, by their numbers."""
        records = [Told(**json.loads(line)) for line in self._lines]
        there = {(told.opening, told.seed): told for told in records}
        keys = ((story.opening, seed) for story, seed in zip(stories, seeds, strict=True))
        return {number: there[key] for number, key in enumerate(keys) if key in there}

    def add(self, told: Told) -> None:
        """Keep a story; once this returns, it outlasts the process."""
        line = json.dumps(asdict(told), ensure_ascii=False) + "\n"
        with storing(self.path), open(self.path, "a", encoding="utf-8", newline="\n") as file:
            file.write(line)

    def _head(self) -> str | None:
        return next(self._all_lines(), None)

    def _sound_lines(self) -> list[str]:
        """The lines below the head, but for a last one that a sudden end cut off."""
        lines = list(self._all_lines())[1:]
        return [line for line in lines if _is_told(line)]

    def _all_lines(self) -> Iterator[str]:
        try:
            text = self.path.read_text(encoding="utf-8", errors="replace")  # the end may cut a character in two
        except OSError:
            return iter(())
        return iter(text.split("\n"))


def _is_told(line: str) -> bool:
    try:
        return isinstance(Told(**json.loads(line)).continuation, str)
    except (ValueError, TypeError):
        return False
