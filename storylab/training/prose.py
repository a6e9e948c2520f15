"""Running text, prepared as rows of tokens, as a corpus to pre-train on."""

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter
from transformers import PreTrainedModel

from storylab.errors import StoryLabError
from storylab.framing import Framing, Windows
from storylab.tokenizers import vocabulary_hash
from storylab.training.data import Corpus
from storylab.training.loop import Alone, validation_loss
from storylab.training.prepare import SIDES, Prepared
from storylab.training.recipe import Recipe


class ProseCorpus(Corpus):
    """What `python -m train prepare` wrote; the tokens stay on disk and are mapped into memory."""

    noun = "text"
    options = "--set text=FOLDER"
    knows = "English prose, most of it a century old"
    measured = "of whole held-out documents, in windows that know nothing of what came before"

    def __init__(self, recipe: Recipe):
        """Open the recipe's prepared folder.

        Raises:
            StoryLabError: The recipe names none, or it is not whole.
        """
        if not recipe.text:
            raise StoryLabError(f"recipe {recipe.name} names no prepared text: add --set text=FOLDER")
        self.recipe, self.folder = recipe, Path(recipe.text)
        try:
            self.about = TypeAdapter(Prepared).validate_json((self.folder / "prose.json").read_bytes())
            self.sides = {side: getattr(self.about, side) for side in SIDES}
            self.rows = {
                side: np.memmap(self.folder / f"{side}.bin", dtype=self.about.dtype, mode="r") for side in SIDES
            }
            self.fingerprint = "".join(self.sides[side].sha256 for side in SIDES)
            whole = all(len(self.rows[side]) == self.sides[side].tokens for side in SIDES)
            whole = whole and self.about.validation.words > 0
        except (OSError, ValueError):  # pydantic's are ValueErrors; an empty file can't be mapped
            whole = False
        if not whole:
            made = "python -m train prepare --texts FOLDER makes it (for few documents with --set validation=0.2)"
            raise StoryLabError(f"{self.folder} holds no prepared text with both sides: {made}")

    def texts(self) -> Iterable[str]:
        raise StoryLabError(f"{self.folder} is tokenised already: set vocabulary")

    def framings(self, tokenizer, positions: int) -> tuple[Framing, Framing]:
        """Windows of both sides.

        Raises:
            StoryLabError: Another vocabulary made the tokens, or a window is longer than the positions.
        """
        if vocabulary_hash(tokenizer) != self.about.vocabulary:
            raise StoryLabError(f"{self.folder} was prepared with another vocabulary than the recipe's")
        length, recipe = self.recipe.pack_length, self.recipe
        if length > positions:
            raise StoryLabError(f"windows of {length} tokens are longer than the model's {positions} positions")
        used = self.rows["train"][: recipe.limit * length + 1] if recipe.limit else self.rows["train"]
        return (
            Windows(used, length, seed=recipe.seed),
            Windows(self.rows["validation"], length, recipe.validation_windows),
        )

    def labels_per_word(self, tokenizer) -> float:
        side = self.about.validation
        return (side.tokens - 1) / side.words

    def perplexities(self, model: PreTrainedModel, tokenizer) -> dict[str, float | None]:
        framing = Windows(self.rows["validation"], self.recipe.pack_length)
        loss = validation_loss(model, framing, self.recipe.batch_size, Alone(model.device))
        return {"validation documents": math.exp(loss * self.labels_per_word(tokenizer))}

    def attachments(self) -> list[Path]:
        return [path for path in [self.folder / "CREDITS.tsv"] if path.is_file()]

    def card(self) -> str:
        row = "| {file} | {documents:,} | {words:,} | {source} | {license} |"
        rows = [row.format_map(vars(text)) for text in self.about.texts]
        table = ["| text | documents | words | source | licence |", "| --- | ---: | ---: | --- | --- |", *rows]
        sides = [
            f"- {name}: {side.documents:,} documents, {side.tokens:,} tokens, SHA-256 `{side.sha256}`"
            for name, side in self.sides.items()
        ]
        limit, length = self.recipe.limit, self.recipe.pack_length
        used = min(limit * length, self.about.train.tokens)
        part = f"\n\nTraining drew from the first {used:,} of these tokens alone." if limit else ""
        thanks = "\n\nThe authors and illustrators of the CC BY stories are named in `CREDITS.tsv`."
        return "\n".join([*table, "", *sides]) + part + (thanks if self.attachments() else "")
