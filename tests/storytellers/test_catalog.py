"""Which storytellers there are, and what is said of one that is missing or damaged."""

import json
import pickle
import shutil
import struct
import subprocess
import sys
import threading

import pytest
import torch
from safetensors.torch import load_file, save_file

from storylab.errors import StoryLabError
from storylab.storytellers import catalogue, describe, load, registry

KEYS = ["name", "title", "kind", "base", "parameters", "state", "reason", "source", "download_bytes"]


def states() -> dict[str, str]:
    return {row["name"]: row["state"] for row in describe()}


def row(name: str) -> dict:
    return next(row for row in describe() if row["name"] == name)


def refusal(name) -> str:
    with pytest.raises(StoryLabError) as refused:
        load(name)
    message = str(refused.value)
    assert message and "\n" not in message and len(message) < 400
    return message


def test_the_catalogue_lists_what_the_project_trains():
    entries = {entry.name: entry for entry in catalogue()}
    named = ["encoder", "seq2seq", "gpt2-mini", "gpt2-mini-finetuned", "gpt2", "gpt2-finetuned"]
    assert [entry.name for entry in catalogue()][:8] == [*named, "smollm2", "smollm2-finetuned"]
    assert {name: entries[name].base for name in named} == {
        "encoder": "",
        "seq2seq": "",
        "gpt2-mini": "",
        "gpt2-mini-finetuned": "gpt2-mini",
        "gpt2": "",
        "gpt2-finetuned": "gpt2",
    }
    assert (entries["encoder"].kind, entries["encoder"].source) == ("encoder", "checkpoints/encoder")
    assert (entries["seq2seq"].kind, entries["seq2seq"].source) == ("seq2seq", "checkpoints/seq2seq")
    assert all(entry.title for entry in catalogue())


def test_a_whole_checkpoint_is_ready(project):
    rows = describe()
    assert [list(row) for row in rows] == [KEYS, KEYS]
    for found, kind in zip(rows, ("encoder", "seq2seq"), strict=True):
        tensors = load_file(project / "checkpoints" / kind / "model.safetensors")
        assert found == {
            "name": kind,
            "title": found["title"],
            "kind": kind,
            "base": "",
            "parameters": sum(tensor.numel() for tensor in tensors.values()),
            "state": "ready",
            "reason": "",
            "source": f"checkpoints/{kind}",
            "download_bytes": 0,
        }
    assert json.loads(json.dumps(rows)) == rows


def test_a_checkpoint_that_is_not_there_is_untrained_and_says_how_to_train_it(project):
    shutil.rmtree(project / "checkpoints" / "encoder")
    found = row("encoder")
    assert (found["state"], found["parameters"]) == ("untrained", None)
    assert "python -m train encoder" in found["reason"]
    assert states()["seq2seq"] == "ready"
    assert "untrained" in refusal("encoder") and "python -m train encoder" in refusal("encoder")
    assert load("seq2seq").name == "seq2seq"


def test_without_any_checkpoints_all_are_untrained(project):
    shutil.rmtree(project / "checkpoints")
    assert states() == {"encoder": "untrained", "seq2seq": "untrained"}


def truncate(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])


def truncate_header(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])


def lengthen(folder):
    with open(folder / "model.safetensors", "ab") as weights:
        weights.write(b"\0")


def write(name: str, content: bytes):
    def damage(folder):
        (folder / name).write_bytes(content)

    return damage


def remove(*names: str):
    def damage(folder):
        for name in names:
            (folder / name).unlink()

    return damage


def put_a_pickle_in_its_place(folder):
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def header(content: object) -> bytes:
    text = json.dumps(content).encode()
    return struct.pack("<Q", len(text)) + text


DAMAGES = {
    "truncated weights": (truncate, "model.safetensors is damaged"),
    "weights cut in the header": (truncate_header, "not a safetensors file"),
    "weights too long": (lengthen, "model.safetensors is damaged"),
    "empty weights": (write("model.safetensors", b""), "not a safetensors file"),
    "a header of nonsense length": (write("model.safetensors", b"\xff" * 64), "not a safetensors file"),
    "a header that is a list": (write("model.safetensors", header([1])), "not a safetensors file"),
    "a header without tensors": (write("model.safetensors", header({})), "not a safetensors file"),
    "a header of nonsense": (write("model.safetensors", header({"a": {"shape": "x"}})), "not a safetensors file"),
    "a pickle under their name": (write("model.safetensors", pickle.dumps({"a": 1})), "not a safetensors file"),
    "a pickle instead": (put_a_pickle_in_its_place, "pytorch_model.bin is not opened, only safetensors are"),
    "no weights": (remove("model.safetensors"), "model.safetensors is missing"),
    "config not JSON": (write("config.json", b"{"), "config.json is not JSON"),
    "config not UTF-8": (write("config.json", b'{"\xff": 1}'), "config.json is not JSON"),
    "config a list": (write("config.json", b"[]"), "config.json is not a JSON object"),
    "config of nonsense type": (write("config.json", b'{"model_type": []}'), "config.json"),
    "config nested beyond reason": (write("config.json", b"[" * 100_000), "config.json"),
    "config missing": (remove("config.json"), "config.json can't be read"),
    "tokenizer missing": (remove("tokenizer.json"), "tokenizer.json can't be read"),
    "tokenizer not JSON": (write("tokenizer.json", b'{"model": '), "tokenizer.json is not JSON"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_checkpoint_is_broken_with_the_reason_and_the_others_go_on(project, name):
    damage, reason = DAMAGES[name]
    damage(project / "checkpoints" / "seq2seq")
    found = row("seq2seq")
    assert found["state"] == "broken"
    assert reason in found["reason"] and "\n" not in found["reason"]
    assert reason in refusal("seq2seq")
    assert states()["encoder"] == "ready"
    assert load("encoder").tell("Nora found a kite.", {"max_new_tokens": 3}, seed=1).tokens <= 3


def reshape(folder):
    tensors = load_file(folder / "model.safetensors")
    tensors["decoder.norm.weight"] = tensors["decoder.norm.weight"][:16].clone()
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def drop_a_tensor(folder):
    tensors = load_file(folder / "model.safetensors")
    del tensors["decoder.norm.weight"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def configure(**changes):
    def damage(folder):
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes), encoding="utf-8")

    return damage


MISFITS = {
    "wrong shape": reshape,
    "a tensor missing": drop_a_tensor,
    "a config of another width": configure(width=64),
    "a config of more layers": configure(decoder_layers=2),
    "a config of fewer layers": configure(decoder_layers=0),
    "a config of another vocabulary": configure(vocab_size=8000),
    "a config of impossible heads": configure(heads=5),
    "a config of no heads": configure(heads=0),
    "a config of text": configure(width="wide"),
    "a tokenizer of nothing": write("tokenizer.json", b"{}"),
}


@pytest.mark.parametrize("name", MISFITS)
def test_parts_that_do_not_fit_are_refused_when_it_is_loaded_and_the_others_go_on(project, name, caplog):
    MISFITS[name](project / "checkpoints" / "seq2seq")
    assert "seq2seq" in refusal("seq2seq")
    assert not [record for record in caplog.records if "\n" in record.getMessage()]  # no table of tensors
    assert states()["encoder"] == "ready"
    assert load("encoder").name == "encoder"


def test_a_refused_storyteller_is_tried_again(project):
    weights = project / "checkpoints" / "seq2seq" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:1000])
    refusal("seq2seq")
    weights.write_bytes(whole)
    assert load("seq2seq").name == "seq2seq"


