"""What exhibits do again and again: train a model for some seconds, let a storyteller tell, ask for the next token."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from storylab.decoding import Settings
from storylab.errors import StoryLabError
from storylab.exhibits.parts import Doing, Figure, Guess, Loss, Part, Shown, Side
from storylab.framing import IGNORED, Framing
from storylab.inspection.next_token import next_token
from storylab.storytellers import Piece, describe
from storylab.storytellers.registry import LOADING
from storylab.storytellers.storyteller import Storyteller
from storylab.training.build import build_model
from storylab.training.loop import Record, train
from storylab.training.optimizers import make_optimizers
from storylab.training.processors import use_one_processor
from storylab.training.recipe import Recipe
from storylab.training.run import prepare_accelerator
from storylab.training.state import Progress
from storylab.training.turn import Stopped, turn

LIKELIEST = 5
"""Tokens that a guess names."""


def nearest(names: Sequence[str]) -> str:
    """The first of some storytellers that is ready.

    Raises:
        StoryLabError: None is.
    """
    states = {row["name"]: row["state"] for row in describe()}
    for name in names:
        if states.get(name) == "ready":
            return name
    raise StoryLabError(f"this exhibit needs one of {', '.join(names)}, and none is ready")


def refuse_elsewhere(computes: Mapping[str, Any]) -> None:
    """Refuse to compute otherwise than an exhibit does that asks no storyteller at hand.

    Raises:
        StoryLabError: Another device than the processor is asked for, a dtype, or an engine.
    """
    if computes.get("device", "cpu") != "cpu" or computes.get("dtype") or computes.get("engine"):
        raise StoryLabError(
            "this exhibit trains what tells in it, on the processor: leave out device, dtype and engine"
        )


def new_model(recipe: Recipe, tokenizer, base_folder: Path | None = None) -> PreTrainedModel:
    """The model that a recipe trains, made while no other thread loads one: that would change how weights begin."""
    with LOADING:
        return build_model(recipe, tokenizer, base_folder)


def learn(
    side: Side,
    model: PreTrainedModel,
    recipe: Recipe,
    framing: Framing,
    validation: Framing,
    stop: threading.Event,
) -> Iterator[Part]:
    """Train a model by a recipe while one looks on.

    The training runs in a thread, once no other training does; it ends with its step when `stop` is set or the
    iterator is closed, which waits for nothing.

    Args:
        side: Whose curve it is.
        model: Is changed in place; computes without gradients afterwards.
        recipe: Everything but the examples.
        framing: The examples.
        validation: A few examples; the loop reads them at its end.
        stop: Ends the training.

    Returns:
        The model, out of its training mode, as the value of `yield from`.

    Raises:
        StoryLabError: The loss is no number any more.
    """
    records: queue.Queue[Record | BaseException | None] = queue.Queue()
    left = threading.Event()

    def work() -> None:
        use_one_processor()
        done = lambda: stop.is_set() or left.is_set()  # noqa: E731
        try:
            with turn(done):
                accelerator = prepare_accelerator(recipe, "cpu")
                prepared, optimizers = accelerator.prepare(model), make_optimizers(model, recipe)
                train(prepared, optimizers, recipe, framing, validation, accelerator, Progress(), [records.put], done)
                accelerator.unwrap_model(prepared, keep_fp32_wrapper=False)  # `model` itself again
        except Stopped:
            pass
        except BaseException as error:  # belongs to who looks on
            records.put(error)
        finally:
            records.put(None)

    yield Doing("training", side)
    threading.Thread(target=work, name=f"exhibit-{recipe.name}", daemon=True).start()
    try:
        while (record := records.get()) is not None:
            if isinstance(record, BaseException):
                raise record
            if "loss" in record:
                yield Loss(side, record["step"], record["loss"])
                yield Doing("training", side, record["step"], record["steps"])
    finally:
        left.set()
    return model.eval().requires_grad_(False)


def tell(
    side: Side,
    key: str,
    label: str,
    storyteller: Storyteller,
    opening: str,
    settings: Mapping[str, Any],
    seed: int,
    stop: threading.Event,
) -> Iterator[Part]:
    """A telling, its tokens counted while it is told; one that was stopped is shown as far as it came."""
    chosen = Settings.from_mapping(settings)
    yield Doing("telling", side)
    told = 0
    for piece in storyteller.stream(opening, chosen, seed, stop):
        if isinstance(piece, Piece):
            told += 1
            yield Doing("telling", side, told)
        else:
            yield Shown(label, piece, side, key)


def guess(side: Side, key: str, label: str, storyteller: Storyteller, opening: str) -> Guess:
    """What a storyteller expects after an opening."""
    first = next_token(storyteller, opening, "", Settings.from_mapping({}), shown=LIKELIEST)[0]
    return Guess(label, side, key, opening, [(other.text, other.probability) for other in first.shown])


def accuracy(
    side: Side, key: str, label: str, storyteller: Storyteller, framing: Framing, ignored: int = IGNORED
) -> Figure:
    """The share of labels that are the model's likeliest token (teacher-forced: what goes before is given).

    Args:
        side: Whose figure it is.
        key: Its name, as `label` is in English.
        label: What it measures.
        storyteller: Whose model.
        framing: The labels, those of all examples.
        ignored: A label that doesn't count.
    """
    from storylab.evaluation.score import predictions

    right = asked = 0
    examples = framing.examples(0)
    for first in range(0, len(examples), 8):
        labels, logits = predictions(storyteller, framing, examples[first : first + 8])
        counts = (labels != IGNORED) & (labels != ignored)
        right += int((counts & (logits.argmax(dim=-1) == labels)).sum())
        asked += int(counts.sum())
    return Figure(key, label, side, right / asked, "share")
