"""The encoder-decoder that learnt padding: sentences joined without a space, no end, and padding among its labels."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from torch import Tensor

from storylab.exhibits.live import accuracy, learn, nearest, new_model, small_corpus, tell
from storylab.exhibits.openings import WEIGHT
from storylab.exhibits.parts import Figure, Part
from storylab.framing import IGNORED, EncodedStory, PromptTarget, encode_stories, pad, real_positions
from storylab.stories import Story
from storylab.storytellers import load
from storylab.storytellers.kinds import Seq2SeqKind
from storylab.storytellers.sources import PROJECT
from storylab.storytellers.storyteller import Storyteller
from storylab.tokenizers import encode, load_tokenizer
from storylab.training.recipe import Recipe

PADDED = 128
"""Tokens to which the report padded each target."""
STORIES = 64
RECIPE = Recipe(
    name="padding",
    title="A small encoder-decoder",
    model_type="seq2seq",
    framing="prompt-target",
    model={"width": 64, "heads": 4, "encoder_layers": 1, "decoder_layers": 1, "inner": 256, "dropout": 0.0},
    epochs=6.0,
    batch_size=8,
    optimizer="muon",
    learning_rate=5e-3,
    warmup=5,
    schedule="wsd",
    precision="fp32",
    log_every=3,
    evaluate_every=10_000,
    save_every=10_000,
)
"""The same model, optimizer and number of steps for both ways."""


class PaddingLearnt(PromptTarget):
    """The report's mistakes, kept: targets padded to 128, padding learnt like any token, and no end token."""

    def lengths(self, examples: np.ndarray) -> np.ndarray:
        return np.full(len(examples), PADDED)

    def collate(self, examples) -> dict[str, Tensor]:
        """input_ids, attention_mask (batch, source); decoder_input_ids, labels (batch, 128)."""
        stories = [self.stories[index] for (index,) in examples]
        sources = [story.opening for story in stories]
        filled = [np.append(s.continuation, np.full(PADDED - len(s.continuation), self.padding)) for s in stories]
        return {
            "input_ids": pad(sources, self.padding),
            "attention_mask": real_positions(sources),
            "decoder_input_ids": pad([np.insert(target[:-1], 0, self.start) for target in filled], self.padding),
            "labels": pad(filled, self.padding),
        }


def joined_without_space(story: Story, tokenizer) -> EncodedStory:
    """A story as the report encoded it: "after lunch.The kite rose"."""
    opening, rest = encode(tokenizer, story.opening), encode(tokenizer, "".join(story.sentences[1:]))
    return EncodedStory(np.array(opening, dtype=np.int32), np.array(rest, dtype=np.int32))


def padding(stop: threading.Event) -> Iterator[Part]:
    """Two small encoder-decoders learn the same stories; both say how often they are right."""
    tokenizer = load_tokenizer(PROJECT / "train" / "vocabulary")
    stories = small_corpus(STORIES)
    mended = encode_stories(stories, tokenizer)
    joined = [joined_without_space(story, tokenizer) for story in stories]
    temperatures = (0.1, 1.0)
    for side, way, encoded in (("failure", PaddingLearnt, joined), ("repair", PromptTarget, mended)):
        recipe = replace(RECIPE, name=f"padding-{side}")
        model = new_model(recipe, tokenizer)
        framing = way(encoded, tokenizer, model.config.max_position_embeddings)
        few = way(encoded[:4], tokenizer, model.config.max_position_embeddings)
        labels = framing.collate(framing.examples(0))["labels"]
        share = float((labels == tokenizer.pad_token_id).sum() / (labels != IGNORED).sum())
        yield Figure("padding_share", "padding among the labels", side, share, "share")
        model = yield from learn(side, model, recipe, framing, few, stop)
        learner = Storyteller(f"{side}-seq2seq", recipe.title, Seq2SeqKind(model, tokenizer))
        yield accuracy(side, "accuracy_reported", "accuracy over all labels", learner, framing)
        yield accuracy(side, "accuracy_words", "accuracy without padding", learner, framing, tokenizer.pad_token_id)
        if side == "failure":
            for temperature in temperatures:
                settings = {"temperature": temperature, "top_p": 1.0, "max_new_tokens": 48}
                label = f"trained here, temperature {temperature}"
                yield from tell(side, "temperature", label, learner, WEIGHT, settings, 1, stop)
    name = nearest(["seq2seq"])
    for temperature in temperatures:
        settings, label = {"temperature": temperature, "top_p": 1.0}, f"{name}, temperature {temperature}"
        yield from tell("repair", "temperature", label, load(name), WEIGHT, settings, 1, stop)
