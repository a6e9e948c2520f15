"""From a recipe and stories to a checkpoint folder: `python -m train NAME`."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from transformers import PreTrainedModel, PreTrainedTokenizerFast
from transformers.utils.logging import disable_progress_bar

from storylab.errors import StoryLabError
from storylab.framing import Autoregressive, Framing, NextToken, Packed, PromptTarget, encode_stories
from storylab.models import EncoderConfig, EncoderStoryteller, Seq2SeqConfig, Seq2SeqStoryteller
from storylab.stories import (
    Splits,
    Story,
    fingerprint,
    read_stories,
    refuse_leakage,
    remove_duplicates,
    split_stories,
)
from storylab.tokenizers import load_tokenizer, train_vocabulary
from storylab.training.callbacks import JsonLines, ProgressBar
from storylab.training.card import Outcome
from storylab.training.checkpoint import export, round_weights
from storylab.training.loop import Alone, Record, steps_of, train, validation_loss
from storylab.training.optimizers import make_optimizers
from storylab.training.recipe import Recipe
from storylab.training.state import Progress, load_state, save_state

ARCHITECTURES = {
    "encoder": (EncoderConfig, EncoderStoryteller),
    "seq2seq": (Seq2SeqConfig, Seq2SeqStoryteller),
}


def gather_stories(recipe: Recipe) -> tuple[Splits, int]:
    """Read a recipe's stories, without duplicates, split and checked for leaks; also how many were duplicates."""
    if not recipe.stories:
        raise StoryLabError(f"recipe {recipe.name} names no stories: add --stories FILE (or hub:OWNER/NAME)")
    stories = read_stories(recipe.stories)
    unique = remove_duplicates(stories)
    duplicates = len(stories) - len(unique)
    if recipe.validation:
        # Stories that stand in the validation or test file leave the training side; nothing else may leak.
        given = {part: getattr(recipe, part) for part in ("validation", "test")}
        held = {part: remove_duplicates(read_stories(path)) if path else [] for part, path in given.items()}
        splits = Splits(train=unique, **held)
    else:
        splits = split_stories(unique)
        if recipe.test:
            splits = replace(splits, test=remove_duplicates(read_stories(recipe.test)))
    refuse_leakage(splits)
    if not splits.train or not splits.validation:
        raise StoryLabError(f"{len(unique)} stories are too few to split: give --validation FILE")
    return (replace(splits, train=splits.train[: recipe.limit]) if recipe.limit else splits), duplicates


