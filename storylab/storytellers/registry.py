"""`load(name)`: a storyteller by its name or folder, loaded once a process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from storylab.engines.names import named_dtype, named_engine
from storylab.errors import StoryLabError
from storylab.heap import trim
from storylab.memory import require_memory
from storylab.storytellers.catalog import base_of, resolve, state_of
from storylab.storytellers.observers import Account, outcome_of, report
from storylab.storytellers.remote.source import REMOTE
from storylab.storytellers.remote.teller import RemoteStoryteller
from storylab.without_scipy import import_losses

if TYPE_CHECKING:
    from storylab.storytellers.storyteller import Storyteller

_loaded: dict[tuple[str, str, str, str], "Storyteller | RemoteStoryteller"] = {}
BYTES = {"auto": 4, "fp32": 4, "bf16": 2, "int8": 4}
"""What a parameter takes while a model is opened; 8-bit numbers are made of fp32."""
LOADING = threading.RLock()
"""Held by whoever loads: one at a time, whatever its name. While transformers loads a model, it changes torch's
functions for all threads, and while it is imported, other threads find it half there."""


def load(
    name: str, *, device: str = "cpu", dtype: str | None = None, engine: str | None = None
) -> "Storyteller | RemoteStoryteller":
    """The storyteller of a name, kept for the next call; safe to call from several threads.

    One whose model is behind an endpoint only tells; whatever else is wanted of it is refused.

    Args:
        name: A name of the catalogue, hub:OWNER/NAME, or the path of a checkpoint folder (with a slash in it).
        device: Where it computes: "cpu", "cuda", "cuda:1", ...
        dtype: What it computes in: "fp32", "bf16", "int8", which tells with ONNX Runtime on the CPU only, or "auto":
            telling in int8 where that is quicker, all else in fp32. None leaves it to the environment variable
            STORYLAB_DTYPE, and that to "auto".
        engine: What tells: "torch", "onnx" (ONNX Runtime), or "auto", the faster one that the model, device and dtype
            allow. None leaves it to the environment variable STORYLAB_ENGINE, and that to "auto".

    Raises:
        StoryLabError: There is no such storyteller, it is untrained or broken, there is too little memory for it, or
            device, dtype or engine is not there.
    """
    if not isinstance(name, str) or not name:
        raise StoryLabError("the storyteller's name must be text")
    key = (name, device, named_dtype(dtype), named_engine(engine))
    if key not in _loaded:
        with LOADING:
            if key not in _loaded:
                try:
                    _loaded[key] = _open(*key)
                except Exception as error:
                    report(Account(name, outcome_of(error), error=error))
                    raise
    storyteller = _loaded[key]
    if isinstance(storyteller, RemoteStoryteller) and not (
        device == "cpu" and dtype in (None, "auto", "fp32") and engine in (None, "auto")
    ):
        raise StoryLabError(f"{name} computes elsewhere: device, dtype and engine are its endpoint's")
    return storyteller


def _open(name: str, device: str, dtype: str, engine: str) -> "Storyteller | RemoteStoryteller":
    entry = resolve(name)
    if entry.kind == REMOTE:  # whether anybody is there is found out by a telling
        return RemoteStoryteller(entry.name, entry.title, entry.weights.endpoint)
    state = state_of(entry)
    if state.state != "ready":
        raise StoryLabError(f"{entry.name} is {state.state}: {state.reason}")
    base = base_of(entry)
    _require_memory(entry.name, state.parameters or 0, device, dtype)
    import_losses()
    from storylab.storytellers.storyteller import Storyteller  # imports torch and transformers

    storyteller = Storyteller.from_folder(
        entry.name, entry.title, entry.kind, entry.folder, device, dtype, base.folder if base else None, engine
    )
    trim()
    return storyteller


def _require_memory(name: str, parameters: int, device: str, dtype: str) -> None:
    """Refuse a model that the machine has no room for, before it takes what others need. A GPU says so by itself."""
    if device == "cpu":
        with loading(name):
            require_memory(parameters * BYTES[dtype])


@contextmanager
def loading(name: str) -> Iterator[None]:
    """Whatever stands against opening a storyteller is told with its name."""
    try:
        yield
    except StoryLabError as error:
        raise StoryLabError(f"{name} can't be loaded: {error}") from None


def find_base(name: str) -> Path:
    """The folder of the pre-trained model that a recipe fine-tunes.

    Args:
        name: As for `load`.

    Raises:
        StoryLabError: There is no such model, it is not ready, or it is a fine-tuned one that leans on another.
    """
    entry = resolve(name)
    state = state_of(entry)
    if state.state != "ready":
        raise StoryLabError(f"the base {entry.name} is {state.state}: {state.reason}")
    if state.base or entry.kind != "causal":
        raise StoryLabError(f"{entry.name} can't be a base: that takes a causal model that stands on its own")
    return entry.folder
