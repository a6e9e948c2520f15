"""Training two storytellers from scratch: our loop, nanoGPT's loop and transformers' Trainer, in bf16 on the CPU.

All sides train the same shape on the same stories in bf16 autocast, with as many examples a step. Their attention is
scaled dot-product attention, the peers' by torch's fused kernel, ours as the loop computes it. `gpt2-mini` learns
windows of the stories one behind the other, as it learns prose; `seq2seq` learns pairs, where what a side pads is its
own affair. Counted are real tokens, padding is none. Our loop runs by the recipes, whose Muon costs more than the
peers' AdamW, and with AdamW as well; nanoGPT's runs with Muon as well, and with the GELU in one pass that our recipe
names. Each side has a process of its own.
"""

import multiprocessing
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.rows import Row, row, take_turns
from storylab.framing import EncodedStory, Framing, PromptTarget, Windows, encode_stories
from storylab.heap import keep_what_is_freed
from storylab.stories import read_stories
from storylab.tokenizers import END_ID, load_tokenizer
from storylab.training.recipe import Recipe, read_recipe

PROJECT = Path(__file__).resolve().parents[1]
RECIPES = ("gpt2-mini", "seq2seq")
STEPS = 4
"""Steps of a turn that count."""
STORIES = 6_000
ASKED = 1.3
NANOGPT, TRAINER, PRODUCTS = "nanoGPT's loop", "transformers' Trainer", "bf16 matrix products"
SAME_GELU, SAME_OPTIMIZER = "nanoGPT's loop, our GELU", "nanoGPT's loop, Muon"
MUON, ADAMW = "ours, Muon", "ours, AdamW"


def rows(options: Namespace) -> Iterator[Row]:
    """Measure both."""
    for name in RECIPES:
        yield from one_model(name, options.stories, options.turns)


def one_model(name: str, stories: Path, turns: int) -> Iterator[Row]:
    """All sides of one model, in turns; then our share of what the processor multiplies in a second."""
    peers = {NANOGPT: nanogpt, TRAINER: trainer, SAME_OPTIMIZER: partial(nanogpt, optimizer="muon")}
    if name == "gpt2-mini":
        peers[SAME_GELU] = partial(nanogpt, activation="gelu_pytorch_tanh")
    pairs = [(NANOGPT, MUON), (TRAINER, MUON), *((peer, ADAMW) for peer in peers if peer != SAME_OPTIMIZER)]
    ours = {MUON: own_loop, ADAMW: partial(own_loop, optimizer="adamw")}
    sides = {label: Apart(build, name, str(stories)) for label, build in {**peers, **ours}.items()}
    figures = take_turns(sides | {PRODUCTS: products}, turns)
    for peer, label in [*pairs, (SAME_OPTIMIZER, MUON)]:
        same_optimizer = (label == MUON) == (peer == SAME_OPTIMIZER)
        asked = ASKED if same_optimizer and peer != SAME_GELU else None
        yield row(f"training {name}", figures, peer, label, "real tokens/s", asked)
    work = sides[MUON].of(operations)
    for label in ours:
        figures[label] = [rate * work / 1e9 for rate in figures[label]]
        yield row(f"training {name}, share of the processor's rate", figures, PRODUCTS, label, "GFLOP/s", None)
    for side in sides.values():
        side.close()


def examples_of(name: str, stories: str) -> tuple[Recipe, list[EncodedStory], object]:
    """The recipe, the encoded stories and the tokenizer."""
    recipe = read_recipe(PROJECT / "train" / f"{name}.toml")
    tokenizer = load_tokenizer(PROJECT / recipe.vocabulary)
    return recipe, encode_stories(read_stories(stories, limit=STORIES), tokenizer), tokenizer


def one_row(encoded: list[EncodedStory]) -> np.ndarray:
    """All stories one behind the other, each with an end."""
    return np.concatenate([np.append(story.tokens, END_ID) for story in encoded])


def own_framing(name: str, encoded: list[EncodedStory], tokenizer, recipe: Recipe) -> Framing:
    """The recipe's."""
    if name == "seq2seq":
        return PromptTarget(encoded, tokenizer, recipe.model["positions"])
    return Windows(one_row(encoded), recipe.pack_length)


class Own:
    """Our loop by a recipe, as `python -m train` runs it."""

    def __init__(self, name: str, stories: str, optimizer: str):
        from storylab.training.build import build_model
        from storylab.training.optimizers import make_optimizers
        from storylab.training.run import prepare_accelerator
        from storylab.training.state import Progress

        keep_what_is_freed()
        recipe, encoded, tokenizer = examples_of(name, stories)
        never = {"log_every": 1, "evaluate_every": 10**6, "save_every": 10**6, "epochs": 1000.0}
        self.recipe = replace(recipe, optimizer=optimizer, precision="bf16", **never)
        self.framing = own_framing(name, encoded, tokenizer, recipe)
        self.validation = own_framing(name, encoded[:1], tokenizer, recipe)  # takes no time
        model = build_model(self.recipe, tokenizer)
        self.optimizers, self.progress = make_optimizers(model, self.recipe), Progress()
        self.accelerator = prepare_accelerator(self.recipe, "cpu")
        self.model = self.accelerator.prepare(model)

    def rate(self, steps: int) -> float:
        """Real tokens a second of some steps, after one that does not count."""
        from storylab.training.loop import train

        seen: list[tuple[float, int]] = []

        def note(record: dict) -> None:
            if "tokens" in record:
                seen.append((time.perf_counter(), record["tokens"]))

        enough = lambda: len(seen) >= steps  # noqa: E731 - the step under way is not among them
        sides = (self.framing, self.validation, self.accelerator, self.progress)
        train(self.model, self.optimizers, self.recipe, *sides, [note], enough)
        (began, before), (ended, after) = seen[0], seen[-1]
        return (after - before) / (ended - began)


