"""From text files to rows of tokens on disk, for pre-training: `python -m train prepare --texts FOLDER`."""

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from pydantic import ConfigDict
from tqdm import tqdm

from storylab.errors import StoryLabError
from storylab.files import new_folder
from storylab.tokenizers import load_tokenizer, start_token, vocabulary_hash
from storylab.training.recipe import read_typed
from storylab.training.texts import documents

SIDES = ("train", "validation")
_CREDITS = ["file", "title", "credits"]
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


@dataclass(frozen=True, kw_only=True)
class PreparedText(TextFile):
    """A text file that was made into tokens."""

    documents: int
    words: int


@dataclass(frozen=True, kw_only=True)
class PreparedSide:
    """A row of tokens on disk."""

    documents: int
    words: int
    """Whitespace-separated words, and one more for the end of each document."""
    tokens: int
    sha256: str
    """Of the file."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What `prepare` has written: `prose.json`."""

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    dtype: Literal["<u2", "<u4"]
    """Of a token on disk, as numpy spells it."""
    vocabulary: str
    """`vocabulary_hash` of the tokenizer."""
    texts: list[PreparedText]
    train: PreparedSide
    validation: PreparedSide


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

    def count(self) -> PreparedSide:
        digest = self.digest.hexdigest()
        return PreparedSide(documents=self.documents, words=self.words, tokens=self.tokens, sha256=digest)


def prepare(recipe: PrepareRecipe, texts: str | None, target: Path) -> Path:
    """Tokenise text files into `train.bin` and `validation.bin`, with `prose.json` beside them.

    A document is the start token, its paragraphs with a line break between two, and the end token. Files are
    read a paragraph at a time, so that texts of any size need little memory.

    Args:
        recipe: Files, vocabulary and share for validation.
        texts: The folder with the files.
        target: The folder to write, in place of an older one.

    Raises:
        StoryLabError: No folder is given, or a file can't be read or written; nothing is left behind.
    """
    if not texts:
        raise StoryLabError("prepare reads text files: add --texts FOLDER")
    folder, tokenizer = Path(texts), load_tokenizer(recipe.vocabulary)
    for text in recipe.texts:
        for name in filter(None, (text.file, text.credits)):
            if not (folder / name).is_file():
                raise StoryLabError(f"{folder / name} is missing")
    credits = _read_credits(recipe, folder)
    kind = np.dtype("<u2" if len(tokenizer) <= 2**16 else "<u4")
    with new_folder(target) as new:
        with open(new / "train.bin", "wb") as train, open(new / "validation.bin", "wb") as validation:
            sides = [_Side(train, kind), _Side(validation, kind)]
            rows = [_tokenise(text, folder, tokenizer, sides, recipe) for text in recipe.texts]
        counts = dict(zip(SIDES, (side.count() for side in sides), strict=True))
        about = Prepared(dtype=kind.str, vocabulary=vocabulary_hash(tokenizer), texts=rows, **counts)
        (new / "prose.json").write_text(json.dumps(asdict(about), indent=1) + "\n", encoding="utf-8")
        if credits:
            lines = ["\t".join(row) + "\n" for row in [_CREDITS, *credits]]
            (new / "CREDITS.tsv").write_text("".join(lines), encoding="utf-8")
    return target


def _tokenise(text: TextFile, folder: Path, tokenizer, sides: list[_Side], recipe: PrepareRecipe) -> PreparedText:
    """Write a file's tokens and count its documents and words."""
    path = folder / text.file
    start, end, side = start_token(tokenizer), tokenizer.eos_token_id, None
    count = words = 0
    found = iter(tqdm(_with_breaks(documents(path)), desc=path.name, unit=" paragraphs", unit_scale=True))
    while batch := list(islice(found, BATCH)):
        encoded = tokenizer([paragraph for _, paragraph in batch], add_special_tokens=False)["input_ids"]
        for (begins, paragraph), ids in zip(batch, encoded, strict=True):
            if begins:
                if side:
                    side.write([end])
                side = sides[_is_held_out(paragraph, recipe.validation)]
                side.documents, side.words = side.documents + 1, side.words + 1  # the end counts as a word
                count += 1
                ids = [start, *ids]
            side.write(ids)
            side.words += len(paragraph.split())
            words += len(paragraph.split())
    if side:
        side.write([end])
    return PreparedText(**asdict(text), documents=count, words=words)


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


def _read_credits(recipe: PrepareRecipe, folder: Path) -> list[list[str]]:
    """The rows (file, title, credits) that credit the authors of the files used.

    Raises:
        StoryLabError: A file of credits can't be read, or has no row for a text that names it.
    """
    rows = []
    for text in recipe.texts:
        if not text.credits:
            continue
        names = {text.file, text.file.removesuffix(".xz").removesuffix(".gz")}
        try:
            with open(folder / text.credits, encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
                found = [[row[key] for key in _CREDITS] for row in reader if row["file"] in names]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            reason = getattr(error, "strerror", None) or error
            raise StoryLabError(f"{folder / text.credits} can't be read: {reason}") from None
        except KeyError as error:
            raise StoryLabError(f"{folder / text.credits} has no column {error}") from None
        if not found or not all(isinstance(cell, str) for row in found for cell in row):
            raise StoryLabError(f"{folder / text.credits} does not credit {text.file}: a row is missing or too short")
        rows += found
    return rows
