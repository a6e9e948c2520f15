"""Time and memory against the number of stories: reading, encoding, packing, training, evaluating.

Each work at each size runs in a process of its own, so that the memory is its own. Where the file has too few
stories, more are made up of its sentences.
"""

import csv
import json
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.record import DOCS, Size
from storylab.errors import StoryLabError
from storylab.stories import SENTENCES, Story, read_stories

COUNTS = (1_000, 10_000, 100_000, 1_000_000)
MOST = 100_000
LIMITED = ("encoding", "BLEU", "chrF++", "distinct-n, self-BLEU", "the other metrics", "comparing two storytellers")
"""Works that would take more than two minutes at a million stories: they get `MOST` at most."""
HEADER = ["storyid", "storytitle", *(f"sentence{number}" for number in range(1, SENTENCES + 1))]


def rows(options: Namespace) -> Iterator[Size]:
    """Measure all works at all sizes, the smaller first."""
    from benchmarks.growth_works import WORKS  # imports torch, which this process can do without

    corpus = read_stories(options.stories)
    with tempfile.TemporaryDirectory() as folder:
        files = {count: Path(folder) / f"{count}.csv" for count in COUNTS}
        for count, file in files.items():
            write(file, islice(endless(corpus), count))
        for work in WORKS:
            for count, file in files.items():
                if work not in LIMITED or count <= MOST:
                    seconds, peak = measured(work, file)
                    yield Size(work, count, seconds, peak, real=count <= len(corpus))


def measured(work: str, file: Path) -> tuple[float, int]:
    """The seconds and the bytes that a work takes on a file of stories, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.growth_works", work, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=DOCS.parent)
    if done.returncode:
        raise StoryLabError(f"{work} on {file.stem} stories: {done.stderr.strip()[-300:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    return found["seconds"], found["bytes"]


def endless(corpus: Sequence[Story], seed: int = 0) -> Iterator[Story]:
    """The stories of a corpus, then ever more: each sentence that of a story drawn anew, at its own place."""
    yield from corpus
    random, number = np.random.default_rng(seed), 0
    while True:
        for drawn in random.integers(len(corpus), size=(1000, SENTENCES)).tolist():
            sentences = tuple(corpus[story].sentences[place] for place, story in enumerate(drawn))
            number += 1
            yield Story(sentences, f"made-up-{number}", corpus[drawn[0]].title)


def write(file: Path, stories: Iterator[Story]) -> None:
    """Write stories as a CSV."""
    with open(file, "w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(HEADER)
        writer.writerows([story.id, story.title, *story.sentences] for story in stories)
