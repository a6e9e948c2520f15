"""From a recipe and stories to a checkpoint folder: `python -m train NAME`."""

import hashlib
import json
import math
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, fields
from pathlib import Path

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState
from transformers import PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar

from storylab.errors import StoryLabError
from storylab.files import only_one, put_all_back
from storylab.framing import WINDOW
from storylab.models.loading import positions_of
from storylab.processes import ALONE, Processes, SharedError
from storylab.tokenizers import load_tokenizer, train_vocabulary, vocabulary_hash
from storylab.training.base import start_hash, weights_hash
from storylab.training.build import build_model, check_shape, finish
from storylab.training.callbacks import JsonLines, ProgressBar, Sampler
from storylab.training.card import Outcome
from storylab.training.checkpoint import export, without_places
from storylab.training.data import Corpus, StoryCorpus
from storylab.training.loop import Record, steps_of, train
from storylab.training.optimizers import make_optimizers
from storylab.training.prose import ProseCorpus
from storylab.training.recipe import Recipe
from storylab.training.state import Keeper, Progress

PLACES = ("stories", "validation", "test", "text")
WORDS = ("title", "note", "takes", "sample")
LENGTH = ("epochs", "decay", "patience", "keep", "log_every", "evaluate_every", "save_every")
MAY_CHANGE = (*PLACES, *WORDS, *LENGTH)
"""What may differ in a resumed training: where the stories lie, how long it takes, what is reported."""


def open_corpus(recipe: Recipe) -> Corpus:
    """What the recipe learns from."""
    return (ProseCorpus if recipe.framing == "text" else StoryCorpus)(recipe)


def open_tokenizer(recipe: Recipe, corpus: Corpus, base_folder: Path | None) -> PreTrainedTokenizerBase:
    """The recipe's tokenizer, that of the weights it starts from, or one learnt from its corpus."""
    if folder := base_folder or recipe.vocabulary or recipe.init_from:
        tokenizer = load_tokenizer(folder)
        if recipe.init_from and vocabulary_hash(tokenizer) != vocabulary_hash(load_tokenizer(recipe.init_from)):
            raise StoryLabError(f"recipe {recipe.name}: init_from {recipe.init_from} has another vocabulary")
        return tokenizer
    return train_vocabulary(corpus.texts(), recipe.vocabulary_size)


def prepare_accelerator(recipe: Recipe, device: str) -> Accelerator:
    """Device, precision and processes of a training; `precision = "auto"` is bf16 where there is bf16 arithmetic.

    It resets what an earlier training here leaned on: where several may run, each belongs inside its `turn`.
    """
    if "WORLD_SIZE" not in os.environ:
        AcceleratorState._reset_state(
            reset_partial_state=True
        )  # an earlier training here may have had another precision
    gpu = device != "cpu" and torch.cuda.is_available()
    fast = torch.cuda.is_bf16_supported() if gpu else _processor_has_bf16()
    bf16 = recipe.precision == "bf16" or (recipe.precision == "auto" and fast)
    return Accelerator(
        cpu=device == "cpu",
        mixed_precision="bf16" if bf16 else "no",
        # Under the causal mask nothing asks how far a token is from the end.
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=recipe.model.get("causal", False))],
    )


