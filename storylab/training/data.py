"""What a recipe learns from and is measured on: stories, or running text, as examples for a model."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from transformers import PreTrainedModel

from storylab.errors import StoryLabError
from storylab.framing import Autoregressive, Framing, Misaligned, NextToken, Packed, PromptTarget, encode_stories
from storylab.stories import (
    Splits,
    Story,
    fingerprint,
    read_stories,
    refuse_leakage,
    remove_duplicates,
    split_stories,
)
from storylab.training.loop import Alone, validation_loss
from storylab.training.recipe import Recipe


class Corpus(ABC):
    """What a recipe learns from: a training side and a validation side, each made into examples."""

    fingerprint: str
    """SHA-256 of both sides: a saved state belongs to them."""
    noun: str
    """What it consists of, for the model card, as are the next three."""
    measured: str
    """What its perplexity per word is a measure of."""
    options: str
    """The command line's options that give it."""
    knows: str
    """What a model that learnt from it knows."""

    @abstractmethod
    def texts(self) -> Iterable[str]:
        """The training texts, for learning a vocabulary."""

    @abstractmethod
    def framings(self, tokenizer, positions: int) -> tuple[Framing, Framing]:
        """The examples to train on and those to validate on, for a model with so many positions."""

    @abstractmethod
    def labels_per_word(self, tokenizer) -> float:
        """Label tokens of the validation side over its words, an end counting as one of each."""

    @abstractmethod
    def perplexities(self, model: PreTrainedModel, tokenizer) -> dict[str, float | None]:
        """Perplexity per word of a model in fp32 on each side that it has not learnt from, all of it."""

    @abstractmethod
    def card(self) -> str:
        """What it is, in Markdown, for the model card."""

    def attachments(self) -> list[Path]:
        """Files that go with the model card."""
        return []


class StoryCorpus(Corpus):
    """Five-sentence stories."""

    noun = "stories"
    measured = "of sentences 2 to 5 and the end of the story, given sentence 1"
    options = "--stories TRAIN.csv --validation VALID.csv --test TEST.csv"
    knows = "short English everyday stories"

    def __init__(self, recipe: Recipe):
        """Read the recipe's stories, split them where it names no validation file, and refuse leaks.

        Raises:
            StoryLabError: No stories are named, a file is at fault, or a story is on two sides.
        """
        self.recipe = recipe
        self.splits, self.duplicates = gather_stories(recipe)
        self.fingerprint = fingerprint(self.splits.train) + fingerprint(self.splits.validation)

    def texts(self) -> Iterable[str]:
        return (story.text for story in self.splits.train)

    def framings(self, tokenizer, positions: int) -> tuple[Framing, Framing]:
        return (
            build_framing(self.recipe, self.splits.train, tokenizer, positions, validating=False),
            build_framing(self.recipe, self.splits.validation, tokenizer, positions, validating=True),
        )

    def labels_per_word(self, tokenizer) -> float:
        return labels_per_word(self.splits.validation, tokenizer)

    def perplexities(self, model: PreTrainedModel, tokenizer) -> dict[str, float | None]:
        sides = {"validation stories": self.splits.validation, "test stories": self.splits.test}
        return {
            name: perplexity_per_word(model, self.recipe, stories, tokenizer) if stories else None
            for name, stories in sides.items()
        }

    def card(self) -> str:
        sides = {"train": self.splits.train, "validation": self.splits.validation, "test": self.splits.test}
        rows = [f"| {name} | {len(s):,} | `{fingerprint(s)}` |" for name, s in sides.items() if s]
        table = "\n".join(["| stories | number | SHA-256 of their text |", "| --- | ---: | --- |", *rows])
        left_out = f"Left out of training as duplicates: {self.duplicates:,}."
        return f"{table}\n\n{left_out} The stories are not part of this folder."


def gather_stories(recipe: Recipe) -> tuple[Splits, int]:
    """Read a recipe's stories, without duplicates, split and checked for leaks; also how many were duplicates."""
    if not recipe.stories:
        raise StoryLabError(f"recipe {recipe.name} names no stories: add --stories FILE (or hub:OWNER/NAME)")
    stories = read_stories(recipe.stories)
    unique = remove_duplicates(stories)
    duplicates = len(stories) - len(unique)
    if recipe.validation:
        given = {part: getattr(recipe, part) for part in ("validation", "test")}
        held = {part: remove_duplicates(read_stories(path)) if path else [] for part, path in given.items()}
        splits = Splits(train=unique, **held)
    else:
        splits = split_stories(unique, test=0) if recipe.test else split_stories(unique)
        if recipe.test:
            splits = replace(splits, test=remove_duplicates(read_stories(recipe.test)))
    refuse_leakage(splits)
    if not splits.train or not splits.validation:
        raise StoryLabError(f"{len(unique)} stories are too few to split: give --validation FILE")
    return (replace(splits, train=splits.train[: recipe.limit]) if recipe.limit else splits), duplicates


def build_framing(recipe: Recipe, stories: list[Story], tokenizer, positions: int, validating: bool) -> Framing:
    """The recipe's framing of some stories; validation prefixes stay the same from epoch to epoch."""
    encoded = encode_stories(stories, tokenizer)
    if recipe.framing == "next-token":
        prefixes = recipe.validation_prefixes if validating else recipe.prefixes
        return NextToken(encoded, tokenizer, positions, prefixes, recipe.seed)
    if recipe.framing == "prompt-target":
        return PromptTarget(encoded, tokenizer, positions)
    learn_prompt = recipe.learn_prompt and not validating
    cut = max((len(story.tokens) for story in encoded), default=0) >= recipe.pack_length  # `score` cuts no story
    if recipe.framing == "packed" and not (validating and cut):
        return Packed(encoded, tokenizer, positions, recipe.pack_length, learn_prompt)
    if recipe.framing == "prompt-misaligned" and not validating:
        return Misaligned(encoded, tokenizer, positions)
    return Autoregressive(encoded, tokenizer, positions, learn_prompt)


def labels_per_word(stories: list[Story], tokenizer) -> float:
    """Tokens of the continuations and ends of some stories over their words, an end counting as one of each."""
    words = sum(story.scored_words for story in stories)
    return sum(len(encoded.continuation) + 1 for encoded in encode_stories(stories, tokenizer)) / words


def perplexity_per_word(model: PreTrainedModel, recipe: Recipe, stories: list[Story], tokenizer) -> float:
    """What `python -m storylab score` says of some stories: every continuation token and end, in fp32."""
    recipe = replace(recipe, validation_prefixes=0)
    framing = build_framing(recipe, stories, tokenizer, model.config.max_position_embeddings, validating=True)
    loss = validation_loss(model, framing, recipe.batch_size, Alone(model.device))
    return math.exp(loss * labels_per_word(stories, tokenizer))
