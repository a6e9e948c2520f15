"""The recipe of the shared vocabulary: stories and slices of prose -> a tokenizer folder."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ConfigDict

from storylab.errors import StoryLabError
from storylab.files import new_folder
from storylab.stories import fingerprint, read_stories, remove_duplicates
from storylab.tokenizers import train_vocabulary
from storylab.training.recipe import read_typed
from storylab.training.texts import paragraphs


@dataclass(frozen=True, kw_only=True)
class TextSlice:
    """The beginning of a text file."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    file: str
    """Its name, in the folder given on the command line; plain, .gz or .xz."""
    characters: int
    """How much of it is read: whole paragraphs, until so many characters are passed."""


@dataclass(frozen=True, kw_only=True)
class VocabularyRecipe:
    """What a vocabulary is learnt from."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    size: int = 8000
    """Pieces, special tokens and bytes included."""
    texts: list[TextSlice] = field(default_factory=list)
    """Prose beside the stories."""


def read_vocabulary_recipe(path: Path, changes: Iterable[str] = ()) -> VocabularyRecipe:
    """Read the recipe from TOML; `changes` as for other recipes.

    Raises:
        StoryLabError: The file can't be read, or a key or value is not what it must be.
    """
    return read_typed(VocabularyRecipe, path, changes)


def make_vocabulary(recipe: VocabularyRecipe, stories: str | None, texts: str | None, target: Path) -> Path:
    """Learn the vocabulary and save it as a tokenizer folder.

    Args:
        recipe: Size and slices.
        stories: Training stories, a CSV or hub:OWNER/NAME.
        texts: The folder with the recipe's text files.
        target: The folder to write.

    Raises:
        StoryLabError: Stories or texts are not given or can't be read.
    """
    if not stories:
        raise StoryLabError("a vocabulary is learnt from stories: add --stories FILE")
    if recipe.texts and not texts:
        raise StoryLabError("the recipe names texts: add --texts FOLDER, or --set texts=[]")
    corpus = remove_duplicates(read_stories(stories))

    def everything() -> Iterator[str]:
        yield from (story.text for story in corpus)
        for piece in recipe.texts:
            yield from paragraphs(Path(texts) / piece.file, piece.characters)

    tokenizer = train_vocabulary(everything(), recipe.size)
    prose = "".join(f"- {piece.file}: the first {piece.characters:,} characters\n" for piece in recipe.texts)
    about = (
        f"# The shared vocabulary\n\n{recipe.size:,} SentencePiece pieces (byte-pair encoding, byte fallback), learnt "
        f"from\n\n- {len(corpus):,} stories, SHA-256 of their text `{fingerprint(corpus)}`\n{prose}"
    )
    with new_folder(target) as folder:
        tokenizer.save_pretrained(folder)
        (folder / "README.md").write_text(about, encoding="utf-8")
    return target