def _processor_has_bf16() -> bool:
    """Whether there are instructions for it: oneDNN takes bf16 on any AVX-512, there at half the speed of fp32."""
    able = torch.cpu.get_capabilities()
    if able["architecture"] == "x86_64":
        return able["avx512_bf16"] or able["amx_bf16"]
    return torch.ops.mkldnn._is_mkldnn_bf16_supported()


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
    find_base: Callable[[str], Path] = Path,
    processes: Processes = ALONE,
) -> Path:
    """Train a recipe and write its checkpoint.

    Args:
        recipe: What to train; it names its stories.
        checkpoints: Folder in which the checkpoint's folder is put when training ends.
        runs: Folder for what `resume` needs, and the log while training.
        resume: Go on from the state in `runs`, instead of anew.
        device: "auto" takes a GPU where there is one; "cpu" does not.
        callbacks: Called with every record, beside the log's and the progress bar's.
        should_stop: Asked after each step; True, also of one process of several, ends training early, and the
            checkpoint is written.
        quiet: No progress bar.
        find_base: The folder of a base by the name that the recipe gives it.
        processes: Who trains; all read the same files, the main one writes.

    Returns:
        The checkpoint's folder.

    Raises:
        StoryLabError: Stories, recipe, weights or state are at fault, or another training is under way in the same
            folder, before any training; or the loss is no number any more, or nothing can be written.
    """
    disable_progress_bar()  # transformers' own, for loading and saving
    with processes.agreeing():
        put_all_back(checkpoints)
        check_shape(recipe)
        base_folder = find_base(recipe.base) if recipe.base else None
        if base_folder and base_folder.resolve() == (checkpoints / recipe.name).resolve():
            raise StoryLabError(f"recipe {recipe.name} would write over its own base: give it another name")
        corpus = open_corpus(recipe)
        tokenizer = open_tokenizer(recipe, corpus, base_folder)
        model = build_model(recipe, tokenizer, base_folder)
        framing, validation = corpus.framings(tokenizer, positions_of(model))
        mark = _mark(recipe, corpus, base_folder)
    if any(other != mark for other in processes.gather(mark)):
        raise SharedError("the processes have another corpus, base or recipe: give every machine the same files")

    accelerator = prepare_accelerator(recipe, device)
    optimizers = make_optimizers(model, recipe)
    model = accelerator.prepare(model)
    bare = accelerator.unwrap_model(model)
    main, folder, target = accelerator.is_main_process, runs / recipe.name, checkpoints / recipe.name
    steps = steps_of(recipe, framing)
    if main and not quiet and steps <= recipe.warmup:
        told = f"train: the {steps} steps are over before the warm-up of {recipe.warmup} is: lower warmup"
        print(told, file=sys.stderr)
    progress = Progress()
    keeper = Keeper(bare, optimizers, progress, folder / "state.pt", mark, main)
    with ExitStack() as working, processes.in_step():
        with processes.agreeing():
            if resume and not folder.exists():  # which the next line makes
                keeper.require()
            if main:
                working.enter_context(only_one(folder, "a training"))
            if resume:
                progress = keeper.resume()
            else:
                keeper({"save": True})  # so that there is something to resume from the first step on, and nothing older

        ratio = corpus.labels_per_word(tokenizer)

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
                bar = ProgressBar(recipe.name, steps, progress.step)
                listeners.append(bar)
        try:
            train(model, optimizers, recipe, framing, validation, accelerator, progress, listeners, should_stop)
        finally:
            if bar:
                bar.close()

        if main:
            bare = accelerator.unwrap_model(model, keep_fp32_wrapper=False)  # no autocast from here on
            if recipe.keep == "best":
                keeper.load_best()
            bare, trained = finish(bare, base_folder)
            outcome = Outcome(
                recipe=without_places(recipe),
                corpus=corpus,
                parameters=sum(parameter.numel() for parameter in bare.parameters()),
                trained=trained,
                base_folder=base_folder,
                progress=progress,
                hardware=describe_hardware(accelerator),
                perplexities=corpus.perplexities(bare, tokenizer),
            )
            export(bare, tokenizer, outcome, folder / "log.jsonl", target, recipe.init_from)
        accelerator.wait_for_everyone()
    return target


def _mark(recipe: Recipe, corpus: Corpus, base_folder: Path | None) -> str:
    """What a saved state belongs to: corpus, base, first weights, and the recipe but for what may change."""
    known = {field.name: field.default for field in fields(recipe)}
    fixed = {key: value for key, value in asdict(recipe).items() if key not in MAY_CHANGE and value != known[key]}
    base = weights_hash(base_folder) if base_folder else ""
    start = start_hash(Path(recipe.init_from)) if recipe.init_from else ""
    parts = json.dumps(fixed | {"window": WINDOW}, sort_keys=True) + corpus.fingerprint + base + start
    return hashlib.sha256(parts.encode()).hexdigest()


def describe_hardware(accelerator: Accelerator) -> str:
    """What trained, and in which precision, in words."""
    gpu = accelerator.device.type == "cuda"
    unit = torch.cuda.get_device_name() if gpu else f"{torch.get_num_threads()} processor threads"
    precision = "fp32" if accelerator.mixed_precision == "no" else accelerator.mixed_precision
    count = f"{accelerator.num_processes} x " if accelerator.num_processes > 1 else ""
    return f"{count}{unit} in {precision}"