def own_loop(name: str, stories: str, optimizer: str = "muon") -> "Own":
    """Our side."""
    return Own(name, stories, optimizer)


def operations(own: Own) -> float:
    """Floating-point operations a real token of forward and backward passes, the optimizer's left out."""
    from storylab.framing import batches
    from storylab.training.loss import summed_loss

    batch = batches(own.framing, 0, own.recipe.batch_size, own.recipe.seed)[0]
    with FlopCounterMode(display=False) as counter:
        summed_loss(own.model, own.framing.collate(batch)).backward()
    own.model.zero_grad()
    return counter.get_total_flops() / own.framing.real_tokens(batch)


class Peer:
    """A peer's side."""

    def __init__(self, run: Callable[[int], float]):
        self.rate = run


def _stock(name: str, stories: str, activation: str) -> tuple:
    from transformers import DataCollatorForSeq2Seq, default_data_collator

    from benchmarks import training_peers as peers

    recipe, encoded, tokenizer = examples_of(name, stories)
    torch.manual_seed(recipe.seed)
    if name == "seq2seq":
        model = peers.StockSeq2Seq(len(tokenizer), recipe.model)
        return recipe, model, peers.pairs(encoded), DataCollatorForSeq2Seq(tokenizer)
    model = peers.stock_gpt2(len(tokenizer), recipe.model, activation)
    row = one_row(encoded)
    cuts = range(0, len(row) - recipe.pack_length, recipe.pack_length)
    blocks = [row[cut : cut + recipe.pack_length].tolist() for cut in cuts]
    return recipe, model, [{"input_ids": block, "labels": block} for block in blocks], default_data_collator


def nanogpt(name: str, stories: str, activation: str = "gelu_new", optimizer: str = "adamw") -> Peer:
    """The side of nanoGPT, with its AdamW or with the recipe's Muon."""
    from benchmarks import training_peers as peers
    from storylab.training.optimizers import make_optimizers

    recipe, model, examples, collate = _stock(name, stories, activation)
    if name == "seq2seq":
        batches = peers.random_pairs(examples, collate, recipe.batch_size)
    else:
        row = np.concatenate([example["input_ids"] for example in examples])
        batches = peers.random_blocks(row, recipe.pack_length, recipe.batch_size)
    optimizers = make_optimizers(model, recipe) if optimizer == "muon" else [peers.adamw(model, recipe.learning_rate)]
    return Peer(peers.NanoGPT(model, batches, optimizers, recipe.accumulation).rate)


def trainer(name: str, stories: str, activation: str = "gelu_new") -> Peer:
    """The Trainer's side; its examples are the stories joined and cut, as transformers' own script does it."""
    from benchmarks import training_peers as peers

    recipe, model, examples, collate = _stock(name, stories, activation)
    return Peer(partial(peers.trainer_rate, model, examples, collate, recipe))


def products() -> float:
    """The bf16 matrix products of a processor in GFLOP/s: the best of several shapes of these models' layers."""
    best = 0.0
    for rows_, inner, columns in ((4096, 384, 1536), (4096, 1536, 384), (2048, 2048, 2048)):
        left, right = (torch.randn(*shape).bfloat16() for shape in ((rows_, inner), (inner, columns)))
        left @ right
        started = time.perf_counter()
        for _ in range(20):
            left @ right
        best = max(best, 20 * 2 * rows_ * inner * columns / (time.perf_counter() - started) / 1e9)
    return best


_BUILT: object = None


def _build(build: Callable, *about) -> None:
    global _BUILT
    _BUILT = build(*about)


def _rate() -> float:
    return _BUILT.rate(STEPS)


def _of(function: Callable):
    return function(_BUILT)


class Apart:
    """A side in a process of its own: how one handles memory is not to be another's gain or loss."""

    def __init__(self, build: Callable, *about):
        context = multiprocessing.get_context("spawn")
        self.pool = ProcessPoolExecutor(1, context, initializer=_build, initargs=(build, *about))

    def __call__(self) -> float:
        return self.pool.submit(_rate).result()

    def of(self, function: Callable) -> float:
        """What a function says of the side."""
        return self.pool.submit(_of, function).result()

    def close(self) -> None:
        """End the process."""
        self.pool.shutdown()
