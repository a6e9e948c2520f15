"""What a training leaves behind: a folder that describes itself, whole or not at all."""

import json
import re
import shutil
import tomllib

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import AutoConfig, AutoTokenizer

from storylab.errors import StoryLabError
from storylab.evaluation.score import score
from storylab.stories import fingerprint
from storylab.storytellers.storyteller import Storyteller
from storylab.training import checkpoint as checkpoint_module
from storylab.training.data import gather_stories
from storylab.training.recipe import read_recipe
from storylab.training.run import run

FILES = {
    "README.md",
    "config.json",
    "generation_config.json",
    "log.jsonl",
    "model.safetensors",
    "recipe.toml",
    "tokenizer.json",
    "tokenizer_config.json",
}


@pytest.fixture(params=["seq2seq", "encoder"])
def kind(request) -> str:
    return request.param


@pytest.fixture
def folder(small_checkpoints, kind):
    return small_checkpoints / f"small-{kind}"


def train(recipe, folder, **options):
    return run(recipe, checkpoints=folder / "checkpoints", runs=folder / "runs", device="cpu", quiet=True, **options)


@pytest.fixture
def quick(make_recipe, small_checkpoints):
    """A function that makes a recipe of a few steps."""
    return lambda **changes: make_recipe(
        "seq2seq", **({"vocabulary": str(small_checkpoints / "small-seq2seq"), "epochs": 2} | changes)
    )


def test_a_checkpoint_holds_what_the_contract_names_and_nothing_else(folder):
    assert {path.name for path in folder.iterdir()} == FILES
    assert [path.name for path in folder.parent.iterdir() if path.name.startswith(".")] == []
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in [folder, *folder.iterdir()])  # others may read it


def test_weights_are_bf16_safetensors_of_the_shape_that_the_config_says(folder):
    tensors = load_file(folder / "model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.bfloat16}
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["width"] == 32
    assert tensors["tokens.weight"].shape == (config["vocab_size"], 32)
    assert all(bool(tensor.isfinite().all()) for tensor in tensors.values())
    with safe_open(folder / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}


def test_transformers_opens_tokenizer_and_config_without_remote_code(folder, kind, small_stories):
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    text = small_stories[0].text
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    assert config.model_type == f"storylab-{kind}"


def test_the_recipe_is_that_of_the_training_without_paths(folder, kind, make_recipe):
    from dataclasses import replace

    text = (folder / "recipe.toml").read_text(encoding="utf-8")
    assert read_recipe(folder / "recipe.toml") == replace(make_recipe(kind), stories="tiny.csv")
    assert "/" not in text


def test_no_file_names_a_path_of_the_machine(quick, small_checkpoints, tmp_path, tiny_csv):
    recipe = quick(
        name="from-afar",
        init_from=str(small_checkpoints / "small-seq2seq"),
        validation=str(tmp_path / "held.csv"),
        test=str(tmp_path / "unseen.csv"),
        stories=str(tmp_path / "train.csv"),
    )
    rows = tiny_csv.read_text(encoding="utf-8").splitlines(keepends=True)
    for name, part in (("train", rows[1:-8]), ("held", rows[-8:-4]), ("unseen", rows[-4:])):
        (tmp_path / f"{name}.csv").write_text(rows[0] + "".join(part), encoding="utf-8")
    folder = train(recipe, tmp_path)
    for path in folder.iterdir():
        for place in (tmp_path, small_checkpoints):
            assert str(place).encode() not in path.read_bytes(), path.name
    assert "small-seq2seq" in (folder / "README.md").read_text(encoding="utf-8")  # where its weights come from


def test_a_corpus_of_the_hub_keeps_its_name(quick, small_checkpoints, tmp_path, tiny_csv, monkeypatch):
    from storylab.training import data

    read = data.read_stories
    monkeypatch.setattr(data, "read_stories", lambda source: read(tiny_csv))
    folder = train(quick(name="hub", stories="hub:someone/stories"), tmp_path)
    assert tomllib.loads((folder / "recipe.toml").read_text(encoding="utf-8"))["stories"] == "hub:someone/stories"


def test_the_log_is_there(folder):
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    steps = [line["step"] for line in lines if "loss" in line]
    assert steps == sorted(set(steps)) and steps[-1] == lines[0]["steps"]
    assert any("validation_loss" in line for line in lines)


def test_the_card_says_what_it_is_made_of_and_how_good_it_is(folder, kind, make_recipe):
    card = (folder / "README.md").read_text(encoding="utf-8")
    head, body = card.split("---\n", 2)[1:]
    assert "license: apache-2.0" in head and "language: en" in head
    splits, _ = gather_stories(make_recipe(kind))
    for stories in (splits.train, splits.validation, splits.test):
        assert fingerprint(stories) in body
    assert not any(story.opening in body for story in splits.train + splits.validation + splits.test)
    storyteller = Storyteller.from_folder("x", "x", kind, folder)
    parameters = sum(p.numel() for p in {id(p): p for p in storyteller.model.parameters()}.values())
    assert f"{parameters:,} parameters" in body
    # The figures are what the stored weights reach.
    for name, stories in (("validation", splits.validation), ("test", splits.test)):
        (stated,) = re.findall(rf"\| {name} stories \| ([\d.]+) \|", body)
        assert float(stated) == pytest.approx(score(storyteller, stories).perplexity_per_word, rel=1e-3)
    for setting in ("| learning_rate | 0.01 |", "| width | 32 |", "| optimizer | muon |", "| seed | 0 |"):
        assert setting in body
    assert f"python -m train checkpoints/small-{kind}/recipe.toml " in body
    assert re.search(r"\d+ steps, [\d,]+ tokens, \d+ min on ", body)
    assert f"torch {torch.__version__}" in body


def test_without_test_stories_the_card_says_so(quick, tmp_path, tiny_csv):
    rows = tiny_csv.read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "held.csv").write_text("".join(rows[:1] + rows[-4:]), encoding="utf-8")
    (tmp_path / "train.csv").write_text("".join(rows[:-4]), encoding="utf-8")
    stories = {"stories": str(tmp_path / "train.csv"), "validation": str(tmp_path / "held.csv")}
    card = (train(quick(**stories), tmp_path) / "README.md").read_text(encoding="utf-8")
    assert "| test stories | not measured |" in card


