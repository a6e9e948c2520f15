"""A small Hub and a small GPT-2 for it to serve; a project with small storytellers."""

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from local_hub import Answers, Hub, Server

from storylab.storytellers import catalog, registry
from storylab.storytellers.sources import source

LISTED = """
[[storyteller]]
name = "encoder"
title = "Encoder"
kind = "encoder"
source = "checkpoints/encoder"

[[storyteller]]
name = "seq2seq"
title = "Encoder-decoder"
kind = "seq2seq"
source = "checkpoints/seq2seq"
"""


@pytest.fixture(autouse=True)
def nothing_failed_yet():
    source._failures.clear()


@pytest.fixture(scope="session")
def tiny_gpt2(tmp_path_factory) -> Path:
    """A folder with a GPT-2 of random weights and a byte-level vocabulary, as a Hub repository has it."""
    import numpy as np
    from safetensors.numpy import save_file
    from tokenizers import ByteLevelBPETokenizer

    folder = tmp_path_factory.mktemp("hub") / "tiny-gpt2"
    folder.mkdir()
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(["They go to the park."], vocab_size=270, special_tokens=["<|endoftext|>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    size, width, positions, layers = tokenizer.get_vocab_size(), 128, 64, 2
    shapes = {"wte.weight": (size, width), "wpe.weight": (positions, width)}
    norms = ["ln_f"]
    for layer in range(layers):
        norms += [f"h.{layer}.ln_1", f"h.{layer}.ln_2"]
        for name, wide, narrow in (
            ("attn.c_attn", width, 3 * width),
            ("attn.c_proj", width, width),
            ("mlp.c_fc", width, 4 * width),
            ("mlp.c_proj", 4 * width, width),
        ):
            shapes |= {f"h.{layer}.{name}.weight": (wide, narrow), f"h.{layer}.{name}.bias": (narrow,)}
    shapes |= {f"{name}.{part}": (width,) for name in norms for part in ("weight", "bias")}
    draw = np.random.default_rng(0).standard_normal
    save_file({name: draw(shape, dtype=np.float32) for name, shape in shapes.items()}, folder / "model.safetensors")
    config = {"model_type": "gpt2", "vocab_size": size, "n_positions": positions, "n_embd": width, "n_layer": layers}
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    for name, content in {
        "config.json": config | ends | {"n_head": 2},
        "generation_config.json": ends,
        "tokenizer_config.json": {"tokenizer_class": "GPT2Tokenizer", "eos_token": "<|endoftext|>"},
    }.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    (folder / "README.md").write_text("not needed\n", encoding="utf-8")
    (folder / "pytorch_model.bin").write_bytes(b"never opened")
    (folder / "modeling.py").write_text("raise SystemExit\n", encoding="utf-8")
    return folder


@pytest.fixture
def hub(tiny_gpt2, tmp_path, monkeypatch) -> Iterator[Hub]:
    """A server that speaks the Hub's file protocol, and an empty cache, for this process and those that it starts."""
    from huggingface_hub import constants

    served = Hub({path.name: path.read_bytes() for path in tiny_gpt2.iterdir()})
    server = Server(("127.0.0.1", 0), type("TheseAnswers", (Answers,), {"hub": served}))
    served.endpoint = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    for name, value in {
        "ENDPOINT": served.endpoint,
        "HUGGINGFACE_CO_URL_TEMPLATE": served.endpoint + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(tmp_path / "home" / "hub"),
        "HF_HUB_OFFLINE": False,
        "HF_TOKEN_PATH": str(tmp_path / "token"),
    }.items():
        monkeypatch.setattr(constants, name, value)
    for name, value in {
        "HF_ENDPOINT": served.endpoint,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_OFFLINE": "0",
    }.items():
        monkeypatch.setenv(name, value)  # for programs that a test starts
    yield served
    server.shutdown()
    server.server_close()


@pytest.fixture
def project(tmp_path, monkeypatch, small_checkpoints) -> Path:
    """A project whose listed storytellers are the small ones."""
    (tmp_path / "catalog.toml").write_text(LISTED, encoding="utf-8")
    monkeypatch.setattr(catalog, "CATALOGUE", tmp_path / "catalog.toml")
    monkeypatch.setattr(catalog, "PROJECT", tmp_path)
    monkeypatch.setattr(catalog, "CHECKPOINTS", tmp_path / "checkpoints")
    monkeypatch.setattr(registry, "_loaded", {})
    for kind in ("seq2seq", "encoder"):
        shutil.copytree(small_checkpoints / f"small-{kind}", tmp_path / "checkpoints" / kind)
    return tmp_path


@pytest.fixture
def start(root) -> Iterator[Callable[..., subprocess.Popen]]:
    """A function that starts Python with a text of ours in a process of its own."""
    started = []

    def run(code: str, **options) -> subprocess.Popen:
        child = subprocess.Popen(
            [sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
        )
        started.append(child)
        return child

    yield run
    for child in started:
        child.kill()
        child.communicate()
