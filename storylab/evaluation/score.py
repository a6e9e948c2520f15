"""Perplexity per word of sentences 2 to 5, given sentence 1: comparable across tokenizers and kinds of model."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from storylab.errors import StoryLabError
from storylab.evaluation import intervals
from storylab.evaluation.intervals import RESAMPLES
from storylab.framing import IGNORED, Framing, batches, encode_stories
from storylab.processes import ALONE, Processes
from storylab.stories import Story

if TYPE_CHECKING:
    from storylab.storytellers.storyteller import Storyteller

TOKENS_A_BATCH = 4096
"""Tokens, padding included, that one forward pass reads at most; more gains no speed and takes memory."""


@dataclass(frozen=True)
class Score:
    """A storyteller's loss on stories. The fields are those of `score --json`."""

    model: str
    stories: int
    words: int
    """Whitespace-separated words of sentences 2 to 5, and one more for the end of each story."""
    tokens: int
    """Tokens of sentences 2 to 5, and one end token a story."""
    nll: float
    """Negative log-likelihood of those tokens together, in nats."""
    perplexity_per_token: float
    """exp(nll / tokens)."""
    perplexity_per_word: float
    """exp(nll / words)."""
    interval: tuple[float, float]
    """95% bootstrap interval of the perplexity per word, over stories."""

    def to_dict(self) -> dict[str, Any]:
        """The score as JSON-ready data."""
        return asdict(self) | {"interval": list(self.interval)}


def story_losses(
    storyteller: "Storyteller",
    stories: Sequence[Story],
    on_progress: Callable[[int], None] = lambda done: None,
    at_once: int = TOKENS_A_BATCH,
    processes: Processes = ALONE,
) -> tuple[np.ndarray, np.ndarray]:
    """Each story's negative log-likelihood in nats, and its label tokens.

    Args:
        storyteller: Whose loss; computed in its own precision, summed in float64.
        stories: At least one.
        on_progress: Told after every batch how many examples of the framing it held.
        at_once: Tokens, padding included, that one batch reads at most.
        processes: Who reads the batches. They are those of one process, so that the sums are its sums to the last bit.

    Returns:
        Two arrays (stories,).
    """
    framing = storyteller.kind.scoring(encode_stories(stories, storyteller.tokenizer))
    return label_losses(storyteller, framing, len(stories), on_progress, at_once, processes)


@torch.inference_mode()
def predictions(storyteller: "Storyteller", framing: Framing, examples: np.ndarray) -> tuple[Tensor, Tensor]:
    """What a storyteller is asked for in some examples of a framing, and what it says to that.

    Returns:
        Labels, `IGNORED` where nothing is asked (examples, length), and logits in fp32 (examples, length, vocabulary).
    """
    batch = {name: tensor.to(storyteller.kind.device) for name, tensor in framing.collate(examples).items()}
    labels, _ = batch.pop("labels"), batch.pop("stories", None)  # the mask says the same of packs
    return labels, storyteller.model(**batch).logits.float()


@torch.inference_mode()
def label_losses(
    storyteller: "Storyteller",
    framing: Framing,
    stories: int,
    on_progress: Callable[[int], None] = lambda done: None,
    at_once: int = TOKENS_A_BATCH,
    processes: Processes = ALONE,
) -> tuple[np.ndarray, np.ndarray]:
    """What `story_losses` returns, of stories in a framing whose examples begin with the story's number."""

    def read(examples: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        labels, logits = predictions(storyteller, framing, examples)
        losses = F.cross_entropy(
            logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="none"
        ).view_as(labels)
        counts = (labels != IGNORED).sum(dim=1)
        yield examples[:, 0], losses.double().sum(dim=1).cpu().numpy(), counts.cpu().numpy()

    nll, tokens = np.zeros(stories), np.zeros(stories, dtype=np.int64)
    longest = int(framing.lengths(framing.examples(0)).max()) + 1
    parts = batches(framing, 0, size=max(1, at_once // longest), seed=0)
    for numbers, losses, counts in processes.each(parts, read):
        np.add.at(nll, numbers, losses)
        np.add.at(tokens, numbers, counts)
        on_progress(len(numbers))
    return nll, tokens


def score(
    storyteller: "Storyteller",
    stories: Sequence[Story],
    on_progress: Callable[[int], None] = lambda done: None,
    at_once: int = TOKENS_A_BATCH,
) -> Score:
    """Score a storyteller on stories.

    `on_progress` and `at_once` are those of `story_losses`.

    Raises:
        StoryLabError: There are no stories, or one is too long for the model.
    """
    if not stories:
        raise StoryLabError("there are no stories to score")
    nll, tokens = story_losses(storyteller, stories, on_progress, at_once)
    words = np.array([story.scored_words for story in stories])
    return Score(
        model=storyteller.name,
        stories=len(stories),
        words=int(words.sum()),
        tokens=int(tokens.sum()),
        nll=float(nll.sum()),
        perplexity_per_token=float(np.exp(nll.sum() / tokens.sum())),
        perplexity_per_word=float(np.exp(nll.sum() / words.sum())),
        interval=bootstrap_interval(nll, words),
    )


def bootstrap_interval(nll: np.ndarray, words: np.ndarray, resamples: int = RESAMPLES) -> tuple[float, float]:
    """95% percentile bootstrap interval of exp(sum nll / sum words) over stories (Efron 1979), always the same."""
    return intervals.bootstrap_interval(np.column_stack([nll, words]), perplexity, resamples)


def perplexity(totals: np.ndarray) -> np.ndarray:
    """exp(nll / words) of totals (..., 2)."""
    return np.exp(totals[..., 0] / totals[..., 1])
