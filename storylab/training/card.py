"""The model card: what a checkpoint is, what it was trained on and how good it is, written by the program."""

import platform
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import transformers
from torch import Tensor

from storylab.training.data import Corpus
from storylab.training.recipe import Recipe
from storylab.training.state import Progress


@dataclass(frozen=True)
class Outcome:
    """What a training came to."""

    recipe: Recipe
    corpus: Corpus
    parameters: int
    trained: dict[str, Tensor]
    """What training made, by name: parameters, or factors of what is added to them."""
    base_folder: Path | None
    """Where the recipe's base lies."""
    progress: Progress
    hardware: str
    perplexities: dict[str, float | None]
    """Per word, of the weights kept, on each side that was not learnt; None where a side has no stories."""

    @property
    def trained_parameters(self) -> int:
        """Numbers that training made."""
        return sum(tensor.numel() for tensor in self.trained.values())


DESCRIPTIONS = {
    "encoder": "An encoder-only Transformer that reads a prefix of a story both ways, takes the mean over its "
    "positions (padding left out) and names the next token.",
    "seq2seq": "An encoder-decoder Transformer that reads the first sentence of a five-sentence story and "
    "writes the other four.",
    "gpt2": "A decoder-only Transformer of GPT-2's architecture.",
    "causal": "A pre-trained decoder-only Transformer, fine-tuned.",
}


def model_card(outcome: Outcome) -> str:
    """The card in Markdown, with the header that the Hugging Face Hub reads."""
    recipe, progress = outcome.recipe, outcome.progress
    told = {name: "not measured" if value is None else f"{value:.2f}" for name, value in outcome.perplexities.items()}
    measures = "\n".join(f"| {name} | {value} |" for name, value in told.items())
    hours, minutes = divmod(round(progress.seconds / 60), 60)
    duration = f"{hours} h {minutes} min" if hours else f"{minutes} min"
    kept = f"{progress.best_step if recipe.keep == 'best' else progress.step:,}"
    started = f" Its weights start from `{recipe.init_from}`." if recipe.init_from else ""
    if recipe.base:
        started = f" Its base is `{recipe.base}`; {outcome.trained_parameters:,} of them were trained.{started}"
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
{measures}

Perplexity per word {outcome.corpus.measured}, in fp32. On stories
`python -m storylab score --model {recipe.name} --data STORIES.csv` measures it.

## Data

{outcome.corpus.card()}

## Training

{progress.step:,} steps, {progress.tokens:,} tokens, {duration} on {outcome.hardware}. The weights are those of
step {kept}; the validation loss was lowest ({progress.best_loss:.4f} nats a label token) at step
{progress.best_step:,}.
The course of it is in `log.jsonl`, the recipe in `recipe.toml`; with the same {outcome.corpus.noun} this repeats it:

    python -m train checkpoints/{recipe.name}/recipe.toml {outcome.corpus.options}

| setting | value |
| --- | --- |
{rows}

Made with Python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}.

## Limits

It knows only {outcome.corpus.knows}, makes things up, and may write what offends.
"""


_TOLD_ELSEWHERE = {"name", "title", "note", "takes", "model", "stories", "validation", "test", "text", "init_from"}
