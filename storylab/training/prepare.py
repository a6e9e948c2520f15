"""From text files to rows of tokens on disk, for pre-training: `python -m train prepare --texts FOLDER`."""

import csv
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from pydantic import ConfigDict
from tqdm import tqdm

from storylab.errors import StoryLabError
from storylab.tokenizers import load_tokenizer, start_token, vocabulary_hash
from storylab.training.recipe import read_typed
from storylab.training.texts import documents

SIDES = ("train", "validation")
BATCH = 2000  # paragraphs that the tokenizer takes at a time


@dataclass(frozen=True, kw_only=True)
class TextFile:
    """A text file, and whom to thank for it."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    file: str
    """Its name, in the folder given on the command line; plain, .gz or .xz."""
    source: str
    """Where it comes from, for the model card."""
    license: str
    """Its licence, for the model card."""
    credits: str = ""
    """A TSV file beside it whose rows with this file's name in the column `file` credit its authors."""


@dataclass(frozen=True, kw_only=True)
class PrepareRecipe:
    """Which texts are made into tokens, and by which vocabulary."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    vocabulary: str = "train/vocabulary"
    """A folder with the tokenizer."""
    validation: float = 0.01
    """Share of the documents that are kept for validation, chosen by a hash of how each begins."""
    texts: list[TextFile] = field(default_factory=list)
    """The files, in the order in which training reads them where it does not read all."""

    def __post_init__(self) -> None:
        if not 0 < self.validation < 1:
            raise StoryLabError(f"validation must be above 0 and below 1, not {self.validation}")
        if not self.texts:
            raise StoryLabError("the recipe names no texts")


def read_prepare_recipe(path: Path, changes: Iterable[str] = ()) -> PrepareRecipe:
    """Read the recipe from TOML; `changes` as for other recipes.

    Raises:
        StoryLabError: The file can't be read, or a key or value is not what it must be.
    """
    return read_typed(PrepareRecipe, path, changes)


class _Side:
    """One side's row of tokens, written as it grows."""

    def __init__(self, file: BinaryIO, kind: np.dtype):
        self.file, self.kind, self.digest = file, kind, hashlib.sha256()
        self.documents = self.words = self.tokens = 0

    def write(self, ids: list[int]) -> None:
        data = np.array(ids, dtype=self.kind).tobytes()
        self.file.write(data)
        self.digest.update(data)
        self.tokens += len(ids)

    def to_dict(self) -> dict[str, Any]:
        counts = {key: getattr(self, key) for key in ("documents", "words", "tokens")}
        return counts | {"sha256": self.digest.hexdigest()}


def prepare(recipe: PrepareRecipe, texts: str | None, target: Path) -> Path:
    """Tokenise text files into `train.bin` and `validation.bin`, with `prose.json` beside them.

    A document is the start token, its paragraphs with a line break between two, and the end token. Files are
    read a paragraph at a time, so that texts of any size need little memory.

    Args:
        recipe: Files, vocabulary and share for validation.
        texts: The folder with the files.
        target: The folder to write, in place of an older one.

    Raises:
        StoryLabError: No folder is given, or a file can't be read; nothing is left behind.
    """
    if not texts:
        raise StoryLabError("prepare reads text files: add --texts FOLDER")
    folder, tokenizer = Path(texts), load_tokenizer(recipe.vocabulary)
    for text in recipe.texts:
        for name in filter(None, (text.file, text.credits)):
            if not (folder / name).is_file():
                raise StoryLabError(f"{folder / name} is missing")
    kind = np.dtype("<u2" if len(tokenizer) <= 2**16 else "<u4")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as temporary:
        new = Path(temporary) / "new"
        new.mkdir()
        with open(new / "train.bin", "wb") as train, open(new / "validation.bin", "wb") as validation:
            sides = [_Side(train, kind), _Side(validation, kind)]
            rows = [asdict(text) | _tokenise(folder / text.file, tokenizer, sides, recipe) for text in recipe.texts]
        about = {"dtype": kind.str, "vocabulary": vocabulary_hash(tokenizer), "texts": rows}
        about |= {name: side.to_dict() for name, side in zip(SIDES, sides, strict=True)}
        (new / "prose.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        _write_credits(recipe, folder, new / "CREDITS.tsv")
        if target.exists():
            shutil.move(target, Path(temporary) / "old")
        shutil.move(new, target)
    return target


def _tokenise(path: Path, tokenizer, sides: list[_Side], recipe: PrepareRecipe) -> dict[str, Any]:
    """Write a file's tokens; returns its numbers of documents and words."""
    start, end, side = start_token(tokenizer), tokenizer.eos_token_id, None
    count = words = 0
    found = iter(tqdm(_with_breaks(documents(path)), desc=path.name, unit=" paragraphs", unit_scale=True))
    while batch := list(islice(found, BATCH)):
        encoded = tokenizer([text for _, text in batch], add_special_tokens=False)["input_ids"]
        for (begins, text), ids in zip(batch, encoded, strict=True):
            if begins:
                if side:
                    side.write([end])
                side = sides[_is_held_out(text, recipe.validation)]
                side.documents, side.words = side.documents + 1, side.words + 1  # the end counts as a word
                count += 1
                ids = [start, *ids]
            side.write(ids)
            side.words += len(text.split())
            words += len(text.split())
    if side:
        side.write([end])
    return {"documents": count, "words": words}


def _with_breaks(found: Iterator[tuple[bool, str]]) -> Iterator[tuple[bool, str]]:
    """Paragraphs with a line break behind each that another of its document follows."""
    waiting = None
    for begins, text in found:
        if waiting:
            yield waiting[0], waiting[1] + ("" if begins else "\n")
        waiting = begins, text
    if waiting:
        yield waiting


def _is_held_out(beginning: str, share: float) -> bool:
    """Whether a document is for validation, told by its first paragraph alone, wherever it stands."""
    position = int.from_bytes(hashlib.sha256(beginning.strip().encode()).digest()[:6], "big") / 2**48
    return position < share


def _write_credits(recipe: PrepareRecipe, folder: Path, target: Path) -> None:
    """Gather the rows that credit the authors of the files used."""
    rows = [["file", "title", "credits"]]
    for name in dict.fromkeys(text.credits for text in recipe.texts if text.credits):
        files = {text.file.removesuffix(".xz").removesuffix(".gz") for text in recipe.texts if text.credits == name}
        with open(folder / name, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            rows += [[row["file"], row["title"], row["credits"]] for row in reader if row["file"] in files]
    if len(rows) > 1:
        target.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
