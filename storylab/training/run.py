"""From a recipe and stories to a checkpoint folder: `python -m train NAME`."""

import hashlib
import json
import math
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState
from transformers import AutoConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar

from storylab.errors import StoryLabError
from storylab.models import EncoderConfig, EncoderStoryteller, Seq2SeqConfig, Seq2SeqStoryteller
from storylab.stories import Splits, fingerprint
from storylab.tokenizers import load_tokenizer, train_vocabulary
from storylab.training.callbacks import JsonLines, ProgressBar, Sampler
from storylab.training.card import Outcome
from storylab.training.checkpoint import export, round_weights, without_places
from storylab.training.data import build_framing, gather_stories, labels_per_word, perplexity_per_word
from storylab.training.loop import Record, steps_of, train
from storylab.training.optimizers import make_optimizers
from storylab.training.recipe import Recipe
from storylab.training.state import Progress, load_state, save_state

ARCHITECTURES = {
    "encoder": (EncoderConfig, EncoderStoryteller),
    "seq2seq": (Seq2SeqConfig, Seq2SeqStoryteller),
}

MAY_CHANGE = ("title", "note", "stories", "validation", "test", "epochs", "decay", "log_every", "evaluate_every")
MAY_CHANGE += ("save_every", "patience", "keep", "sample")
"""What may differ in a resumed training: where the stories lie, how long it takes, what is reported."""


def open_tokenizer(recipe: Recipe, splits: Splits) -> PreTrainedTokenizerBase:
    """The recipe's tokenizer, that of the weights it starts from, or one learnt from its stories."""
    if folder := recipe.vocabulary or recipe.init_from:
        return load_tokenizer(folder)
    return train_vocabulary((story.text for story in splits.train), recipe.vocabulary_size)


def check_shape(recipe: Recipe) -> None:
    """Refuse a shape that no model can have, before stories are read.

    Raises:
        StoryLabError: An unknown setting, a wrong type or range, or a width that the heads don't divide.
    """
    config = ARCHITECTURES[recipe.model_type][0]()
    for key, value in recipe.model.items():
        if key not in vars(config) or key in ("vocab_size", "transformers_version"):
            raise StoryLabError(f"recipe {recipe.name}: a {recipe.model_type} has no setting {key!r}")
        default = getattr(config, key)
        whole = type(default) is int and type(value) is int and value >= 1
        share = type(default) is float and type(value) in (int, float) and 0 <= value < 1
        if not (whole or share or (type(default) is bool and type(value) is bool)):
            needed = {int: "a whole number from 1 on", float: "a number from 0 to below 1", bool: "true or false"}
            raise StoryLabError(f"recipe {recipe.name}: model.{key} must be {needed[type(default)]}, not {value!r}")
        setattr(config, key, value)
    if config.width % config.heads:
        clash = f"model.width {config.width} can't be divided into model.heads {config.heads}"
        raise StoryLabError(f"recipe {recipe.name}: {clash}")


def build_model(recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """The recipe's architecture with random weights, or the weights of `init_from` where it names a folder."""
    config_class, model_class = ARCHITECTURES[recipe.model_type]
    torch.manual_seed(recipe.seed)
    if not recipe.init_from:
        return model_class(config_class(vocab_size=len(tokenizer), **recipe.model))
    try:
        found = AutoConfig.from_pretrained(recipe.init_from, local_files_only=True).model_type
        if found != config_class.model_type:
            raise ValueError(f"it holds a {found}, not a {config_class.model_type}")
        model, report = model_class.from_pretrained(
            recipe.init_from,
            use_safetensors=True,
            local_files_only=True,
            dtype=torch.float32,
            output_loading_info=True,
            **recipe.model,
        )
        if unfit := sorted(report["missing_keys"]) + sorted(report["unexpected_keys"]):
            raise ValueError(f"its weights don't fit the recipe's shape: {unfit[0]}")
    except Exception as error:  # safetensors, transformers and torch each have their own
        reason = "a tensor has another shape" if "mismatch" in str(error) else str(error).strip().splitlines()[0]
        raise StoryLabError(f"recipe {recipe.name}: init_from {recipe.init_from}: {reason}") from None
    return model


def prepare_accelerator(recipe: Recipe, device: str) -> Accelerator:
    """Device, precision and processes of a training; `precision = "auto"` is bf16 where there is bf16 arithmetic."""
    if "WORLD_SIZE" not in os.environ:
        AcceleratorState._reset_state(
            reset_partial_state=True
        )  # an earlier training here may have had another precision
    gpu = device != "cpu" and torch.cuda.is_available()
    fast = torch.cuda.is_bf16_supported() if gpu else torch.ops.mkldnn._is_mkldnn_bf16_supported()
    bf16 = recipe.precision == "bf16" or (recipe.precision == "auto" and fast)
    return Accelerator(
        cpu=device == "cpu",
        mixed_precision="bf16" if bf16 else "no",
        # Under the causal mask nothing asks how far a token is from the end.
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=recipe.model.get("causal", False))],
    )


