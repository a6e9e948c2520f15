"""Opening a folder of weights: every weight in its place, or one sentence that says what is wrong."""

from pathlib import Path

import torch
from transformers import PreTrainedModel
from transformers.utils import logging

from storylab.errors import StoryLabError
from storylab.memory import TOO_LITTLE, is_memory_error


def positions_of(model: PreTrainedModel) -> int:
    """How many tokens a model can read.

    Raises:
        StoryLabError: Its config doesn't say.
    """
    positions = getattr(model.config, "max_position_embeddings", None)
    if not isinstance(positions, int):
        raise StoryLabError(f"a {model.config.model_type} doesn't say how many tokens it can read")
    return positions


def load_model(model_class: type, folder: str | Path, dtype: torch.dtype = torch.float32, **shape) -> PreTrainedModel:
    """Load a model of transformers from safetensors in a folder; nothing is fetched, no remote code is run.

    Args:
        model_class: Its class, or one of the Auto classes.
        folder: With `config.json` and the weights.
        dtype: What it is to compute in.
        **shape: Changes to its config.

    Raises:
        StoryLabError: A file can't be read, or weights are missing, too many or of another shape.
    """
    logging.disable_progress_bar()  # loading takes a blink
    logging.set_verbosity(logging.CRITICAL)  # what is wrong is said once, below
    try:
        model, report = model_class.from_pretrained(
            str(folder), local_files_only=True, use_safetensors=True, dtype=dtype, output_loading_info=True, **shape
        )
    except Exception as error:  # safetensors, transformers and torch each have their own
        if is_memory_error(error):
            raise StoryLabError(TOO_LITTLE) from None
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        misfit = "its weights don't fit its config: a tensor has another shape"
        raise StoryLabError(misfit if "mismatch" in str(error) else lines[0]) from None
    if unfit := sorted(report["missing_keys"]) + sorted(report["unexpected_keys"]):
        raise StoryLabError(f"its weights don't fit its config: {unfit[0]}")
    return model


def stamp(*folders: Path | None) -> list[tuple[str, int, int]]:
    """What tells whether models in folders are still those that they were: names, times and sizes of their files."""
    files = [file for folder in folders if folder for file in sorted(folder.iterdir())]
    stats = [(file.name, file.stat()) for file in files if file.suffix in (".safetensors", ".json")]
    return [(name, stat.st_mtime_ns, stat.st_size) for name, stat in stats]
