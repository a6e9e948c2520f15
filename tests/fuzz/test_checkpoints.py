"""Checkpoint folders that anyone may have made: each is ready, or one line says why not; none breaks the list."""

import json
import os
import shutil
import struct

import pytest
from hypothesis import strategies as st
from nonsense import MARKUP, cases, is_one_line, texts, values

from storylab.errors import StoryLabError
from storylab.storytellers import catalog
from storylab.storytellers.weights import inspect_checkpoint
from storylab.training.history import read_training

NAMES = ("config.json", "tokenizer.json", "recipe.toml", "log.jsonl", "README.md", "base.json", "model.safetensors")
as_bytes = texts.map(lambda text: text.encode("utf-8", "surrogatepass"))
as_json = st.builds(lambda value: json.dumps(value).encode(), values.filter(lambda value: _writes(value)))


def _writes(value) -> bool:
    try:
        json.dumps(value)
    except ValueError:
        return False
    return True


def safetensors(header) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(16)


parts = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.one_of(st.just("F32"), values),
        "shape": st.one_of(
            st.lists(st.sampled_from((-1, 0, 1, 2, 4, 10**9, 10**400, 1e300, None)), max_size=3), values
        ),
        "data_offsets": st.one_of(st.sampled_from(([0, 16], [16, 0], [0, 10**400], [-1, 16], [0], [0.5, 16])), values),
    },
)
weights = st.one_of(
    st.binary(max_size=60),
    st.builds(lambda size, rest: struct.pack("<Q", size) + rest, st.integers(0, 2**64 - 1), st.binary(max_size=40)),
    st.builds(safetensors, st.dictionaries(texts.filter(_writes), parts, max_size=2).filter(_writes)),
    st.builds(safetensors, values.filter(_writes)),
)
files = st.dictionaries(
    st.sampled_from(NAMES),
    st.one_of(as_json, as_bytes, st.binary(max_size=80)),
)
SOUND = {
    "config.json": b'{"model_type": "gpt2"}',
    "tokenizer.json": b"{}",
    "model.safetensors": safetensors({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}),
}


@pytest.fixture
def listed_here(folder, monkeypatch):
    """The empty folder `checkpoints` of a project whose catalogue lists nothing."""
    monkeypatch.setattr(catalog, "CHECKPOINTS", folder / "checkpoints")
    monkeypatch.setattr(catalog, "listed", list)
    monkeypatch.setattr(catalog, "PROJECT", folder)
    (folder / "checkpoints").mkdir()
    return folder / "checkpoints"


def put(folder, contents: dict[str, bytes]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)


@cases(150, contents=files, model=st.one_of(st.none(), weights))
def test_a_folder_is_ready_or_broken_and_the_list_stands(listed_here, contents, model):
    put(listed_here / "strange", SOUND | contents | ({} if model is None else {"model.safetensors": model}))
    state = inspect_checkpoint(listed_here / "strange")
    assert state.state == "ready" or (state.state == "broken" and is_one_line(state.reason))
    assert state.parameters is None or 0 <= state.parameters <= 8 * 16
    entries = catalog.catalogue()
    assert [entry.name for entry in entries] == ["strange"]
    rows = catalog.describe()
    json.dumps(rows, allow_nan=False)
    assert len(rows[0]["title"]) <= 100 and (
        not rows[0]["title"] or rows[0]["title"].isprintable() or "\u200d" in rows[0]["title"]
    )


logs = st.lists(st.one_of(as_json, as_bytes, st.binary(max_size=30)), max_size=6)
records = st.dictionaries(
    st.sampled_from(("step", "loss", "validation_loss", "tokens", "seconds", "sample", "perplexity_per_word")), values
).filter(_writes)


@cases(
    100,
    lines=st.one_of(logs, st.lists(records.map(lambda record: json.dumps(record).encode()), max_size=6)),
    card=texts,
)
def test_a_log_has_a_training_or_is_refused(folder, lines, card):
    put(folder / "strange", {"log.jsonl": b"\n".join(lines), "README.md": card.encode("utf-8", "surrogatepass")})
    try:
        training = read_training(folder / "strange")
    except StoryLabError as error:
        assert is_one_line(error)
    else:
        json.dumps(training.to_dict(), allow_nan=False)


def test_links_pipes_and_devices_are_not_followed_without_end(listed_here):
    for number, name in enumerate(NAMES):
        for kind in ("pipe", "zero", "round", "folder", "secret"):
            folder = listed_here / f"{kind}-{number}"
            put(folder, {other: content for other, content in SOUND.items() if other != name})
            path = folder / name
            if kind == "pipe":
                os.mkfifo(path)
            elif kind == "folder":
                path.mkdir()
            else:
                path.symlink_to({"zero": "/dev/zero", "round": name, "secret": "/etc/passwd"}[kind])
            state = inspect_checkpoint(folder)
            assert state.state in ("ready", "broken") and "root:" not in f"{state.reason} {state.title}"
            with pytest.raises(StoryLabError):
                read_training(folder)
    (listed_here / "itself").symlink_to(listed_here)
    (listed_here / "nowhere").symlink_to("nowhere")
    names = {row["name"] for row in catalog.describe()}
    assert "nowhere" not in names and len(names) >= 4 * len(NAMES)


def test_a_folder_with_the_name_of_the_visitors_own_storyteller_goes_by_its_path(listed_here):
    put(listed_here / "yours", SOUND)
    (row,) = catalog.describe()
    assert row["name"] == "checkpoints/yours" and row["title"] == "yours" and row["state"] == "ready"
    with pytest.raises(StoryLabError, match="no storyteller 'yours'"):
        catalog.find("yours")
    assert catalog.find("checkpoints/yours").folder == catalog.PROJECT / "checkpoints" / "yours"


@pytest.mark.parametrize("markup", MARKUP[:3])
def test_a_title_is_one_short_line(listed_here, markup):
    put(listed_here / "strange", SOUND | {"recipe.toml": f"title = '''{markup}\n\u202e\x07{'x' * 500}'''".encode()})
    (row,) = catalog.describe()
    assert row["title"] in ("strange", f"{markup} {'x' * 500}"[:99] + "…")
