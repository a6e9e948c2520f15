"""What it is to know a story by heart: how much of it a retelling has."""

from dataclasses import dataclass
from difflib import SequenceMatcher

from storylab.stories import Story

MOST_CHARACTERS = 600
"""Length of a story that is learnt while one looks on."""
MOST_SECONDS = 60
"""What that may take."""
RATES = (1e-2, 1e-3, 1e-4, 1e-7)
"""Learning rates to choose from; the last is the course report's, which needed 30,000 steps."""
RATE = 1e-3
"""The one at which it goes slowly enough to look on."""


@dataclass(frozen=True)
class Retelling:
    """What a model in training makes of the story by now."""

    step: int
    seconds: float
    """Since training began."""
    loss: float
    """Mean of the last few steps, in nats a token."""
    text: str
    """Sentences 2 to 5 as it tells them, each token the likeliest."""
    words: list[tuple[str, bool]]
    """The words of the text, and whether each agrees with the story."""
    right: float
    """Share of the story's words that the text has, 0 to 1."""
    exact: bool
    """Whether the text is the story's to the letter."""


def compare(story: Story, text: str, step: int, seconds: float, loss: float) -> Retelling:
    """Hold a retelling against its story."""
    words, right = agreement(text, story.continuation)
    return Retelling(step, seconds, loss, text, words, right, text == story.continuation)


def agreement(text: str, story: str) -> tuple[list[tuple[str, bool]], float]:
    """Which words of a text agree with a story's, in order, and the share of the story's words that they are.

    The longest run of words that both have is taken first, then those before and behind it, and so on
    (Ratcliff and Obershelp 1988, as `difflib` does it).
    """
    told, wanted = text.split(), story.split()
    right = [False] * len(told)
    for match in SequenceMatcher(None, told, wanted, autojunk=False).get_matching_blocks():
        right[match.a : match.a + match.size] = [True] * match.size
    return list(zip(told, right, strict=True)), sum(right) / len(wanted)