def build_model(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """The recipe's architecture with random weights, or the weights of `init_from` where it names a folder."""
    config_class, model_class = ARCHITECTURES[recipe.model_type]
    torch.manual_seed(recipe.seed)
    if unknown := sorted(set(recipe.model) - set(vars(config_class()))):
        raise StoryLabError(f"recipe {recipe.name}: a {recipe.model_type} has no setting {unknown[0]!r}")
    try:
        if recipe.init_from:
            return model_class.from_pretrained(
                recipe.init_from,
                use_safetensors=True,
                local_files_only=True,
                dtype=torch.float32,
                **recipe.model,
            )
        return model_class(config_class(vocab_size=len(tokenizer), **recipe.model))
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        raise StoryLabError(f"recipe {recipe.name}: {str(error).splitlines()[0]}") from None


def build_framing(recipe: Recipe, stories: list[Story], tokenizer, positions: int, validating: bool) -> Framing:
    """The recipe's framing of some stories; validation prefixes stay the same from epoch to epoch."""
    encoded = encode_stories(stories, tokenizer)
    if recipe.framing == "next-token":
        prefixes = recipe.validation_prefixes if validating else recipe.prefixes
        return NextToken(encoded, tokenizer, positions, prefixes, recipe.seed)
    if recipe.framing == "prompt-target":
        return PromptTarget(encoded, tokenizer, positions)
    learn_prompt = recipe.learn_prompt and not validating
    if recipe.framing == "packed":
        return Packed(encoded, tokenizer, positions, recipe.pack_length, learn_prompt)
    return Autoregressive(encoded, tokenizer, positions, learn_prompt)


def computes_in_bf16() -> bool:
    """Whether the device has bf16 arithmetic, so that autocast is faster and not slower."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    return torch.ops.mkldnn._is_mkldnn_bf16_supported()


def labels_per_word(stories: list[Story], tokenizer) -> float:
    """Tokens of the continuations and ends of some stories over their words, an end counting as one of each."""
    words = sum(len(story.continuation.split()) + 1 for story in stories)
    return sum(len(encoded.continuation) + 1 for encoded in encode_stories(stories, tokenizer)) / words


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
        StoryLabError: Stories, recipe, weights or state are at fault; before any training.
    """
    disable_progress_bar()  # transformers' own, for loading and saving
    splits, duplicates = gather_stories(recipe)
    if recipe.vocabulary:
        tokenizer = load_tokenizer(recipe.vocabulary)
    else:
        tokenizer = train_vocabulary((story.text for story in splits.train), recipe.vocabulary_size)
    model = build_model(recipe, tokenizer)
    positions = model.config.max_position_embeddings
    framing = build_framing(recipe, splits.train, tokenizer, positions, validating=False)
    validation = build_framing(recipe, splits.validation, tokenizer, positions, validating=True)

    bf16 = recipe.precision == "bf16" or (recipe.precision == "auto" and computes_in_bf16())
    accelerator = Accelerator(
        cpu=device == "cpu",
        mixed_precision="bf16" if bf16 else "no",
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )
    optimizers = make_optimizers(model, recipe)
    model = accelerator.prepare(model)
    bare = accelerator.unwrap_model(model)
    main = accelerator.is_main_process

    folder = runs / recipe.name
    state_path, log_path = folder / "state.pt", folder / "log.jsonl"
    mark = _fingerprint(recipe, splits)
    progress, best = Progress(), None
    if resume:
        progress, best = load_state(state_path, mark, bare, optimizers)
    log = JsonLines(log_path, keep_until=progress.step if resume else None) if main else None
    ratio = labels_per_word(splits.validation, tokenizer)

    def keep(record: Record) -> None:
        nonlocal best
        if record.get("best"):
            best = {name: tensor.detach().to("cpu", copy=True) for name, tensor in bare.state_dict().items()}
        if record.get("save") and main:
            save_state(state_path, progress, mark, bare, optimizers, best)

    def write(record: Record) -> None:
        if "validation_loss" in record:
            record["perplexity_per_word"] = math.exp(min(record["validation_loss"] * ratio, 100.0))
        if main and "save" not in record:
            log.write(record)

    listeners = [write, keep, *callbacks]
    bar = ProgressBar(recipe.name, steps_of(recipe, framing), progress.step) if main and not quiet else None
    if bar:
        listeners.append(bar)
    try:
        train(model, optimizers, recipe, framing, validation, accelerator, progress, listeners, should_stop)
    finally:
        if bar:
            bar.close()

    target = checkpoints / recipe.name
    if main:
        bare = accelerator.unwrap_model(model, keep_fp32_wrapper=False)  # no autocast from here on
        bare.load_state_dict(best)
        round_weights(bare)
        measure = lambda stories: perplexity_per_word(bare, recipe, stories, tokenizer)  # noqa: E731
        outcome = Outcome(
            recipe=recipe,
            splits=splits,
            duplicates=duplicates,
            parameters=sum(parameter.numel() for parameter in bare.parameters()),
            progress=progress,
            hardware=describe_hardware(),
            validation_perplexity=measure(splits.validation),
            test_perplexity=measure(splits.test) if splits.test else None,
        )
        export(bare, tokenizer, outcome, log_path, target)
    accelerator.wait_for_everyone()
    return target


def perplexity_per_word(model: PreTrainedModel, recipe: Recipe, stories: list[Story], tokenizer) -> float:
    """What `python -m storylab score` says of some stories: every continuation token and end, in fp32."""
    recipe = replace(recipe, validation_prefixes=0)
    framing = build_framing(recipe, stories, tokenizer, model.config.max_position_embeddings, validating=True)
    loss = validation_loss(model, framing, recipe.batch_size, Alone(model.device))
    return math.exp(loss * labels_per_word(stories, tokenizer))


def _fingerprint(recipe: Recipe, splits: Splits) -> str:
    """What a saved state belongs to: the recipe, wherever the stories lie, and the stories themselves."""
    recipe = replace(recipe, stories="", validation="", test="")
    parts = [recipe.to_toml(), fingerprint(splits.train), fingerprint(splits.validation)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def describe_hardware() -> str:
    """The device that trains, in words."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{torch.get_num_threads()} processor threads"
