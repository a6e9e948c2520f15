"""What a training needs to go on after `kill -9`: saved whole or not at all."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from storylab.errors import StoryLabError
from storylab.files import storing, write_atomically
from storylab.memory import TOO_LITTLE, is_memory_error


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


class Keeper:
    """The callback that keeps the best weights and saves what `--resume` needs: of trained parameters only."""

    def __init__(self, model: nn.Module, optimizers: list, progress: Progress, path: Path, mark: str, saves: bool):
        """Keep in memory; save to `path` (one of several processes does), marked with what it belongs to."""
        self.model, self.optimizers, self.progress = model, optimizers, progress
        self.path, self.mark, self.saves = path, mark, saves
        self.best: dict[str, Tensor] = {}

    def __call__(self, record: dict[str, Any]) -> None:
        """Keep or save where the record says so."""
        if record.get("best"):
            self.best = {name: tensor.detach().to("cpu", copy=True) for name, tensor in self._trained().items()}
        if record.get("save") and self.saves:
            self.save()

    def _trained(self) -> dict[str, Tensor]:
        return {name: parameter for name, parameter in self.model.named_parameters() if parameter.requires_grad}

    def load_best(self) -> None:
        """Give the model the weights of the lowest validation loss."""
        self.model.load_state_dict(self.best, strict=False)  # what is frozen is not among them

    def save(self) -> None:
        """Save weights, optimizers and progress, whole or not at all.

        Raises:
            StoryLabError: It can't be written; what was saved before is there as it was.
        """
        state = {
            "progress": asdict(self.progress),
            "mark": self.mark,
            "model": {name: parameter.detach() for name, parameter in self._trained().items()},
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "best": self.best,
        }
        with storing(self.path):
            write_atomically(self.path, lambda temporary: _save(state, temporary))

    def require(self) -> None:
        """Refuse to resume where there is nothing to, before anything is made there.

        Raises:
            StoryLabError: There is no state.
        """
        if not self.path.exists():
            raise StoryLabError(f"there is nothing to resume: {self.path} does not exist")

    def resume(self) -> Progress:
        """Load what `save` saved into model and optimizers; returns the progress.

        Raises:
            StoryLabError: There is no state, it can't be read, or another recipe or other stories made it.
        """
        self.require()
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            if state["mark"] != self.mark:
                raise StoryLabError(f"{self.path} belongs to another recipe or other stories; train without --resume")
            if state["model"].keys() != self._trained().keys():
                raise KeyError("other tensors")
            self.model.load_state_dict(state["model"], strict=False)
            for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
            self.progress, self.best = Progress(**state["progress"]), dict(state["best"])
        except StoryLabError:
            raise
        except Exception as error:  # torch and pickle raise many kinds, some with a page of advice
            reason = TOO_LITTLE if is_memory_error(error) else f"it is no state of a training ({type(error).__name__})"
            raise StoryLabError(f"{self.path} can't be read: {reason}") from None
        return self.progress


def _save(state: dict[str, Any], path: Path) -> None:
    with open(path, "wb") as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # about its own file format, whatever the disk had to say
            raise (error.__context__ if isinstance(error.__context__, OSError) else error) from None