class Keeper:
    """The callback that keeps the best weights and saves what `--resume` needs."""

    def __init__(self, model: PreTrainedModel, optimizers, progress: Progress, path: Path, mark: str, saves: bool):
        """Keep in memory; save to `path` (one of several processes does), marked with what it belongs to."""
        self.model, self.optimizers, self.progress = model, optimizers, progress
        self.path, self.mark, self.saves = path, mark, saves
        self.best: dict[str, torch.Tensor] = {}

    def resume(self) -> Progress:
        """Load the saved state into model and optimizers."""
        self.progress, self.best = load_state(self.path, self.mark, self.model, self.optimizers)
        return self.progress

    def __call__(self, record: Record) -> None:
        """Keep or save where the record says so."""
        if record.get("best"):
            weights = self.model.state_dict().items()
            self.best = {name: tensor.detach().to("cpu", copy=True) for name, tensor in weights}
        if record.get("save") and self.saves:
            save_state(self.path, self.progress, self.mark, self.model, self.optimizers, self.best)


def run(
    recipe: Recipe,
    *,
    checkpoints: Path,
    runs: Path,
    resume: bool = False,
    device: str = "auto",
    callbacks: tuple[Callable[[Record], None], ...] = (),
    should_stop: Callable[[], bool] = lambda: False,
    quiet: bool = False,
) -> Path:
    """Train a recipe and write its checkpoint.

    Args:
        recipe: What to train; it names its stories.
        checkpoints: Folder in which the checkpoint's folder is put when training ends.
        runs: Folder for what `resume` needs, and the log while training.
        resume: Go on from the state in `runs`, instead of anew.
        device: "auto" takes a GPU where there is one; "cpu" does not.
        callbacks: Called with every record, beside the log's and the progress bar's.
        should_stop: Asked after each step; True ends training early, and the checkpoint is written.
        quiet: No progress bar.

    Returns:
        The checkpoint's folder.

    Raises:
        StoryLabError: Stories, recipe, weights or state are at fault, before any training; or the loss is
            no number any more.
    """
    disable_progress_bar()  # transformers' own, for loading and saving
    check_shape(recipe)
    splits, duplicates = gather_stories(recipe)
    tokenizer = open_tokenizer(recipe, splits)
    model = build_model(recipe, tokenizer)
    positions = model.config.max_position_embeddings
    framing = build_framing(recipe, splits.train, tokenizer, positions, validating=False)
    validation = build_framing(recipe, splits.validation, tokenizer, positions, validating=True)

    accelerator = prepare_accelerator(recipe, device)
    optimizers = make_optimizers(model, recipe)
    model = accelerator.prepare(model)
    bare = accelerator.unwrap_model(model)
    main, folder = accelerator.is_main_process, runs / recipe.name
    progress = Progress()
    keeper = Keeper(bare, optimizers, progress, folder / "state.pt", _mark(recipe, splits), main)
    if resume:
        progress = keeper.resume()
    else:
        keeper({"save": True})  # so that there is something to resume from the first step on, and nothing older

    ratio = labels_per_word(splits.validation, tokenizer)

    def add_words(record: Record) -> None:
        if "validation_loss" in record:
            record["perplexity_per_word"] = math.exp(min(record["validation_loss"] * ratio, 100.0))

    listeners: list[Callable[[Record], None]] = [add_words, keeper, *callbacks]
    bar = None
    if main:
        log = JsonLines(folder / "log.jsonl", keep_until=progress.step if resume else None)
        listeners.append(log)
        if recipe.sample:
            listeners.append(Sampler(bare, tokenizer, recipe.sample, log))
        if not quiet:
            bar = ProgressBar(recipe.name, steps_of(recipe, framing), progress.step)
            listeners.append(bar)
    try:
        train(model, optimizers, recipe, framing, validation, accelerator, progress, listeners, should_stop)
    finally:
        if bar:
            bar.close()

    target = checkpoints / recipe.name
    if main:
        bare = accelerator.unwrap_model(model, keep_fp32_wrapper=False)  # no autocast from here on
        if recipe.keep == "best":
            bare.load_state_dict(keeper.best)
        round_weights(bare)
        outcome = Outcome(
            recipe=without_places(recipe),
            splits=splits,
            duplicates=duplicates,
            parameters=sum(parameter.numel() for parameter in bare.parameters()),
            progress=progress,
            hardware=describe_hardware(accelerator),
            validation_perplexity=perplexity_per_word(bare, recipe, splits.validation, tokenizer),
            test_perplexity=perplexity_per_word(bare, recipe, splits.test, tokenizer) if splits.test else None,
        )
        export(bare, tokenizer, outcome, folder / "log.jsonl", target)
    accelerator.wait_for_everyone()
    return target


def _mark(recipe: Recipe, splits: Splits) -> str:
    """What a saved state belongs to: the stories, and the recipe but for what may change when it is resumed."""
    fixed = {key: value for key, value in asdict(recipe).items() if key not in MAY_CHANGE}
    parts = [json.dumps(fixed, sort_keys=True), fingerprint(splits.train), fingerprint(splits.validation)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def describe_hardware(accelerator: Accelerator) -> str:
    """What trained, and in which precision, in words."""
    gpu = accelerator.device.type == "cuda"
    unit = torch.cuda.get_device_name() if gpu else f"{torch.get_num_threads()} processor threads"
    precision = "fp32" if accelerator.mixed_precision == "no" else accelerator.mixed_precision
    count = f"{accelerator.num_processes} x " if accelerator.num_processes > 1 else ""
    return f"{count}{unit} in {precision}"
