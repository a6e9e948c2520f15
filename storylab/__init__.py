"""StoryLab: several language models finish the same story, side by side.

from storylab import load
telling = load("seq2seq").tell("Every weekend the Jefferson's go to the park.", seed=1)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from storylab.decoding import Settings
    from storylab.errors import StoryLabError
    from storylab.storytellers import Telling, load

__version__ = "0.1.0"
__all__ = ["Settings", "StoryLabError", "Telling", "__version__", "load"]
_PLACES = {"Settings": "decoding", "StoryLabError": "errors", "Telling": "storytellers", "load": "storytellers"}


def __getattr__(name: str) -> Any:
    """Import what is asked for: `python -m storylab doctor` must begin where a package is missing or broken."""
    if name not in _PLACES:
        raise AttributeError(f"module 'storylab' has no attribute {name!r}")
    return getattr(import_module(f"storylab.{_PLACES[name]}"), name)
