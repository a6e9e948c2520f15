"""The encoder-decoder that learnt padding: sentences joined without a space, no end, and padding among its labels."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from storylab.decoding import find_pathologies, split_sentences
from storylab.exhibits.live import accuracy, learn, nearest, new_model, tell
from storylab.exhibits.openings import WEIGHT
from storylab.exhibits.overfit import RECIPE as ONE_STORY
from storylab.exhibits.parts import Figure, Part, Shown, Side
from storylab.framing import IGNORED, EncodedStory, PromptTarget, encode_stories, pad, real_positions
from storylab.inspection.corpus import small_corpus
from storylab.stories import SENTENCES, Story
from storylab.storytellers import Telling, load
from storylab.storytellers.kinds import Seq2SeqKind
from storylab.storytellers.sources import PROJECT
from storylab.storytellers.storyteller import Storyteller
from storylab.tokenizers import encode, load_tokenizer

PADDED = 128
"""Tokens to which the report padded each target."""
STORIES = 16
"""Of the small corpus: few enough for both models to learn how a story ends, in seconds."""
HELD_OUT = 16
"""Its last stories, which neither learns from: what the accuracies are measured on."""
RECIPE = replace(
    ONE_STORY,
    name="padding",
    title="A small encoder-decoder",
    epochs=15.0,
    batch_size=4,
    matrix_learning_rate=0.03,
    warmup=5,
    log_every=3,
)
"""The same model, optimizer and number of steps for both ways."""
TELLING = {"top_p": 1.0, "sentences": 10, "max_new_tokens": 72}
"""Longer than any of the stories, so that one sees what comes where they end."""
PADDING = "␣pad"
"""What padding is written as."""


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


class OpeningAlone(Seq2SeqKind):
    """Tells from the source that `PaddingLearnt` trains on: the opening without an end token."""

    def prompt(self, opening: str) -> dict[str, Tensor]:
        return {"input_ids": self._tensor(encode(self.tokenizer, opening))}


def padding(stop: threading.Event, computes: Mapping[str, Any]) -> Iterator[Part]:
    """Two small encoder-decoders learn the same stories, say how often they are right on others, and tell."""
    name = nearest(["seq2seq"])
    bundled = load(name, **computes)  # what can't be had is said before the training
    tokenizer = load_tokenizer(PROJECT / "train" / "vocabulary")
    stories = small_corpus().stories
    ways = (
        ("failure", PaddingLearnt, OpeningAlone, [joined_without_space(story, tokenizer) for story in stories]),
        ("repair", PromptTarget, Seq2SeqKind, encode_stories(stories, tokenizer)),
    )
    for side, way, kind, encoded in ways:
        recipe = replace(RECIPE, name=f"padding-{side}")
        model = new_model(recipe, tokenizer)
        positions = model.config.max_position_embeddings
        learnt, others = (
            way(some, tokenizer, positions) for some in (encoded[:STORIES], encoded[len(encoded) - HELD_OUT :])
        )
        labels = others.collate(others.examples(0))["labels"]
        share = float((labels == tokenizer.pad_token_id).sum() / (labels != IGNORED).sum())
        yield Figure("padding_share", "padding among the labels", side, share, "share")
        model = yield from learn(side, model, recipe, learnt, others, stop)
        learner = Storyteller(f"{side}-seq2seq", recipe.title, kind(model, tokenizer))
        yield accuracy(side, "accuracy_reported", "accuracy over all labels, held out", learner, others)
        yield accuracy(
            side, "accuracy_words", "accuracy without padding, held out", learner, others, tokenizer.pad_token_id
        )
        for temperature in (0.1, 1.0):
            yield from tell_aloud(side, f"trained here, temperature {temperature}", learner, temperature, stop)
    label = f"{name}, other data, size and steps, temperature 0.1"
    yield from tell("repair", "bundled", label, bundled, WEIGHT, {"temperature": 0.1, "top_p": 1.0}, 1, stop)


def tell_aloud(
    side: Side, label: str, storyteller: Storyteller, temperature: float, stop: threading.Event
) -> Iterator[Part]:
    """A telling of a storyteller that is not kept from telling padding; the padding is written out."""
    padding = storyteller.tokenizer.pad_token_id
    storyteller.mute = [token for token in storyteller.mute if token != padding]
    settings = TELLING | {"temperature": temperature}
    for part in tell(side, "temperature", label, storyteller, WEIGHT, settings, 1, stop):
        yield (
            replace(part, telling=written_out(part.telling, storyteller.tokenizer)) if isinstance(part, Shown) else part
        )


def written_out(telling: Telling, tokenizer) -> Telling:
    """A telling whose padding is seen, and whose faults are those of its words."""
    words = telling.text.replace(tokenizer.pad_token, " ")
    faults = find_pathologies(telling.opening, split_sentences(words), telling.ended_by, SENTENCES - 1)
    text = " ".join(telling.text.replace(tokenizer.pad_token, f" {PADDING} ").split())
    named = [{"code": fault.code, "message": fault.message} for fault in faults]
    return replace(telling, text=text, story=split_sentences(text), pathologies=named)
