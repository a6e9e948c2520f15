"""Three ways to make a training example of a story, and packing: stories -> tensors.

| framing | a model reads | and learns | labels a story |
| --- | --- | --- | --- |
| `NextToken` (a) | a prefix | the one token after it | a few prefixes, or every one |
| `PromptTarget` (b) | sentence 1 as the source, the rest shifted by one | the rest and the end | all of the rest |
| `Autoregressive` (c) | the story | the same, one token on | all, or all of the rest |
| `Packed` (c) | several stories side by side, each blind to the others | the same | the same |
| `Misaligned` | sentence 1, padded on | the rest, none of it under what goes before it | all but one |
| `Windows` (c) | a window of running text, for pre-training | the same | all |

A framing says which examples an epoch has (`examples`, rows of integers), how long they are (`lengths`) and
what tensors some of them make (`collate`). Labels stand under the position that predicts them, -100 where
nothing is to be learnt: under padding always, under the prompt where a framing says so.
"""

from abc import ABC, abstractmethod
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from storylab.errors import StoryLabError
from storylab.stories import Story
from storylab.tokenizers import start_token

IGNORED = -100  # the label that torch's cross-entropy leaves out


class EncodedStory(NamedTuple):
    """Token ids of a story that was tokenised as one string: sentence 1, and sentences 2 to 5."""

    opening: np.ndarray
    continuation: np.ndarray

    @property
    def tokens(self) -> np.ndarray:
        return np.concatenate([self.opening, self.continuation])


def encode_stories(stories: Sequence[Story], tokenizer) -> list[EncodedStory]:
    """Tokenise stories, each as one string, and cut them after sentence 1.

    A token that straddles the cut, which neither SentencePiece nor GPT-2's BPE makes, would count as
    continuation.
    """
    if not stories:
        return []
    ids = lambda texts: tokenizer(texts, add_special_tokens=False, return_attention_mask=False)["input_ids"]  # noqa: E731
    wholes, openings = ids([story.text for story in stories]), ids([story.opening for story in stories])
    return [cut_after(opening, whole) for opening, whole in zip(openings, wholes, strict=True)]


def cut_after(opening: Sequence[int], whole: Sequence[int]) -> EncodedStory:
    """Cut a text's token ids where they cease to be those of its opening."""
    pairs = zip(whole, opening, strict=False)
    cut = next((i for i, pair in enumerate(pairs) if pair[0] != pair[1]), len(opening))
    return EncodedStory(np.array(whole[:cut], dtype=np.int32), np.array(whole[cut:], dtype=np.int32))


def pad(rows: Sequence[np.ndarray], value: int) -> Tensor:
    """Stack rows of different lengths into (rows, longest), filled up on the right."""
    padded = np.full((len(rows), max(map(len, rows))), value, dtype=np.int64)
    for row, ids in zip(padded, rows, strict=True):
        row[: len(ids)] = ids
    return torch.from_numpy(padded)


def real_positions(rows: Sequence[np.ndarray]) -> Tensor:
    """1 where `pad` keeps a token of the row, 0 where it pads (rows, longest)."""
    lengths = torch.tensor([len(row) for row in rows])
    return (torch.arange(int(lengths.max())) < lengths[:, None]).long()


class Framing(ABC):
    """Examples, by the epoch, and the tensors that some of them make."""

    @abstractmethod
    def examples(self, epoch: int) -> np.ndarray:
        """The examples of an epoch, one row each; the same rows whenever it is asked."""

    @abstractmethod
    def lengths(self, examples: np.ndarray) -> np.ndarray:
        """Tokens that each example puts through the model, so that a batch can hold examples of a length."""

    def real_tokens(self, examples: np.ndarray) -> int:
        """Tokens that some examples put through the model, source and target together, without padding."""
        return int(self.lengths(examples).sum())

    @abstractmethod
    def collate(self, examples: Iterable[np.ndarray]) -> dict[str, Tensor]:
        """The tensors of some examples: what the model's forward takes, and `labels`."""


class StoryFraming(Framing):
    """Examples made of encoded stories; `start`, `end` and `padding` are token ids of the tokenizer."""

    def __init__(self, stories: Sequence[EncodedStory], tokenizer, positions: int):
        """Keep stories that a model with so many positions can read.

        Raises:
            StoryLabError: There are none, or one is too long.
        """
        if not stories:
            raise StoryLabError("there are no stories to learn from")
        self.stories = stories
        self.start, self.end = start_token(tokenizer), tokenizer.eos_token_id
        self.padding = self.end if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        self._check_length(positions)

    def _check_length(self, positions: int) -> None:
        longest = max(map(self._longest_side, self.stories)) + 1
        if longest > positions:
            raise StoryLabError(f"the longest story has {longest} tokens, the model has {positions} positions")

    def _longest_side(self, story: EncodedStory) -> int:
        return len(story.opening) + len(story.continuation)

    def examples(self, epoch: int) -> np.ndarray:
        return np.arange(len(self.stories))[:, None]


