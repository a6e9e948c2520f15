"""The tokenizers at hand: each once, with the storytellers that share it, and how it cuts a text.

What is at hand is told from files alone; a tokenizer is opened, which takes transformers, when it first cuts.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from storylab.errors import StoryLabError
from storylab.files import read_text
from storylab.storytellers.catalog import Entry, catalogue, resolve, state_of
from storylab.storytellers.registry import LOADING
from storylab.storytellers.remote.source import REMOTE

WORDS = "words"
"""The yardstick beside the tokenizers: words between blanks."""
FILES = (("tokenizer.json",), ("vocab.json", "merges.txt"))
"""The files of a tokenizer: transformers' one, or GPT-2's two."""
POSITIONS = ("max_position_embeddings", "n_positions", "positions")
"""What configs call the number of tokens that a model can read."""


class Piece(NamedTuple):
    """A token of a text."""

    text: str
    """By itself, the blank before a word included; bytes that make no character are written `<0xF0>`."""
    id: int | None
    """Its number in the vocabulary; None for words, which have none."""


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer at hand."""

    name: str
    """The first storyteller that uses it."""
    storytellers: tuple[str, ...]
    """All that do."""
    folder: Path

    @property
    def tokenizer(self) -> Any:
        """The tokenizer itself, opened once.

        Raises:
            StoryLabError: Its files can't be read.
        """
        return _open(self.folder)

    @property
    def size(self) -> int:
        """Its pieces, special tokens among them."""
        return len(self.tokenizer)

    @property
    def positions(self) -> int:
        """How many tokens the storyteller of its name reads.

        Raises:
            StoryLabError: The config doesn't say.
        """
        try:
            config = json.loads(read_text(self.folder / "config.json"))
            return next(config[key] for key in POSITIONS if isinstance(config.get(key), int))
        except (OSError, ValueError, AttributeError, StopIteration, RecursionError):
            raise StoryLabError(f"{self.name} doesn't say how many tokens it can read") from None

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, without a start or an end."""
        tokenizer = self.tokenizer  # first, as this imports what the next line needs, one thread at a time
        from storylab.tokenizers import encode

        return encode(tokenizer, text)

    def cut(self, text: str) -> list[Piece]:
        """The tokens of a text one by one."""
        tokenizer = self.tokenizer
        return [Piece(piece(tokenizer, token), token) for token in self.encode(text)]


def words(text: str) -> list[Piece]:
    """The words of a text, between blanks, each with the blank before it."""
    found = text.split()
    return [Piece(f" {word}" if number else word, None) for number, word in enumerate(found)]


def visible(text: str) -> str:
    """A token with its blanks made visible, and what else takes no room."""
    text = text.replace(" ", "·").replace("\n", "⏎").replace("\t", "⇥")
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def at_hand() -> list[Vocabulary]:
    """The tokenizers of all storytellers whose tokenizer is here, ready to tell or not; each once.

    Two are the same where their files are, and a fine-tuned storyteller's is its base's.
    """
    entries = {entry.name: entry for entry in catalogue() if entry.kind != REMOTE}
    found: dict[str, list[Entry]] = {}
    for entry in entries.values():
        own, base = _files(entry.folder), entries.get(entry.base)
        if own and state_of(entry).state != "broken":
            shared = (_files(base.folder) if base else None) or own
            found.setdefault(_digest(shared), []).append(entry)
    return [Vocabulary(some[0].name, tuple(entry.name for entry in some), some[0].folder) for some in found.values()]


def find_vocabulary(name: str) -> Vocabulary:
    """The tokenizer of a storyteller.

    Args:
        name: A name of the catalogue, hub:OWNER/NAME, or the path of a checkpoint folder (with a slash in it).

    Raises:
        StoryLabError: There is no such storyteller, or its tokenizer is not here.
    """
    entry = resolve(name)
    if not _files(entry.folder):
        raise StoryLabError(f"the tokenizer of {entry.name} is not here: {state_of(entry).reason or 'it has none'}")
    return Vocabulary(entry.name, (entry.name,), entry.folder)


def piece(tokenizer: Any, token: int) -> str:
    """The text of a token by itself; a part of a character is written as its bytes, such as `<0xF0><0x9F>`."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    from storylab.tokenizers import piece_text

    text = piece_text(tokenizer, token)
    if "\ufffd" not in text:
        return text
    # GPT-2's BPE is one of bytes, each of which it writes as a character of its own.
    bytes_of = {character: byte for byte, character in bytes_to_unicode().items()}
    written = tokenizer.convert_ids_to_tokens(token)
    return "".join(f"<0x{bytes_of[c]:02X}>" for c in written) if bytes_of.keys() >= set(written) else text


def _files(folder: Path) -> tuple[Path, ...] | None:
    for names in FILES:
        paths = tuple(folder / name for name in names)
        if all(path.is_file() for path in paths):
            return paths
    return None


def _digest(paths: tuple[Path, ...]) -> str:
    return "".join(_digest_as_of(path, path.stat().st_mtime_ns) for path in paths)


@cache
def _digest_as_of(path: Path, modified: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@cache
def _open(folder: Path) -> Any:
    with LOADING:
        import storylab.models  # noqa: F401 - so that transformers knows the configs of the project's own models
        from storylab.tokenizers import load_tokenizer

        return load_tokenizer(folder)