def test_an_older_checkpoint_is_replaced_whole(quick, tmp_path):
    folder = tmp_path / "checkpoints" / "small-seq2seq"
    folder.mkdir(parents=True)
    (folder / "pytorch_model.bin").write_bytes(b"old")
    (folder / "config.json").write_text("old", encoding="utf-8")
    train(quick(), tmp_path)
    assert {path.name for path in folder.iterdir()} == FILES
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]  # nothing beside it


@pytest.fixture
def before(tmp_path, small_checkpoints):
    """A checkpoint from an earlier training, and a function that says whether it is still as it was."""
    folder = tmp_path / "checkpoints" / "small-seq2seq"
    shutil.copytree(small_checkpoints / "small-seq2seq", folder)
    contents = {path.name: path.read_bytes() for path in folder.iterdir()}

    def untouched() -> bool:
        there = {path.name: path.read_bytes() for path in folder.iterdir()}
        return there == contents and [path.name for path in folder.parent.iterdir()] == [folder.name]

    return untouched


def test_a_training_that_fails_leaves_the_older_checkpoint_alone(quick, tmp_path, before):
    with pytest.raises(StoryLabError):
        train(quick(learning_rate=1e30, optimizer="adamw", warmup=0, epochs=10), tmp_path)
    assert before()


def test_a_training_that_goes_on_keeps_the_log_of_what_went_before(quick, small_checkpoints, tmp_path):
    started = small_checkpoints / "small-seq2seq"
    before = (started / "log.jsonl").read_text(encoding="utf-8")
    log = (train(quick(init_from=str(started)), tmp_path) / "log.jsonl").read_text(encoding="utf-8")
    assert log.startswith(before)
    assert json.loads(log[len(before) :].splitlines()[0])["steps"] == 2


@pytest.mark.parametrize("part", ["model_card", "earlier_log"])
def test_a_checkpoint_that_cannot_be_written_leaves_the_older_one_alone(quick, tmp_path, before, monkeypatch, part):
    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(checkpoint_module, part, full)
    with pytest.raises((OSError, StoryLabError), match="no space left"):
        train(quick(), tmp_path)
    assert before()


@pytest.mark.parametrize(
    ("model", "named"),
    [
        ({"wings": 2}, "wings"),
        ({"layers": 2}, "layers"),  # an encoder has it
        ({"heads": 5}, "heads"),
        ({"heads": 0}, "heads"),
        ({"width": 0}, "width"),
        ({"dropout": 1.5}, "dropout"),
        ({"vocab_size": 10}, "vocab_size"),
        ({"width": 32.5}, "width"),
    ],
)
def test_a_shape_that_cannot_be_built_is_refused_before_any_work(quick, tmp_path, monkeypatch, model, named):
    def fail(*_, **__):
        raise AssertionError("the stories are framed already")

    monkeypatch.setattr("storylab.training.data.build_framing", fail)
    with pytest.raises(StoryLabError, match=named) as refused:
        train(quick(model=model), tmp_path)
    assert "small-seq2seq" in str(refused.value) and "\n" not in str(refused.value)
    assert not (tmp_path / "runs").exists() and not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize("what", ["gone", "empty", "of another kind", "damaged"])
def test_weights_to_start_from_that_are_not_there_are_refused(quick, tmp_path, small_checkpoints, what):
    source = tmp_path / "source"
    if what == "empty":
        source.mkdir()
    elif what == "of another kind":
        source = small_checkpoints / "small-encoder"
    elif what == "damaged":
        shutil.copytree(small_checkpoints / "small-seq2seq", source)
        weights = source / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(StoryLabError) as refused:
        train(quick(init_from=str(source)), tmp_path)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "checkpoints").exists()
