"""Writing a checkpoint folder: weights, config, tokenizer, recipe, log and model card, whole or not at all."""

import shutil
from dataclasses import replace
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from storylab.files import new_folder, written
from storylab.training.card import Outcome, model_card
from storylab.training.partial import save_trained
from storylab.training.recipe import Recipe


def without_places(recipe: Recipe) -> Recipe:
    """The recipe without folders of this machine: files by their names, data sets of the Hub as they are."""
    named = {}
    for key in ("stories", "validation", "test", "text", "vocabulary", "init_from"):
        value = getattr(recipe, key)
        outside = Path(value).is_absolute() or ".." in Path(value).parts or key in ("stories", "validation", "test")
        named[key] = written(Path(value).name if outside and not value.startswith("hub:") else value)
    return replace(recipe, **named)


def earlier_log(init_from: str, name: str) -> bytes:
    """The log of the stages before a training, whose cost counts too; empty where it started anew."""
    path = Path(init_from) / name
    log = path.read_bytes() if init_from and path.is_file() else b""
    return log if log.endswith(b"\n") or not log else log + b"\n"


def export(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    outcome: Outcome,
    log: Path,
    target: Path,
    init_from: str = "",
) -> None:
    """Write a checkpoint folder in bf16, in place of an older one; over a frozen base the trained tensors only.

    Args:
        model: The trained model; it is left in bf16.
        tokenizer: Saved beside it.
        outcome: What the training came to, for recipe and card.
        log: The training log.
        target: The folder to write.
        init_from: The checkpoint whose weights it started from, whose log stands before its own; empty: none.

    Raises:
        StoryLabError: It can't be written; an older one is there as it was.
    """
    with new_folder(target) as folder:
        model.to(torch.bfloat16)
        if outcome.base_folder and outcome.trained.keys() != dict(model.named_parameters()).keys():
            model.config.save_pretrained(folder)
            model.generation_config.save_pretrained(folder)
            save_trained(outcome.trained, outcome.recipe.base, outcome.base_folder, folder)
        else:
            model.save_pretrained(folder)
        for weights in folder.glob("*.safetensors"):
            weights.chmod(0o644)
        tokenizer.save_pretrained(folder)
        (folder / "recipe.toml").write_text(outcome.recipe.to_toml(), encoding="utf-8")
        (folder / "README.md").write_text(model_card(outcome), encoding="utf-8")
        (folder / log.name).write_bytes(earlier_log(init_from, log.name) + log.read_bytes())
        for path in outcome.corpus.attachments():
            shutil.copyfile(path, folder / path.name)
