"""What a recipe learns from: its stories, read, split and framed, and the measure of a model on them."""

import math
from dataclasses import replace

from transformers import PreTrainedModel

from storylab.errors import StoryLabError
from storylab.framing import Autoregressive, Framing, NextToken, Packed, PromptTarget, encode_stories
from storylab.stories import Splits, Story, read_stories, refuse_leakage, remove_duplicates, split_stories
from storylab.training.loop import Alone, validation_loss
from storylab.training.recipe import Recipe


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
    if recipe.framing == "packed":
        return Packed(encoded, tokenizer, positions, recipe.pack_length, learn_prompt)
    return Autoregressive(encoded, tokenizer, positions, learn_prompt)


def labels_per_word(stories: list[Story], tokenizer) -> float:
    """Tokens of the continuations and ends of some stories over their words, an end counting as one of each."""
    words = sum(len(story.continuation.split()) + 1 for story in stories)
    return sum(len(encoded.continuation) + 1 for encoded in encode_stories(stories, tokenizer)) / words


def perplexity_per_word(model: PreTrainedModel, recipe: Recipe, stories: list[Story], tokenizer) -> float:
    """What `python -m storylab score` says of some stories: every continuation token and end, in fp32."""
    recipe = replace(recipe, validation_prefixes=0)
    framing = build_framing(recipe, stories, tokenizer, model.config.max_position_embeddings, validating=True)
    loss = validation_loss(model, framing, recipe.batch_size, Alone(model.device))
    return math.exp(loss * labels_per_word(stories, tokenizer))