class NextToken(StoryFraming):
    """Framing a: a prefix that ends in the continuation, and the one token after it."""

    def __init__(self, stories, tokenizer, positions: int, prefixes: int = 0, seed: int = 0):
        """Take `prefixes` random prefixes of a story an epoch, anew each epoch; 0 takes every one."""
        super().__init__(stories, tokenizer, positions)
        self.prefixes, self.seed = prefixes, seed

    def examples(self, epoch: int) -> np.ndarray:
        """Rows (story, known): the label is token `known` of the story, the prefix all before it."""
        random = np.random.default_rng((self.seed, epoch))
        rows = []
        for index, story in enumerate(self.stories):
            choices = len(story.continuation) + 1  # every continuation token, and the end
            taken = np.arange(choices)
            if 0 < self.prefixes < choices:
                taken = random.choice(choices, self.prefixes, replace=False)
            rows.append(np.column_stack([np.full(len(taken), index), len(story.opening) + taken]))
        return np.concatenate(rows)

    def lengths(self, examples: np.ndarray) -> np.ndarray:
        return examples[:, 1] + 1

    def collate(self, examples) -> dict[str, Tensor]:
        """input_ids and attention_mask (batch, length), labels (batch, 1)."""
        prefixes, labels = [], []
        for index, known in examples:
            tokens = np.append(self.stories[index].tokens, self.end)
            prefixes.append(np.insert(tokens[:known], 0, self.start))
            labels.append(tokens[known])
        return {
            "input_ids": pad(prefixes, self.padding),
            "attention_mask": real_positions(prefixes),
            "labels": torch.from_numpy(np.array(labels, dtype=np.int64))[:, None],
        }


class PromptTarget(StoryFraming):
    """Framing b: sentence 1 and the end token as the source; the target is the rest, shifted by one."""

    def _longest_side(self, story: EncodedStory) -> int:
        return max(len(story.opening), len(story.continuation))  # source and target are counted apart

    def lengths(self, examples: np.ndarray) -> np.ndarray:
        # Sorted by the target, and among equal targets by the source, a batch needs little padding of either.
        stories = [self.stories[index] for index in examples[:, 0]]
        return np.array([len(s.continuation) + len(s.opening) / 1000 for s in stories])

    def real_tokens(self, examples: np.ndarray) -> int:
        stories = [self.stories[index] for index in examples[:, 0]]
        return sum(len(s.opening) + len(s.continuation) + 2 for s in stories)  # an end and a start

    def collate(self, examples) -> dict[str, Tensor]:
        """input_ids, attention_mask (batch, source); decoder_input_ids, labels (batch, target)."""
        stories = [self.stories[index] for (index,) in examples]
        sources = [np.append(story.opening, self.end) for story in stories]
        return {
            "input_ids": pad(sources, self.padding),
            "attention_mask": real_positions(sources),
            "decoder_input_ids": pad([np.insert(s.continuation, 0, self.start) for s in stories], self.padding),
            "labels": pad([np.append(s.continuation, self.end) for s in stories], IGNORED),
        }


