"""What a training needs to go on after `kill -9`: saved whole or not at all."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from storylab.errors import StoryLabError


@dataclass
class Progress:
    """Where a training stands. Batches and dropout follow from the step alone, so no random state is kept."""

    step: int = 0
    """Optimizer steps done."""
    tokens: int = 0
    """Real tokens put through the model."""
    seconds: float = 0.0
    """Time spent, interruptions left out."""
    best_loss: float = float("inf")
    """Lowest validation loss so far."""
    best_step: int = 0
    """The step that reached it."""
    stale: int = 0
    """Validations since."""
    recent_loss: float = 0.0
    """Loss since the last line of the log, summed over label tokens."""
    recent_labels: int = 0
    """Those label tokens."""


def write_atomically(path: Path, write) -> None:
    """Call `write(temporary path)`, then put the file in place in one move, so that no half file shows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def save_state(path: Path, progress: Progress, fingerprint: str, model, optimizers, best) -> None:
    """Save weights, optimizers and progress; `fingerprint` says which recipe and stories they belong to."""
    state = {
        "progress": asdict(progress),
        "fingerprint": fingerprint,
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "best": best,
    }
    write_atomically(path, lambda temporary: torch.save(state, temporary))


def load_state(path: Path, fingerprint: str, model, optimizers) -> tuple[Progress, dict[str, Any]]:
    """Load what `save_state` saved into model and optimizers; returns progress and the best weights.

    Raises:
        StoryLabError: There is no state, it can't be read, or another recipe or other stories made it.
    """
    if not path.exists():
        raise StoryLabError(f"there is nothing to resume: {path} does not exist")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        found = state["fingerprint"]
    except Exception as error:  # torch and pickle raise many kinds, some with a page of advice
        raise StoryLabError(f"{path} can't be read: it is no state of a training ({type(error).__name__})") from None
    if found != fingerprint:
        raise StoryLabError(f"{path} belongs to another recipe or other stories; train without --resume")
    model.load_state_dict(state["model"])
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    return Progress(**state["progress"]), state["best"]
