"""What differs between two tellings, word by word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher


@dataclass(frozen=True, slots=True)
class Stretch:
    """Words in a row, joined by one space, that are alike or differ together."""

    text: str
    differs: bool


def differences(before: str, sentences: Sequence[str]) -> list[list[Stretch]]:
    """Mark the words of a story that another one does not have in the same order.

    Args:
        before: The text to compare with.
        sentences: The story.

    Returns:
        The stretches of each sentence, by the longest common runs of words (Ratcliff and Metzener 1988).
    """
    words = [(number, word) for number, sentence in enumerate(sentences) for word in sentence.split()]
    matcher = SequenceMatcher(None, before.split(), [word for _, word in words], autojunk=False)
    alike = {b + i for _, b, size in matcher.get_matching_blocks() for i in range(size)}
    marked: list[list[Stretch]] = [[] for _ in sentences]
    for place, (number, word) in enumerate(words):
        line, differs = marked[number], place not in alike
        if line and line[-1].differs == differs:
            line[-1] = Stretch(f"{line[-1].text} {word}", differs)
        else:
            line.append(Stretch(word, differs))
    return marked


def differing_words(marked: Sequence[Sequence[Stretch]]) -> int:
    """How many words differ in what `differences` marked."""
    return sum(len(stretch.text.split()) for line in marked for stretch in line if stretch.differs)