def _shifted(story: EncodedStory, start: int, end: int, learn_prompt: bool) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and labels of one story for framing c: labels are inputs shifted by one, then the end."""
    tokens = story.tokens
    labels = np.append(tokens, end)
    if not learn_prompt:
        labels[: len(story.opening)] = IGNORED
    return np.insert(tokens, 0, start), labels


class Autoregressive(StoryFraming):
    """Framing c: one sequence, labels are inputs shifted by one; the prompt is learnt too unless masked."""

    def __init__(self, stories, tokenizer, positions: int, learn_prompt: bool = True):
        super().__init__(stories, tokenizer, positions)
        self.learn_prompt = learn_prompt

    def lengths(self, examples: np.ndarray) -> np.ndarray:
        stories = [self.stories[index] for index in examples[:, 0]]
        return np.array([len(s.opening) + len(s.continuation) + 1 for s in stories])

    def collate(self, examples) -> dict[str, Tensor]:
        """input_ids, attention_mask, labels (batch, length)."""
        pairs = [_shifted(self.stories[i], self.start, self.end, self.learn_prompt) for (i,) in examples]
        inputs = [inputs for inputs, _ in pairs]
        return {
            "input_ids": pad(inputs, self.padding),
            "attention_mask": real_positions(inputs),
            "labels": pad([labels for _, labels in pairs], IGNORED),
        }


class Misaligned(StoryFraming):
    """The mistake of fine-tuning "prompt to continuation" with labels that don't follow their inputs.

    Sentence 1 is the input, padded on; the rest are the labels, one beside each input from the first on. What
    stands under a label says nothing about it, so that a model learns which tokens are common, and tells
    "the the the". Kept as a teaching exhibit; `Autoregressive` with `learn_prompt=False` is the repair.
    """

    def lengths(self, examples: np.ndarray) -> np.ndarray:
        stories = [self.stories[index] for index in examples[:, 0]]
        return np.array([max(len(s.opening) + 1, len(s.continuation)) for s in stories])

    def collate(self, examples) -> dict[str, Tensor]:
        """input_ids, labels (batch, length): padding is read like any token, which is part of the mistake."""
        stories = [self.stories[index] for (index,) in examples]
        width = int(self.lengths(np.array(examples)).max())
        fill = lambda ids, value: np.append(ids, np.full(width - len(ids), value))  # noqa: E731
        inputs = [fill(np.insert(s.opening, 0, self.start), self.end) for s in stories]
        labels = [fill(np.append(s.continuation, self.end)[1:], IGNORED) for s in stories]  # shifted all the same
        return {"input_ids": pad(inputs, self.end), "labels": pad(labels, IGNORED)}


def pack(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Put items into as few packs as first-fit would, longest first, each into the fullest pack with room.

    Best-fit decreasing (Johnson 1973) over the packs' free room, kept sorted: n log n in the items.

    Args:
        lengths: The items' lengths, each at most `capacity`.
        capacity: What a pack holds.

    Returns:
        The packs, each a list of item indices; every item is in exactly one.
    """
    packs: list[list[int]] = []
    rooms: list[tuple[int, int]] = []  # (free room, pack), sorted; full packs are taken out
    for item in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if lengths[item] > capacity:
            raise StoryLabError(f"an item of {lengths[item]} tokens does not fit a pack of {capacity}")
        place = bisect_left(rooms, (lengths[item], -1))
        if place == len(rooms):
            packs.append([])
            room, chosen = capacity, len(packs) - 1
        else:
            room, chosen = rooms.pop(place)
        packs[chosen].append(item)
        if room > lengths[item]:
            insort(rooms, (room - lengths[item], chosen))
    return packs


class Packed(StoryFraming):
    """Framing c in packs: stories side by side, each with its own positions and blind to the others.

    A story longer than a pack is cut into pieces of a pack's length; the last label of a piece is the first
    token of the next, so that no token and no label is lost.
    """

    def __init__(self, stories, tokenizer, positions: int, pack_length: int, learn_prompt: bool = True):
        """Pack stories into `pack_length` tokens, which may be more than the model's positions: each story has its own.

        Raises:
            StoryLabError: A piece of a story is longer than the positions.
        """
        self.pack_length = pack_length
        super().__init__(stories, tokenizer, positions)
        self.pieces: list[tuple[np.ndarray, np.ndarray]] = []
        for story in stories:
            inputs, labels = _shifted(story, self.start, self.end, learn_prompt)
            for cut in range(0, len(inputs), pack_length):
                self.pieces.append((inputs[cut : cut + pack_length], labels[cut : cut + pack_length]))
        self.packs = pack([len(inputs) for inputs, _ in self.pieces], pack_length)

    def _longest_side(self, story: EncodedStory) -> int:
        return min(super()._longest_side(story), self.pack_length - 1)  # what is longer is cut into pieces

    def examples(self, epoch: int) -> np.ndarray:
        return np.arange(len(self.packs))[:, None]

    def lengths(self, examples: np.ndarray) -> np.ndarray:
        return np.array([sum(len(self.pieces[p][0]) for p in self.packs[i]) for i in examples[:, 0]])

    def collate(self, examples) -> dict[str, Tensor]:
        """input_ids, position_ids, labels (batch, length); attention_mask (batch, 1, length, length); stories.

        The mask is True where a position may look: back, and within its own story. `stories` (stories, longest) says
        the same in another way: where each story's tokens are, counted through the batch, -1 behind the last of them.
        """
        packs = [[self.pieces[p] for p in self.packs[i]] for (i,) in examples]
        join = lambda part: [np.concatenate([part(piece) for piece in pieces]) for pieces in packs]  # noqa: E731
        inputs = join(lambda piece: piece[0])
        owners = [np.repeat(np.arange(len(p)), [len(piece[0]) for piece in p]) for p in packs]
        owner = pad(owners, IGNORED)  # (batch, length): padding sees padding alone
        length = owner.shape[1]
        look_back = torch.ones(length, length, dtype=torch.bool).tril()
        return {
            "input_ids": pad(inputs, self.padding),
            "position_ids": pad(join(lambda piece: np.arange(len(piece[0]))), 0),
            "attention_mask": ((owner[:, :, None] == owner[:, None, :]) & look_back)[:, None],
            "labels": pad(join(lambda piece: piece[1]), IGNORED),
            "stories": pad(_runs(owner.numpy()), -1),
        }


