"""Fine-tuning in packs against fine-tuning on stories padded to 128 tokens, and a whole recipe's time and memory.

    python -m benchmarks.finetuning --stories TRAIN.csv [--shape gpt2-mini|gpt2] [--tokenizer FOLDER] [--steps N]

Both sides train the same model, new with random weights, in the project's own loop with the same number of
tokens a step, padding included; counted are real tokens. The sides take turns, and the median turn counts.
"""

import argparse
import json
import resource
import statistics
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel

from storylab.errors import StoryLabError
from storylab.framing import IGNORED, Autoregressive, EncodedStory, Framing, Packed, encode_stories
from storylab.stories import read_stories
from storylab.tokenizers import load_tokenizer
from storylab.training.build import build_model
from storylab.training.freezing import freeze
from storylab.training.loop import Record, train
from storylab.training.optimizers import make_optimizers
from storylab.training.recipe import Recipe, read_recipe
from storylab.training.run import prepare_accelerator
from storylab.training.state import Progress

PROJECT = Path(__file__).resolve().parents[1]
PADDED_LENGTH = 128
SHAPES = ("gpt2-mini", "gpt2")
TURNS = 3


class Padded(Autoregressive):
    """The usual way: every story in a row of its own, filled up to 128 tokens."""

    def collate(self, examples) -> dict[str, torch.Tensor]:
        """input_ids, attention_mask, labels (batch, 128)."""
        batch = super().collate(examples)
        missing = PADDED_LENGTH - batch["input_ids"].shape[1]
        fill = {"input_ids": self.padding, "attention_mask": 0, "labels": IGNORED}
        return {name: torch.nn.functional.pad(tensor, (0, missing), value=fill[name]) for name, tensor in batch.items()}


def speed(
    model: PreTrainedModel, recipe: Recipe, framing: Framing, validation: Framing, steps: int, device: str
) -> float:
    """Real tokens a second over some steps, after two that don't count."""
    accelerator, seen = prepare_accelerator(recipe, device), []

    def note(record: Record) -> None:
        if "tokens_per_second" in record:
            seen.append((record["tokens"], record["seconds"]))

    recipe = replace(recipe, log_every=1, evaluate_every=10**6, save_every=10**6, epochs=1000.0)
    optimizers = make_optimizers(model, recipe)
    prepared = accelerator.prepare(model)
    enough = lambda: len(seen) > steps  # noqa: E731 - the step under way is not among them
    train(prepared, optimizers, recipe, framing, validation, accelerator, Progress(), [note], enough)
    accelerator.unwrap_model(prepared, keep_fp32_wrapper=False)
    (tokens, seconds), (later_tokens, later_seconds) = seen[1], seen[-1]
    return (later_tokens - tokens) / (later_seconds - seconds)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    parser = argparse.ArgumentParser(prog="benchmarks.finetuning", description=__doc__.splitlines()[0])
    parser.add_argument("--stories", required=True)
    parser.add_argument("--shape", choices=SHAPES, default="gpt2-mini")
    parser.add_argument("--recipe", help="the recipe whose batches, freezing and optimizer are used")
    parser.add_argument("--tokenizer", default=str(PROJECT / "train" / "vocabulary"))
    parser.add_argument("--steps", type=int, default=8, help="steps a turn")
    parser.add_argument("--device", choices=("auto", "cpu"), default="auto")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    try:
        recipe = read_recipe(options.recipe or PROJECT / "train" / f"{options.shape}-finetuned.toml")
        tokenizer = load_tokenizer(options.tokenizer)
        stories = read_stories(options.stories)
    except StoryLabError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    model = new_model(options.shape, tokenizer)
    freeze(model, recipe.freeze)
    encoded = [story for story in encode_stories(stories, tokenizer) if len(story.tokens) < PADDED_LENGTH]
    positions = model.config.max_position_embeddings
    rows = recipe.batch_size * recipe.pack_length // PADDED_LENGTH
    sides = {
        "packed": (recipe, Packed(encoded, tokenizer, positions, recipe.pack_length)),
        "padded to 128": (replace(recipe, batch_size=rows), Padded(encoded, tokenizer, positions)),
    }
    short = [EncodedStory(encoded[0].opening[:2], encoded[0].continuation[:2])]  # validating it takes no time
    validation = Autoregressive(short, tokenizer, positions)
    turns: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(TURNS):
        for name, (changed, framing) in sides.items():
            turns[name].append(speed(model, changed, framing, validation, options.steps, options.device))
    speeds = {name: statistics.median(each) for name, each in turns.items()}
    tokens = sum(len(story.tokens) + 1 for story in encoded)
    used = min(1.0, recipe.limit / len(encoded)) if recipe.limit else 1.0
    result = {
        "shape": options.shape,
        "parameters": model.num_parameters(),
        "trained": model.num_parameters(only_trainable=True),
        "tokens_per_second": {name: round(value) for name, value in speeds.items()},
        "times_faster": round(speeds["packed"] / speeds["padded to 128"], 2),
        "recipe_minutes": round(tokens * used * recipe.epochs / speeds["packed"] / 60, 1),
        "peak_memory_bytes": peak_memory(),
    }
    print(
        json.dumps(result, indent=2) if options.json else "\n".join(f"{key}: {value}" for key, value in result.items())
    )
    return 0


def new_model(shape: str, tokenizer) -> PreTrainedModel:
    """A model with random weights: as the recipe of gpt2-mini makes it, or as GPT-2 124M is loaded for fine-tuning."""
    if shape == "gpt2-mini":
        return build_model(read_recipe(PROJECT / "train" / "gpt2-mini.toml"), tokenizer)
    torch.manual_seed(0)
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    return GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), **ids))  # the default config is GPT-2 124M


def peak_memory() -> int:
    """The most memory that the process, or on a GPU the model, has taken, in bytes."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB


if __name__ == "__main__":
    sys.exit(main())
