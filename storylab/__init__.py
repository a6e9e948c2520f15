"""StoryLab: several language models finish the same story, side by side.

from storylab import load
telling = load("seq2seq").tell("Every weekend the Jefferson's go to the park.", seed=1)
"""

from storylab.decoding import Settings
from storylab.errors import StoryLabError
from storylab.storytellers import Telling, load

__version__ = "0.1.0"
__all__ = ["Settings", "StoryLabError", "Telling", "__version__", "load"]
