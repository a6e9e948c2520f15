"""The model card: what a checkpoint is, what it was trained on and how good it is, written by the program."""

import platform
from dataclasses import asdict, dataclass

import torch
import transformers

from storylab.stories import Splits, fingerprint
from storylab.training.recipe import Recipe
from storylab.training.state import Progress


@dataclass(frozen=True)
class Outcome:
    """What a training came to."""

    recipe: Recipe
    splits: Splits
    duplicates: int
    """Stories left out because another has the same text."""
    parameters: int
    progress: Progress
    hardware: str
    validation_perplexity: float
    """Per word, of the weights kept, as `score` measures it."""
    test_perplexity: float | None
    """The same on the test stories; None where there are none."""


DESCRIPTIONS = {
    "encoder": "An encoder-only Transformer that reads a prefix of a story both ways, takes the mean over its "
    "positions (padding left out) and names the next token.",
    "seq2seq": "An encoder-decoder Transformer that reads the first sentence of a five-sentence story and "
    "writes the other four.",
}


def model_card(outcome: Outcome) -> str:
    """The card in Markdown, with the header that the Hugging Face Hub reads."""
    recipe, progress = outcome.recipe, outcome.progress
    test = "not measured" if outcome.test_perplexity is None else f"{outcome.test_perplexity:.2f}"
    hours, minutes = divmod(round(progress.seconds / 60), 60)
    duration = f"{hours} h {minutes} min" if hours else f"{minutes} min"
    kept = f"{progress.best_step if recipe.keep == 'best' else progress.step:,}"
    started = f" Its weights start from `{recipe.init_from}`." if recipe.init_from else ""
    settings = {key: value for key, value in asdict(recipe).items() if key not in _TOLD_ELSEWHERE}
    rows = "\n".join(f"| {key} | {value} |" for key, value in sorted((settings | recipe.model).items()))
    return f"""\
---
language: en
license: apache-2.0
library_name: transformers
pipeline_tag: text-generation
tags: [storylab, story-generation]
---
# {recipe.title or recipe.name}

{DESCRIPTIONS[recipe.model_type]} {outcome.parameters:,} parameters, trained by StoryLab.{started}
{recipe.note}

| measured on | perplexity per word |
| --- | ---: |
| validation stories | {outcome.validation_perplexity:.2f} |
| test stories | {test} |

Perplexity per word of sentences 2 to 5 and the end of the story, given sentence 1, in fp32:
`python -m storylab score --model {recipe.name} --data STORIES.csv`.

## Data

{_data(outcome)}

## Training

{progress.step:,} steps, {progress.tokens:,} tokens, {duration} on {outcome.hardware}. The weights are those of
step {kept}; the validation loss was lowest ({progress.best_loss:.4f} nats a label token) at step
{progress.best_step:,}.
The course of it is in `log.jsonl`, the recipe in `recipe.toml`; with the same stories this repeats it:

    python -m train checkpoints/{recipe.name}/recipe.toml --stories TRAIN.csv --validation VALID.csv --test TEST.csv

| setting | value |
| --- | --- |
{rows}

Made with Python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}.

## Limits

It knows only short English everyday stories, makes things up, and may write what offends.
"""


def _data(outcome: Outcome) -> str:
    splits = outcome.splits
    parts = [
        f"| {name} | {len(stories):,} | `{fingerprint(stories)}` |"
        for name, stories in (
            ("train", splits.train),
            ("validation", splits.validation),
            ("test", splits.test),
        )
        if stories
    ]
    table = "\n".join(["| stories | number | SHA-256 of their text |", "| --- | ---: | --- |", *parts])
    left_out = f"Left out of training as duplicates: {outcome.duplicates:,}."
    return f"{table}\n\n{left_out} The stories are not part of this folder."


_TOLD_ELSEWHERE = {"name", "title", "note", "model", "stories", "validation", "test", "init_from"}
