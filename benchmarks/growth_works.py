"""What `benchmarks.growth` measures, one work a process: ``python -m benchmarks.growth_works WORK STORIES.csv``.

Prints the seconds of the work and the bytes of the process, its stories included, beyond what it had after imports.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.memory import resident
from benchmarks.packing import TRAIN, some_steps
from storylab.evaluation.metrics import standard_metrics
from storylab.evaluation.significance import compare
from storylab.framing import Autoregressive, EncodedStory, Packed, batches, encode_stories
from storylab.stories import Story, read_stories
from storylab.tokenizers import load_tokenizer
from storylab.training.build import build_model
from storylab.training.data import StoryCorpus
from storylab.training.freezing import freeze
from storylab.training.recipe import read_recipe

VOCABULARY = str(TRAIN / "vocabulary")
RECIPE = TRAIN / "gpt2-mini-finetuned.toml"
ENCODED = 10_000
"""Stories that are encoded for works that come after encoding; further ones share their openings and endings."""
STEPS = 2
POSITIONS = 512


def timed(work: Callable[[], object]) -> float:
    """The seconds of a work."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def reading(file: Path) -> float:
    """A file of stories, read and cleaned."""
    return timed(lambda: read_stories(file))


def gathering(file: Path) -> float:
    """The same for a training: without duplicates, split, checked for leaks, fingerprints taken."""
    recipe = read_recipe(RECIPE, [f"stories={file}"])
    return timed(lambda: StoryCorpus(recipe))


def encoding(file: Path) -> float:
    """Stories to token ids."""
    stories, tokenizer = read_stories(file), load_tokenizer(VOCABULARY)
    return timed(lambda: encode_stories(stories, tokenizer))


def encoded(file: Path) -> tuple[list[EncodedStory], object]:
    """As many encoded stories as a file has, and their tokenizer."""
    count, tokenizer = len(read_stories(file)), load_tokenizer(VOCABULARY)
    some = encode_stories(read_stories(file, limit=ENCODED), tokenizer)
    if count == len(some):
        return some, tokenizer
    drawn = np.random.default_rng(0).integers(len(some), size=(count, 2)).tolist()
    return [EncodedStory(some[one].opening, some[other].continuation) for one, other in drawn], tokenizer


def packs(file: Path) -> Packed:
    """All stories of a file in the recipe's packs."""
    return Packed(*encoded(file), POSITIONS, read_recipe(RECIPE).pack_length)


def packing(file: Path) -> float:
    """Encoded stories into packs."""
    stories, tokenizer = encoded(file)
    return timed(lambda: Packed(stories, tokenizer, POSITIONS, read_recipe(RECIPE).pack_length))


def ordering(file: Path) -> float:
    """An epoch's batches."""
    stories, tokenizer = encoded(file)
    framing = Autoregressive(stories, tokenizer, POSITIONS)
    return timed(lambda: batches(framing, 0, 32, seed=0))


def training_step(file: Path) -> float:
    """A step of the fine-tuning recipe, in seconds."""
    stories, tokenizer = encoded(file)
    recipe = read_recipe(RECIPE)
    framing = Packed(stories, tokenizer, POSITIONS, recipe.pack_length)
    model = build_model(read_recipe(TRAIN / "gpt2-mini.toml"), tokenizer)
    freeze(model, recipe.freeze)
    short = Autoregressive([EncodedStory(stories[0].opening[:2], stories[0].continuation[:2])], tokenizer, POSITIONS)
    (_, started), *_, (_, ended) = some_steps(model, recipe, framing, short, STEPS)
    return (ended - started) / STEPS


def measuring(*chosen: str) -> Callable[[Path], float]:
    """Metrics with their intervals of stories told, whose places the continuations of other stories take.

    Args:
        chosen: How the metrics' keys begin; with none, all whose keys begin with none of `FAMILIES`.
    """

    def work(file: Path) -> float:
        inputs = told(read_stories(file))
        wanted = [metric for metric in standard_metrics() if of_family(metric.key, chosen)]

        def measure() -> None:
            for metric in wanted:
                rows = metric.statistics(**inputs)
                metric.value(rows.sum(axis=0))
                metric.interval(rows)

        return timed(measure)

    return work


FAMILIES = ("bleu", "chrf", "distinct", "self_bleu")


def of_family(key: str, chosen: Sequence[str]) -> bool:
    """Whether a metric is among those chosen."""
    return key.startswith(tuple(chosen)) if chosen else not key.startswith(FAMILIES)


def told(stories: Sequence[Story]) -> dict[str, Sequence]:
    """What metrics read."""
    random = np.random.default_rng(0)
    continuations = [story.continuation for story in stories]
    return {
        "predictions": [*continuations[1:], continuations[0]],
        "references": continuations,
        "openings": [story.opening for story in stories],
        "sentences": [4] * len(stories),
        "finished": [True] * len(stories),
        "nll": random.gamma(40, 4, size=len(stories)),
        "words": np.array([story.scored_words for story in stories]),
    }


def comparing(file: Path) -> float:
    """Two storytellers on one metric: the difference, its interval and its p-value."""
    count = len(read_stories(file))
    random = np.random.default_rng(0)
    one, other = (np.column_stack([random.random(count), np.ones(count)]) for _ in range(2))
    return timed(lambda: compare(one, other, lambda totals: totals[..., 0] / totals[..., 1]))


WORKS: dict[str, Callable[[Path], float]] = {
    "reading a CSV": reading,
    "reading for a training (duplicates, split, leaks, fingerprints)": gathering,
    "encoding": encoding,
    "packing": packing,
    "ordering an epoch": ordering,
    "a training step": training_step,
    "BLEU": measuring("bleu"),
    "chrF++": measuring("chrf"),
    "distinct-n, self-BLEU": measuring("distinct", "self_bleu"),
    "the other metrics": measuring(),
    "comparing two storytellers": comparing,
}


def peak_memory() -> int:
    """The most memory that this process has had, in bytes."""
    status = Path("/proc/self/status")  # `ru_maxrss` may be that of the process that started this one
    if status.exists():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """Do one work and print what it took."""
    name, file = sys.argv[1:]
    before = int(resident(os.getpid()) * 2**20) if Path("/proc/self/status").exists() else peak_memory()
    seconds = WORKS[name](Path(file))
    print(json.dumps({"seconds": float(f"{seconds:.4g}"), "bytes": peak_memory() - before}))


if __name__ == "__main__":
    main()
