"""The Story Cloze Test: which of two endings of a four-sentence story a storyteller finds likelier."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from storylab.errors import StoryLabError
from storylab.evaluation.intervals import bootstrap_interval
from storylab.evaluation.score import label_losses
from storylab.framing import IGNORED, Framing, encode_stories
from storylab.rows import Row, check_limit, read_rows
from storylab.stories import SENTENCES, Story

if TYPE_CHECKING:
    from storylab.storytellers.storyteller import Storyteller

CONTEXT = tuple(f"InputSentence{number}" for number in range(1, SENTENCES))
ENDINGS = ("RandomFifthSentenceQuiz1", "RandomFifthSentenceQuiz2")
ANSWER = "AnswerRightEnding"
ALIASES = {f"input_sentence_{number}": name for number, name in enumerate(CONTEXT, 1)} | {
    "sentence_quiz1": ENDINGS[0],
    "sentence_quiz2": ENDINGS[1],
    "answer_right_ending": ANSWER,
}
"""The columns' names in copies of the data on the Hub."""


@dataclass(frozen=True, slots=True)
class ClozeItem:
    """Four sentences of a story, and two endings of which one is right."""

    context: tuple[str, str, str, str]
    endings: tuple[str, str]
    right: int
    """Which ending is right, 0 or 1; in a file it is 1 or 2."""

    @property
    def stories(self) -> tuple[Story, Story]:
        """The story with each of the endings."""
        first, second = self.endings
        return Story((*self.context, first)), Story((*self.context, second))


@dataclass(frozen=True)
class Cloze:
    """How often a storyteller prefers the right ending. The fields are those of `cloze --json`."""

    model: str
    items: int
    accuracy: float
    """Share of items, 0 to 1, whose right ending is the likelier one; guessing has 0.5."""
    interval: tuple[float, float]
    """95% bootstrap interval of the accuracy, over items."""

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON-ready data."""
        return asdict(self) | {"interval": list(self.interval)}


def read_cloze(source: str | Path, *, split: str = "test", limit: int | None = None) -> list[ClozeItem]:
    """Read a Story Cloze file: `InputSentence1..4`, `RandomFifthSentenceQuiz1..2`, `AnswerRightEnding`.

    Columns are found by name in any order, whatever their case, or by their names on the Hub; others are
    ignored. The file is read as `storylab.stories.read_stories` reads one.

    Args:
        source: Path of a CSV, or `hub:OWNER/NAME` or `hub:OWNER/NAME@REVISION`.
        split: Split of the Hub data set.
        limit: Read only the first `limit` items and look at nothing after them.

    Raises:
        StoryLabError: The source can't be read or a row is no item; names file, row and column.
    """
    check_limit(limit, "items")
    rows = read_rows(source, (*CONTEXT, *ENDINGS, ANSWER), aliases=ALIASES, what="items", split=split)
    return list(map(_item, islice(rows, limit)))


def _item(row: Row) -> ClozeItem:
    answer = row.label(ANSWER)
    if answer not in ("1", "2"):
        raise row.error(f"the right ending must be 1 or 2, not {answer[:20]!r}", ANSWER)
    return ClozeItem(tuple(map(row.sentence, CONTEXT)), tuple(map(row.sentence, ENDINGS)), int(answer) - 1)


def cloze(
    storyteller: "Storyteller",
    items: Sequence[ClozeItem],
    on_progress: Callable[[int], None] = lambda done: None,
) -> Cloze:
    """Let a storyteller choose the ending with the higher mean log-probability per token, the end's included.

    Of two endings that are equally likely, neither is chosen.

    Args:
        storyteller: Who chooses.
        items: At least one.
        on_progress: Told after every batch how many examples of the framing it held.

    Raises:
        StoryLabError: There are no items, or one is too long for the model.
    """
    if not items:
        raise StoryLabError("there are no items to choose endings of")
    nll, tokens = ending_losses(storyteller, [story for item in items for story in item.stories], on_progress)
    chosen = chose_right(nll, tokens, np.array([item.right for item in items]))
    return Cloze(
        model=storyteller.name,
        items=len(items),
        accuracy=float(chosen.mean()),
        interval=bootstrap_interval(chosen[:, None].astype(np.float64), lambda totals: totals[..., 0] / len(items)),
    )


def chose_right(nll: np.ndarray, tokens: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Whether each item's right ending has the lower mean loss per token.

    Args:
        nll: The losses of both endings of each item, one beside the other (2 * items,).
        tokens: What they are spread over (2 * items,).
        right: Which ending is right, 0 or 1 (items,).

    Returns:
        A truth value an item (items,).
    """
    means = (nll / tokens).reshape(-1, 2)  # (items, endings)
    rows = np.arange(len(right))
    return means[rows, right] < means[rows, 1 - right]


def ending_losses(
    storyteller: "Storyteller",
    stories: Sequence[Story],
    on_progress: Callable[[int], None] = lambda done: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Each story's loss of its last sentence and its end given the sentences before, and its label tokens.

    Each kind of storyteller reads a story as it does to score it (`storylab.evaluation.score`): tokenised as
    one string; an encoder-decoder has sentence 1 as its source, and the sentences before the last begin its
    target.

    Args:
        storyteller: Whose loss; computed in its own precision, summed in float64.
        stories: At least one.
        on_progress: Told after every batch how many examples of the framing it held.

    Returns:
        Two arrays (stories,): negative log-likelihood in nats, and tokens of the last sentence and one end.
    """
    tokenizer = storyteller.tokenizer
    scored = storyteller.kind.scoring(encode_stories(stories, tokenizer))
    endings = encode_stories([_CutBeforeEnding(story.sentences) for story in stories], tokenizer)
    framing = LastLabels(scored, np.array([len(story.continuation) + 1 for story in endings]))
    return label_losses(storyteller, framing, len(stories), on_progress)


class _CutBeforeEnding(Story):
    """A story of which four sentences are given."""

    @property
    def opening(self) -> str:
        return " ".join(self.sentences[:-1])


class LastLabels(Framing):
    """Another framing's examples, of which only the last labels of each story are left."""

    def __init__(self, framing: Framing, labels: np.ndarray):
        """Keep so many labels of each story.

        Args:
            framing: Where the examples come from. Each begins with its story's number and holds either all
                labels of the story or the next one of them.
            labels: How many labels to keep of each story (stories,), at least 1.
        """
        self.framing, self.labels = framing, labels

    def examples(self, epoch: int) -> np.ndarray:
        rows = self.framing.examples(epoch)
        counts = np.bincount(rows[:, 0])  # examples of each story, which stand together
        places = np.arange(len(rows)) - (np.cumsum(counts) - counts)[rows[:, 0]]
        return rows[places >= (counts - self.labels)[rows[:, 0]]]

    def lengths(self, examples: np.ndarray) -> np.ndarray:
        return self.framing.lengths(examples)

    def collate(self, examples) -> dict[str, Tensor]:
        """The tensors of the other framing, with labels ignored that are too far from their story's end."""
        batch = self.framing.collate(examples)
        labels = batch["labels"]  # (batch, length)
        left = (labels != IGNORED).flip(1).cumsum(1).flip(1)  # labels from here to the story's end
        kept = torch.from_numpy(self.labels[np.asarray(examples)[:, 0]])[:, None]
        return batch | {"labels": labels.masked_fill(left > kept, IGNORED)}