def _runs(owner: np.ndarray) -> list[np.ndarray]:
    """The places, counted through the rows, of each run of places with one owner; `IGNORED` owns nothing."""
    places = np.flatnonzero(owner.ravel() != IGNORED)
    whose = (owner + owner.shape[1] * np.arange(len(owner))[:, None]).ravel()[places]
    return np.split(places, np.flatnonzero(np.diff(whose)) + 1)


class Windows(Framing):
    """Framing c of running text, for pre-training: windows of a long row of tokens, one beside the other.

    Every token of the row but the first is a label exactly once an epoch. Windows of later epochs are cut at
    other places. A window may hold the end of one document and the start of the next.
    """

    def __init__(self, tokens: np.ndarray, length: int, limit: int = 0, seed: int = 0):
        """Cut a row of token ids, which may be mapped from a file, into windows of `length`.

        Args:
            tokens: The row (tokens,).
            length: Tokens a window.
            limit: Use so many windows, spread evenly over the row; 0: all.
            seed: Seed of the places at which later epochs cut.

        Raises:
            StoryLabError: There are fewer than two tokens.
        """
        if len(tokens) < 2:
            raise StoryLabError("there is no text to learn from")
        self.tokens, self.length, self.limit, self.seed = tokens, length, limit, seed

    def examples(self, epoch: int) -> np.ndarray:
        """Rows (first, end): a window reads tokens first to end - 1 and learns first + 1 to end."""
        shift = int(np.random.default_rng((self.seed, epoch)).integers(self.length)) if epoch else 0
        cuts = np.arange(shift, len(self.tokens) - 1, self.length)
        cuts = np.unique(np.concatenate([[0], cuts, [len(self.tokens) - 1]]))
        rows = np.column_stack([cuts[:-1], cuts[1:]])
        if not 0 < self.limit < len(rows):
            return rows
        return rows[np.linspace(0, len(rows) - 1, self.limit).astype(int)]

    def lengths(self, examples: np.ndarray) -> np.ndarray:
        return examples[:, 1] - examples[:, 0]

    def collate(self, examples) -> dict[str, Tensor]:
        """input_ids, labels (batch, length); what is short is padded on the right."""
        inputs = [self.tokens[first:end].astype(np.int64) for first, end in examples]
        labels = [self.tokens[first + 1 : end + 1].astype(np.int64) for first, end in examples]
        return {"input_ids": pad(inputs, 0), "labels": pad(labels, IGNORED)}


WINDOW = 256
"""Batches within whose examples those of like length are brought together."""


def batches(framing: Framing, epoch: int, size: int, seed: int, window: int = WINDOW) -> list[np.ndarray]:
    """An epoch's batches in training order, examples of like length together.

    Examples are shuffled, sorted by length within windows of `window` batches, cut into batches, and the
    batches shuffled: little padding, and still another order each epoch. A pure function of its arguments,
    so that a resumed training meets the very batches it would have met.

    Args:
        framing: Where the examples come from.
        epoch: Which epoch, counted from 0.
        size: Examples a batch; the last of a window may hold fewer.
        seed: Seed of the order.
        window: Batches sorted together.
    """
    random = np.random.default_rng((seed, epoch))
    examples = random.permutation(framing.examples(epoch))
    cut = []
    for first in range(0, len(examples), size * window):
        some = examples[first : first + size * window]
        some = some[np.argsort(framing.lengths(some), kind="stable")]
        cut += [some[i : i + size] for i in range(0, len(some), size)]
    return [cut[i] for i in random.permutation(len(cut))]
