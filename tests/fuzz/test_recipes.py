"""Recipes and the catalogue: TOML of every make is one, or one line says what is wrong with it."""

import dataclasses
import os

import pytest
import tomli_w
from hypothesis import strategies as st
from nonsense import cases, is_one_line, texts, values

from storylab.errors import StoryLabError
from storylab.storytellers.catalog import Entry, _listed
from storylab.training.comparison import list_recipes
from storylab.training.prepare import read_prepare_recipe
from storylab.training.recipe import Recipe, read_recipe
from storylab.training.vocabulary import read_vocabulary_recipe

SOUND = {"name": "mine", "model_type": "seq2seq", "framing": "prompt-target"}
KEYS = [field.name for field in dataclasses.fields(Recipe)]
FAR = 2**63 - 1


def in_toml(value) -> bool:
    """Whether TOML can hold a value."""
    if isinstance(value, dict):
        return all(in_toml(name) and in_toml(held) for name, held in value.items())
    if isinstance(value, list):
        return all(map(in_toml, value))
    if isinstance(value, str):
        return value.encode("utf-8", "ignore").decode() == value
    return value is not None and (not isinstance(value, int) or abs(value) <= FAR)


told = values.filter(in_toml)
tables = st.dictionaries(st.one_of(st.sampled_from(KEYS), texts.filter(in_toml)), told, max_size=4)
broken = (
    "",
    "name",
    "name = ",
    "= 1",
    "[" * 5000,
    "x = " + "[" * 3000 + "]" * 3000,
    "seed = " + "9" * 5000,
    "seed = 1e999",
    "a = 1\na = 2",
    "[model]\n[model]",
    "\ufeffname = 'x'",
    "name = '\0'",
    "--- yaml: [1, 2]\n...",
    "!!python/object/apply:os.system ['id']",
    '{"name": "json"}',
    "note = '''" + "x" * 1_100_000 + "'''",
)
documents = st.one_of(
    texts.map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from(broken).map(str.encode),
    st.binary(max_size=100),
    tables.map(lambda table: tomli_w.dumps(SOUND | table).encode()),
)


def sound_or_refused(read, *arguments):
    try:
        return read(*arguments)
    except StoryLabError as error:
        assert is_one_line(error)
        return None


@cases(
    200,
    read=st.sampled_from((read_recipe, read_recipe, read_vocabulary_recipe, read_prepare_recipe)),
    document=documents,
)
def test_a_recipe_is_sound_or_refused(folder, read, document):
    path = folder / "mine.toml"
    path.write_bytes(document)
    recipe = sound_or_refused(read, path)
    assert recipe is None or dataclasses.is_dataclass(recipe)
    assert path.read_bytes() == document and os.listdir(folder) == ["mine.toml"]


changes = st.one_of(
    texts,
    st.builds("{}={}".format, st.sampled_from([*KEYS, "model.width", "model.a.b", "name.x", "."]), texts),
    st.builds(
        "{}={}".format, st.sampled_from(KEYS), st.sampled_from(["nan", "inf", "-1", "9" * 5000, "[" * 2000, "{}"])
    ),
)


@cases(100, change=changes)
def test_a_change_on_the_command_line_is_sound_or_refused(folder, change):
    path = folder / "mine.toml"
    path.write_text(tomli_w.dumps(SOUND))
    recipe = sound_or_refused(read_recipe, path, [change])
    assert recipe is None or dataclasses.replace(recipe) == recipe


entries = st.dictionaries(
    st.one_of(st.sampled_from([field.name for field in dataclasses.fields(Entry)]), texts.filter(in_toml)),
    told,
    max_size=4,
)
ENTRY = {"name": "mine", "title": "Mine", "kind": "causal", "source": "checkpoints/mine"}
catalogues = st.one_of(
    documents,
    st.builds(lambda listed: tomli_w.dumps({"storyteller": listed}).encode(), st.lists(entries, max_size=2)),
    st.builds(lambda part: tomli_w.dumps({"storyteller": [ENTRY | part]}).encode(), entries),
    st.builds(lambda listed: tomli_w.dumps({"storyteller": listed}).encode(), told),
)


@cases(120, document=catalogues)
def test_a_catalogue_is_sound_or_refused(folder, document):
    path = folder / "catalog.toml"
    path.write_bytes(document)
    _listed.cache_clear()
    for entry in sound_or_refused(_listed, path) or ():
        assert isinstance(entry.name, str) and entry.weights


@pytest.mark.parametrize(
    "change", [{"name": "yours"}, {"name": "a,b"}, {"name": "../x"}, {"parameters": "many"}, {"sha256": 1}]
)
def test_an_entry_that_could_not_be_told_from_others_or_computed_with_is_refused(folder, change):
    (folder / "catalog.toml").write_text(tomli_w.dumps({"storyteller": [ENTRY | change]}))
    with pytest.raises(StoryLabError, match=r"catalog\.toml can't be read: "):
        _listed(folder / "catalog.toml")


def test_two_entries_of_one_name_are_refused(folder):
    (folder / "catalog.toml").write_text(tomli_w.dumps({"storyteller": [ENTRY, ENTRY]}))
    with pytest.raises(StoryLabError, match="lists mine twice"):
        _listed(folder / "catalog.toml")


def test_what_is_no_plain_file_is_neither_waited_for_nor_read_without_end(folder):
    (folder / "train").mkdir()
    os.mkfifo(folder / "train" / "pipe.toml")
    (folder / "train" / "zero.toml").symlink_to("/dev/zero")
    (folder / "train" / "round.toml").symlink_to("round.toml")
    (folder / "train" / "folder.toml").mkdir()
    assert list_recipes(folder) == {}
    for name in ("pipe", "zero", "round", "folder"):
        with pytest.raises(StoryLabError) as refusal:
            read_recipe(folder / "train" / f"{name}.toml")
        assert is_one_line(refusal.value)
