"""The training loop: batches in, a better model out. Logging, sampling and saving hang on as callbacks.

    for each step:  forward passes  ->  gradients, summed  ->  clip  ->  optimizer  ->  callbacks

The loss of a step is the mean over all its label tokens, whatever the number of passes and processes that
they are spread over, so that accumulation and several processes change nothing but the time.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from storylab.framing import IGNORED, Framing, batches
from storylab.processes import SharedError
from storylab.training.loss import summed_loss
from storylab.training.optimizers import rate, set_rate
from storylab.training.recipe import Recipe
from storylab.training.state import Progress

Record = dict[str, Any]


def own_share(examples: np.ndarray, framing: Framing, accelerator: "Accelerator | Alone") -> dict[str, Tensor]:
    """The tensors of this process's share of a batch; a process left without examples learns nothing."""
    mine = examples[accelerator.process_index :: accelerator.num_processes]
    batch = framing.collate(mine if len(mine) else examples[:1])
    if not len(mine):
        batch["labels"] = torch.full_like(batch["labels"], IGNORED)
    return {name: tensor.to(accelerator.device) for name, tensor in batch.items()}


def steps_of(recipe: Recipe, framing: Framing) -> int:
    """Optimizer steps of a whole training."""
    passes = math.ceil(len(framing.examples(0)) / recipe.batch_size)
    return max(1, round(recipe.epochs * math.ceil(passes / recipe.accumulation)))


def steps_from(first: int, recipe: Recipe, framing: Framing) -> Iterator[list[np.ndarray]]:
    """The batches of each step from step `first` on, epoch after epoch without end."""
    epoch, skipped = 0, 0
    while True:
        order = batches(framing, epoch, recipe.batch_size, recipe.seed)
        cut = [order[i : i + recipe.accumulation] for i in range(0, len(order), recipe.accumulation)]
        yield from cut[max(0, first - skipped) :]
        epoch, skipped = epoch + 1, skipped + len(cut)


class Alone:
    """Stands where an accelerator does, for one process that measures a model by itself."""

    process_index, num_processes = 0, 1

    def __init__(self, device: torch.device):
        self.device = device

    def reduce(self, tensor: Tensor, reduction: str) -> Tensor:
        """What one process has is the sum already."""
        return tensor


@torch.no_grad()
def validation_loss(model: nn.Module, framing: Framing, batch_size: int, accelerator: Accelerator | Alone) -> float:
    """Mean loss a label token over a whole framing, without dropout or label smoothing."""
    model.eval()
    total = torch.zeros(2, dtype=torch.float64, device=accelerator.device)  # loss, label tokens
    for examples in batches(framing, 0, batch_size, seed=0):
        batch = own_share(examples, framing, accelerator)
        total[0] += summed_loss(model, batch)
        total[1] += (batch["labels"] != IGNORED).sum()
    model.train()
    loss, tokens = accelerator.reduce(total, "sum").tolist()
    return loss / tokens


def train(
    model: nn.Module,
    optimizers: list[torch.optim.Optimizer],
    recipe: Recipe,
    framing: Framing,
    validation: Framing,
    accelerator: Accelerator,
    progress: Progress,
    callbacks: Iterable[Callable[[Record], None]] = (),
    should_stop: Callable[[], bool] = lambda: False,
) -> Progress:
    """Train a model by a recipe, from where `progress` stands to the end.

    Args:
        model: Already prepared by the accelerator.
        optimizers: What `make_optimizers` made for it.
        recipe: Batch size, schedule and the like.
        framing: Training examples.
        validation: Validation examples.
        accelerator: Device, precision and processes.
        progress: Where to start; changed as training goes on.
        callbacks: Each is called with a record after every `log_every` steps ("loss" in it), after every
            validation ("validation_loss", and "best" where it is the lowest) and every `save_every` steps
            ("save").
        should_stop: Asked after every step; of several processes, any may say so for all.

    Returns:
        The progress at the end.
    """
    tell = lambda **record: [callback(record) for callback in callbacks]  # noqa: E731
    steps, started = steps_of(recipe, framing), time.perf_counter() - progress.seconds
    recent_tokens, recent_start = 0, time.perf_counter()
    model.train()
    for step_batches in steps_from(progress.step, recipe, framing):
        if progress.step >= steps or 0 < recipe.patience <= progress.stale:
            break
        torch.manual_seed(
            (recipe.seed * 1_000_003 + progress.step) % 2**48 * 1_009 + accelerator.process_index
        )  # dropout
        passes = [own_share(examples, framing, accelerator) for examples in step_batches]
        own_labels = sum(int((batch["labels"] != IGNORED).sum()) for batch in passes)
        labels = int(accelerator.reduce(torch.tensor(own_labels, device=accelerator.device), "sum"))
        tokens = sum(framing.real_tokens(examples) for examples in step_batches)
        step_loss = torch.zeros((), device=accelerator.device)
        for batch in passes:
            loss = summed_loss(model, batch, recipe.label_smoothing) / labels
            accelerator.backward(loss * accelerator.num_processes)  # which average their gradients
            step_loss += loss.detach()
        loss = _finite(accelerator.reduce(step_loss, "sum").item(), progress.step)
        if recipe.clip:
            accelerator.clip_grad_norm_(model.parameters(), recipe.clip)
        share = rate(progress.step, steps, recipe)
        set_rate(optimizers, share)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()

        progress.step += 1
        progress.seconds = time.perf_counter() - started
        progress.tokens, recent_tokens = progress.tokens + tokens, recent_tokens + tokens
        progress.recent_loss, progress.recent_labels = (
            progress.recent_loss + loss * labels,
            progress.recent_labels + labels,
        )
        position = {"step": progress.step, "steps": steps, "seconds": round(progress.seconds, 1)}
        last = progress.step == steps or _any(should_stop(), accelerator)
        if progress.step % recipe.log_every == 0 or last:
            elapsed = time.perf_counter() - recent_start
            tell(
                **position,
                loss=progress.recent_loss / progress.recent_labels,
                learning_rate=recipe.learning_rate * share,
                tokens=progress.tokens,
                tokens_per_second=round(recent_tokens / elapsed),
            )
            progress.recent_loss, progress.recent_labels = 0.0, 0
            recent_tokens, recent_start = 0, time.perf_counter()
        if progress.step % recipe.evaluate_every == 0 or last:
            loss = _finite(validation_loss(model, validation, recipe.batch_size, accelerator), progress.step)
            best = loss < progress.best_loss
            progress.stale = 0 if best else progress.stale + 1
            if best:
                progress.best_loss, progress.best_step = loss, progress.step
            tell(**position, validation_loss=loss, best=best)
            recent_start = time.perf_counter()
            last = last or 0 < recipe.patience <= progress.stale
        if progress.step % recipe.save_every == 0 or last:
            tell(**position, save=True)
        if last:
            break
    return progress


def _any(stops: bool, accelerator: Accelerator) -> bool:
    """Whether any process says so: one that went on alone would wait for the others' gradients for ever."""
    return accelerator.reduce(torch.tensor(int(stops), device=accelerator.device), "sum").item() > 0


def _finite(loss: float, step: int) -> float:
    """A loss that all processes share, if it is a number."""
    if not math.isfinite(loss):
        raise SharedError(f"the loss is {loss} at step {step}: lower the learning rate")
    return loss