def test_an_unlisted_checkpoint_is_offered(project, small_checkpoints):
    shutil.copytree(small_checkpoints / "small-encoder", project / "checkpoints" / "mine")
    recipe = project / "checkpoints" / "mine" / "recipe.toml"
    recipe.write_text('title = "My own"\n', encoding="utf-8")
    (project / "checkpoints" / ".hidden").mkdir()
    (project / "checkpoints" / "notes").mkdir()
    (project / "checkpoints" / "a file").touch()
    assert list(states()) == ["encoder", "seq2seq", "mine"]
    found = row("mine")
    assert (found["title"], found["kind"], found["state"]) == ("My own", "encoder", "ready")
    assert found["source"] == "checkpoints/mine"
    assert load("mine").title == "My own"
    recipe.write_text("title = ", encoding="utf-8")
    assert (row("mine")["title"], row("mine")["state"]) == ("mine", "ready")
    (project / "checkpoints" / "mine" / "config.json").write_text("{", encoding="utf-8")
    assert row("mine")["state"] == "broken"


def test_a_folder_is_a_storyteller_too(project, small_checkpoints, monkeypatch):
    path = small_checkpoints / "small-seq2seq"
    assert load(str(path)).name == "small-seq2seq"
    monkeypatch.chdir(small_checkpoints)
    assert load("./small-encoder").name == "small-encoder"


@pytest.mark.parametrize(
    "name",
    [
        "nobody",
        "",
        " ",
        "../../etc/passwd",
        "/etc/passwd",
        "/",
        "..",
        "x" * 5000,
        "a/" + "x" * 5000,
        "a/" * 2500,
        "seq2seq\0",
        "a/b\0",
        "a\nb",
        "/\ud800",
        "checkpoints/nobody",
        None,
        5,
        ["seq2seq"],
    ],
    ids=lambda name: repr(name)[:20],
)
def test_a_name_that_is_none_gets_one_clear_line(project, name):
    message = refusal(name)
    if isinstance(name, str) and name:
        assert "encoder, seq2seq" in message  # those there are
    message.encode()  # can be printed


@pytest.mark.parametrize(
    "options",
    [{"device": "cuda:7"}, {"device": "toaster"}, {"device": ""}, {"dtype": "fp64"}, {"dtype": ""}],
)
def test_a_device_or_dtype_that_is_not_there_gets_one_clear_line(project, options):
    with pytest.raises(StoryLabError) as refused:
        load("seq2seq", **options)
    assert "\n" not in str(refused.value)


def test_bf16_halves_the_precision(project):
    assert load("seq2seq", dtype="bf16").model.dtype == torch.bfloat16
    assert load("seq2seq").model.dtype == torch.float32
    assert load("seq2seq", dtype="bf16").tell("Nora found a kite.", seed=1).tokens > 0


def test_a_storyteller_is_loaded_once_even_by_many_threads_at_once(project, monkeypatch):
    opened = []
    really_open = registry._open

    def count(name, *options):
        opened.append(name)
        return really_open(name, *options)

    monkeypatch.setattr(registry, "_open", count)
    together = threading.Barrier(8)
    found = []

    def ask(name) -> None:
        together.wait()
        found.append((name, load(name)))

    threads = [threading.Thread(target=ask, args=(["seq2seq", "encoder"][i % 2],)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(opened) == ["encoder", "seq2seq"]
    assert len({id(storyteller) for name, storyteller in found if name == "seq2seq"}) == 1
    assert len(found) == 8


def test_weights_stay_as_they_are_stored(project):
    stored = load_file(project / "checkpoints" / "seq2seq" / "model.safetensors")
    model = load("seq2seq").model
    assert not model.training
    for name, tensor in model.state_dict().items():
        if name in stored:
            assert torch.equal(tensor, stored[name].float()), name
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_listing_needs_no_torch(root):
    program = "import sys; from storylab.storytellers import describe; describe(); print('torch' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert ended.stdout == "False\n"
