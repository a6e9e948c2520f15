"""Fine-tuning in packs against fine-tuning on the same stories, each in a row of its own padded to 128 tokens.

All sides train one model of the shape of gpt2-mini from random weights by the fine-tuning recipe: the same layers
frozen, optimizer, loop and tokens a step, padding included. What counts is stories a second.
"""

import time
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import PreTrainedModel

from benchmarks.record import DOCS
from benchmarks.rows import Row, Side, compare
from storylab.framing import IGNORED, Autoregressive, EncodedStory, Framing, Packed, encode_stories
from storylab.heap import keep_what_is_freed
from storylab.stories import read_stories
from storylab.tokenizers import load_tokenizer
from storylab.training.build import build_model
from storylab.training.freezing import freeze
from storylab.training.loop import Record, train
from storylab.training.optimizers import make_optimizers
from storylab.training.recipe import Recipe, read_recipe
from storylab.training.run import prepare_accelerator
from storylab.training.state import Progress

TRAIN = DOCS.parent / "train"
LENGTH = 128
"""Tokens that a story is padded to, as the course report did; longer stories are left out for all."""
PACKS = (LENGTH, 256, 512)
"""Tokens a pack. Something is asked of those as long as the padded rows; 512 are the recipe's own."""
STORIES = 20_000
"""Stories of the file that are read at most."""
STEPS = 3
"""Optimizer steps a turn, after one that does not count."""


class Padded(Autoregressive):
    """The usual way: every story in a row of its own, filled up to 128 tokens. Its "tokens" are stories."""

    def collate(self, examples) -> dict[str, Tensor]:
        """input_ids, attention_mask, labels (batch, 128)."""
        batch = super().collate(examples)
        missing = LENGTH - batch["input_ids"].shape[1]
        fill = {"input_ids": self.padding, "attention_mask": 0, "labels": IGNORED}
        return {name: F.pad(tensor, (0, missing), value=fill[name]) for name, tensor in batch.items()}

    def real_tokens(self, examples: np.ndarray) -> int:
        """Stories of some rows: what the loop reports as tokens."""
        return len(examples)


class Packs(Packed):
    """The project's packs. Its "tokens" are stories."""

    def real_tokens(self, examples: np.ndarray) -> int:
        """Stories of some packs: what the loop reports as tokens."""
        return sum(len(self.packs[number]) for (number,) in examples)


def rows(options: Namespace) -> Iterator[Row]:
    """Measure it."""
    keep_what_is_freed()  # as `python -m train` does
    recipe, tokenizer = read_recipe(TRAIN / "gpt2-mini-finetuned.toml"), load_tokenizer(str(TRAIN / "vocabulary"))
    stories = encode_stories(read_stories(options.stories, limit=STORIES), tokenizer)
    stories = [story for story in stories if len(story.tokens) < LENGTH]
    model = build_model(read_recipe(TRAIN / "gpt2-mini.toml"), tokenizer)
    freeze(model, recipe.freeze)
    positions = model.config.max_position_embeddings
    short = [EncodedStory(stories[0].opening[:2], stories[0].continuation[:2])]  # validating it takes no time
    validation = Autoregressive(short, tokenizer, positions)
    slots = recipe.batch_size * recipe.pack_length
    framings: dict[str, Framing] = {f"padded to {LENGTH}": Padded(stories, tokenizer, positions)}
    framings |= {f"packs of {length}": Packs(stories, tokenizer, positions, length) for length in PACKS}
    widths = (LENGTH, *PACKS)
    sides: dict[str, Side] = {}
    for (name, framing), width in zip(framings.items(), widths, strict=True):
        same = replace(recipe, batch_size=slots // width)
        sides[name] = lambda same=same, framing=framing: speed(model, same, framing, validation)
    asked = {f"packs of {LENGTH}": 2}
    yield from compare("gpt2-mini, fine-tuning", sides, options.turns, "stories/s", asked)


def speed(model: PreTrainedModel, recipe: Recipe, framing: Framing, validation: Framing) -> float:
    """Stories a second over some steps of the project's loop."""
    (first, started), *_, (last, ended) = some_steps(model, recipe, framing, validation, STEPS)
    return (last - first) / (ended - started)


def some_steps(
    model: PreTrainedModel, recipe: Recipe, framing: Framing, validation: Framing, steps: int
) -> list[tuple[int, float]]:
    """The tokens so far, as the framing counts them, and the time in seconds, after a first step and so many more."""
    accelerator, seen = prepare_accelerator(recipe, "auto"), []

    def note(record: Record) -> None:
        if "tokens" in record:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            seen.append((record["tokens"], time.perf_counter()))

    recipe = replace(recipe, log_every=1, evaluate_every=10**6, save_every=10**6, epochs=1000.0)
    optimizers = make_optimizers(model, recipe)
    prepared = accelerator.prepare(model)
    enough = lambda: len(seen) >= steps  # noqa: E731 - asked before the step under way is noted
    train(prepared, optimizers, recipe, framing, validation, accelerator, Progress(), [note], enough)
    accelerator.unwrap_model(prepared, keep_fp32_wrapper=False)
    return seen
