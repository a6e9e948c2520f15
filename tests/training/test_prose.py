"""Pre-training on prepared text: what is read, what is refused, and a whole run with its card and credits."""

import json
import lzma
import math
import re
import shutil

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from transformers import GPT2LMHeadModel

from storylab.errors import StoryLabError
from storylab.framing import batches
from storylab.storytellers import load
from storylab.tokenizers import load_tokenizer, train_vocabulary
from storylab.training.prepare import PrepareRecipe, TextFile, prepare
from storylab.training.prose import ProseCorpus
from storylab.training.recipe import Recipe
from storylab.training.run import run

LENGTH = 32  # tokens a window
WHO = ("The old miller", "A young fox", "My grandmother", "The night guard", "Our teacher", "A tired sailor")
DID = ("walked to the river", "opened the heavy gate", "counted the silver spoons", "looked for a lost key")
THEN = ("and nobody saw it.", "because the wind had turned.", "while the bread was in the oven.")


def tales(who: str) -> str:
    """A text file of twelve documents of two paragraphs."""
    found = [f"{who} {did} {then}\nThen {who.lower()} went home {then}" for did in DID for then in THEN]
    return "\n<|endoftext|>\n".join(found) + "\n"


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """A folder with six texts, some packed, and a file that credits the authors of one."""
    folder = tmp_path_factory.mktemp("texts")
    for number, who in enumerate(WHO):
        content = tales(who).encode()
        packed = number % 2 == 1
        (folder / f"{number}.txt{'.xz' if packed else ''}").write_bytes(lzma.compress(content) if packed else content)
    credits = "file\ttitle\tcredits\n1.txt\tThe Fox\tText: Ada Writer\n"
    (folder / "thanks.tsv").write_text(credits, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def prose(texts, vocabulary, tmp_path_factory):
    """Those texts, prepared."""
    files = [f"{number}.txt{'.xz' if number % 2 else ''}" for number in range(len(WHO))]
    credited = {"1.txt.xz": {"credits": "thanks.tsv", "license": "CC BY 4.0"}}
    listed = [
        TextFile(**{"file": file, "source": f"tales of {who}", "license": "CC0"} | credited.get(file, {}))
        for file, who in zip(files, WHO, strict=True)
    ]
    recipe = PrepareRecipe(vocabulary=str(vocabulary), validation=0.2, texts=listed)
    return prepare(recipe, str(texts), tmp_path_factory.mktemp("prepared") / "prose")


@pytest.fixture(scope="module")
def about(prose) -> dict:
    return json.loads((prose / "prose.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pretraining(prose, vocabulary):
    """A function that makes the recipe of a very small GPT-2 that learns the prepared text."""

    def make(**changes) -> Recipe:
        plain = {
            "name": "from-prose",
            "model_type": "gpt2",
            "framing": "text",
            "text": str(prose),
            "vocabulary": str(vocabulary),
            "pack_length": LENGTH,
            "batch_size": 8,
            "epochs": 6,
            "optimizer": "muon",
            "learning_rate": 1e-2,
            "warmup": 5,
            "schedule": "wsd",
            "precision": "fp32",
            "log_every": 2,
            "evaluate_every": 10,
            "save_every": 4,
            "sample": "The old miller walked to the river.",
            "model": {"n_layer": 2, "n_embd": 32, "n_head": 2, "n_positions": 48},
        }
        return Recipe(**plain | changes)

    return make


def train(recipe, folder, **options):
    return run(recipe, checkpoints=folder / "checkpoints", runs=folder / "runs", device="cpu", quiet=True, **options)


@pytest.fixture(scope="module")
def trained(pretraining, tmp_path_factory):
    """The folder of a training that nothing disturbed."""
    folder = tmp_path_factory.mktemp("trained")
    train(pretraining(), folder)
    return folder


@pytest.fixture(scope="module")
def checkpoint(trained):
    return trained / "checkpoints" / "from-prose"


def read_log(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]


# A corpus


def test_rows_are_mapped_and_windows_cover_both_sides(pretraining, prose, about, vocabulary):
    corpus = ProseCorpus(pretraining(validation_windows=0))
    tokenizer = load_tokenizer(vocabulary)
    framings = corpus.framings(tokenizer, 48)
    for name, framing in zip(("train", "validation"), framings, strict=True):
        assert isinstance(corpus.rows[name], np.memmap) and not corpus.rows[name].flags.writeable
        row = np.fromfile(prose / f"{name}.bin", dtype="<u2").tolist()
        assert len(row) == about[name]["tokens"]
        labels = torch.cat([framing.collate([window])["labels"][0] for window in framing.examples(0)])
        assert labels.tolist() == row[1:]
    assert corpus.fingerprint == about["train"]["sha256"] + about["validation"]["sha256"]


def test_validation_on_the_way_reads_so_many_windows_and_always_the_same(pretraining, vocabulary):
    tokenizer = load_tokenizer(vocabulary)
    _, every = ProseCorpus(pretraining(validation_windows=0)).framings(tokenizer, 48)
    _, few = ProseCorpus(pretraining(validation_windows=3)).framings(tokenizer, 48)
    assert len(every.examples(0)) > 3 == len(few.examples(0))
    windows = [sorted(row.tolist() for batch in batches(few, 0, 2, seed) for row in batch) for seed in (0, 1)]
    assert windows[0] == windows[1]


def test_a_limit_takes_the_first_windows(pretraining, prose, vocabulary):
    framing, _ = ProseCorpus(pretraining(limit=5)).framings(load_tokenizer(vocabulary), 48)
    assert framing.examples(0).tolist() == [[32 * i, 32 * i + 32] for i in range(5)]
    first = framing.collate(framing.examples(0))
    row = np.fromfile(prose / "train.bin", dtype="<u2")[: 5 * 32 + 1].astype(np.int64)
    assert first["input_ids"].flatten().tolist() == row[:-1].tolist()
    assert first["labels"].flatten().tolist() == row[1:].tolist()


def test_another_vocabulary_than_the_one_that_made_the_tokens_is_refused(pretraining, tmp_path):
    train_vocabulary([tales("A small vocabulary")], 300, threads=1).save_pretrained(tmp_path / "vocabulary")
    recipe = pretraining(vocabulary=str(tmp_path / "vocabulary"))
    with pytest.raises(StoryLabError, match="another vocabulary"):
        train(recipe, tmp_path)
    assert not (tmp_path / "runs").exists()


def test_windows_longer_than_the_model_are_refused(pretraining, tmp_path):
    with pytest.raises(StoryLabError, match=r"windows of 49 tokens.*48 positions"):
        train(pretraining(pack_length=49), tmp_path)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"text": ""}, "--set text=FOLDER"),
        ({"text": "nowhere"}, "nowhere holds no prepared text"),
        ({"vocabulary": ""}, "set vocabulary"),
        ({"model": {"wings": 2}}, "wings"),
        ({"model": {"n_head": 5}}, "n_embd|width"),
        ({"model": {"vocab_size": 9}}, "vocab_size"),
        ({"model": {"bos_token_id": 5}}, "bos_token_id"),
        ({"model": {"n_layer": 0}}, "n_layer"),
        ({"model": {"resid_pdrop": 1.0}}, "resid_pdrop"),
    ],
    ids=str,
)
def test_a_recipe_that_lacks_what_it_needs_is_refused_before_any_work(pretraining, tmp_path, changes, named):
    with pytest.raises(StoryLabError, match=named) as refused:
        train(pretraining(**changes), tmp_path)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "runs").exists()


@pytest.fixture
def copied(prose, tmp_path):
    """A copy of the prepared text, to damage at will."""
    return shutil.copytree(prose, tmp_path / "copied")


@pytest.mark.parametrize("name", ["train.bin", "validation.bin", "prose.json"])
@pytest.mark.parametrize("how", ["gone", "empty", "cut short", "a token more"])
def test_prepared_text_that_is_not_whole_is_refused(pretraining, copied, name, how):
    path = copied / name
    whole = path.read_bytes()
    path.unlink()
    if how != "gone":
        # One byte less is half a token, one token more is as sound a file.
        path.write_bytes({"empty": b"", "cut short": whole[:-1], "a token more": whole + b"\5\0"}[how])
    if (name, how) == ("prose.json", "cut short"):
        path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoryLabError, match="copied holds no prepared text"):
        ProseCorpus(pretraining(text=str(copied)))


MISSING = object()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("dtype", MISSING),
        ("dtype", "words"),
        ("vocabulary", MISSING),
        ("texts", MISSING),
        ("texts", "many"),
        ("texts", [{"file": "a.txt"}]),
        *((side, MISSING) for side in ("train", "validation")),
        *((f"validation.{count}", MISSING) for count in ("documents", "words", "tokens", "sha256")),
        ("validation.words", 0),
        ("validation.words", "many"),
        ("validation.tokens", "many"),
    ],
    ids=lambda part: "missing" if part is MISSING else str(part),
)
def test_a_prose_json_with_a_field_missing_or_wrong_is_refused_before_training(
    pretraining, copied, about, tmp_path, key, value
):
    told = json.loads(json.dumps(about))
    table, _, last = key.rpartition(".")
    part = told[table] if table else told
    if value is MISSING:
        del part[last]
    else:
        part[last] = value
    (copied / "prose.json").write_text(json.dumps(told), encoding="utf-8")
    steps = []
    with pytest.raises(StoryLabError, match="copied") as refused:
        train(pretraining(text=str(copied), epochs=0.1, sample=""), tmp_path, callbacks=(steps.append,))
    assert "\n" not in str(refused.value)
    assert not steps


# A whole training


def test_a_model_learns_the_text(checkpoint, about):
    log = read_log(checkpoint)
    losses = [line["loss"] for line in log if "loss" in line]
    assert losses[0] > 8.5  # ln 8000 = 8.99: it knows nothing
    assert losses[-1] < losses[0] - 4  # the same few words come again and again
    labels = about["train"]["tokens"] - 1
    windows = math.ceil(labels / LENGTH)
    steps = 6 * math.ceil(windows / 8)
    assert log[-1]["step"] == log[0]["steps"] == steps
    # Six epochs, each of every label once; a later epoch's windows are one more where its first is short.
    last = next(line for line in reversed(log) if "tokens" in line)
    assert abs(last["tokens"] - 6 * labels) <= 8 * LENGTH
    samples = [line["sample"] for line in log if "sample" in line]
    assert len(samples) == sum("validation_loss" in line for line in log) >= 2 and all(samples)


def test_the_checkpoint_is_a_gpt2_that_the_config_describes(checkpoint, vocabulary):
    assert {path.name for path in checkpoint.iterdir()} == {
        "CREDITS.tsv",
        "README.md",
        "config.json",
        "generation_config.json",
        "log.jsonl",
        "model.safetensors",
        "recipe.toml",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    assert (config["model_type"], config["n_embd"], config["vocab_size"]) == ("gpt2", 32, 8000)
    assert [config[f"{name}_token_id"] for name in ("pad", "bos", "eos")] == [0, 1, 2]
    telling = load(str(checkpoint)).tell("The old miller walked to the river.", seed=0)
    assert telling.text
    written = load_tokenizer(checkpoint)
    assert written.get_vocab() == load_tokenizer(vocabulary).get_vocab()


def plain_perplexity(folder, row: list[int], words: int) -> float:
    """exp(nll / words) of a row cut into windows: no batch, no padding, no framing of the project."""
    model = GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32).eval()
    total = 0.0
    with torch.no_grad():
        for first in range(0, len(row) - 1, LENGTH):
            tokens = torch.tensor(row[first : first + LENGTH + 1])
            total += F.cross_entropy(model(tokens[None, :-1]).logits[0], tokens[1:], reduction="sum").item()
    return math.exp(total / words)


def test_the_card_names_sources_licences_credits_and_how_good_it_is(checkpoint, prose, about):
    card = (checkpoint / "README.md").read_text(encoding="utf-8")
    for text in about["texts"]:
        row = f"| {text['file']} | {text['documents']} | {text['words']} | {text['source']} | {text['license']} |"
        assert row in card
    assert "| 1.txt.xz | 12 |" in card and "| CC BY 4.0 |" in card
    for side in ("train", "validation"):
        told = about[side]
        assert f"- {side}: {told['documents']} documents, {told['tokens']:,} tokens, SHA-256 `{told['sha256']}`" in card
    assert "`CREDITS.tsv`" in card
    credits = (checkpoint / "CREDITS.tsv").read_text(encoding="utf-8")
    assert credits == "file\ttitle\tcredits\n1.txt\tThe Fox\tText: Ada Writer\n"
    assert "with the same text this repeats it" in card and "--set text=FOLDER" in card
    (stated,) = re.findall(r"\| validation documents \| ([\d.]+) \|", card)
    row = np.fromfile(prose / "validation.bin", dtype="<u2").tolist()
    assert float(stated) == pytest.approx(plain_perplexity(checkpoint, row, about["validation"]["words"]), abs=0.006)


def test_the_log_measures_per_word(checkpoint, about):
    line = [line for line in read_log(checkpoint) if "validation_loss" in line][-1]
    labels = about["validation"]["tokens"] - 1
    expected = math.exp(line["validation_loss"] * labels / about["validation"]["words"])
    assert line["perplexity_per_word"] == pytest.approx(expected, rel=1e-4)


def test_no_file_names_where_the_text_lay(checkpoint, prose):
    for path in checkpoint.iterdir():
        assert str(prose.parent).encode() not in path.read_bytes(), path.name


def test_the_card_says_how_much_was_read(pretraining, about, tmp_path):
    part = train(pretraining(limit=5, epochs=1, sample=""), tmp_path)
    assert "Training drew from the first 160 of these tokens alone." in (part / "README.md").read_text(encoding="utf-8")
    # A limit beyond the text's end is no limit.
    whole = train(pretraining(limit=100_000, epochs=0.1, sample=""), tmp_path)
    told = re.findall(r"Training drew from the first ([\d,]+)", (whole / "README.md").read_text(encoding="utf-8"))
    assert all(int(count.replace(",", "")) <= about["train"]["tokens"] for count in told)


# Going on


class Interrupted(Exception):
    pass


def test_an_interrupted_training_goes_on_to_the_very_same_weights(pretraining, trained, copied, tmp_path):
    def raise_at(record) -> None:
        if record["step"] == 14:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(pretraining(), tmp_path, callbacks=(raise_at,))
    steps = []
    folder = train(
        pretraining(text=str(copied)),  # the text may lie elsewhere by then
        tmp_path,
        resume=True,
        callbacks=(lambda record: steps.append(record["step"]),),
    )
    assert min(steps) == 14  # the state is that of step 12
    whole = trained / "checkpoints" / "from-prose"
    assert (folder / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    timeless = lambda log: [{k: v for k, v in line.items() if "second" not in k} for line in log]  # noqa: E731
    assert timeless(read_log(folder)) == timeless(read_log(whole))


def test_a_state_is_refused_where_the_text_is_another(pretraining, trained, copied, texts, vocabulary, tmp_path):
    shutil.copytree(trained / "runs", tmp_path / "runs")
    listed = [TextFile(file="0.txt", source="", license=""), TextFile(file="2.txt", source="", license="")]
    prepare(PrepareRecipe(vocabulary=str(vocabulary), validation=0.2, texts=listed), str(texts), copied)
    with pytest.raises(StoryLabError, match="another recipe or other stories"):
        train(pretraining(text=str(copied)), tmp_path, resume=True)


def test_a_checkpoint_goes_on_from_its_weights(pretraining, checkpoint, tmp_path):
    log = read_log(checkpoint)
    before = [line["validation_loss"] for line in log if "validation_loss" in line]
    folder = train(pretraining(name="more", init_from=str(checkpoint), epochs=0.2, warmup=0, sample=""), tmp_path)
    first = next(line["loss"] for line in read_log(folder)[len(log) :] if "loss" in line)
    assert first < min(before) + 1 < 8  # nothing like a new model's 9


def test_a_pretrained_base_may_read_on(pretraining, base, prose, tmp_path):
    recipe = pretraining(model_type="causal", base="tiny", vocabulary="", model={}, freeze="embeddings", epochs=0.2)
    folder = train(recipe, tmp_path, find_base=lambda name: base)
    assert (folder / "trained.safetensors").is_file() and (folder / "CREDITS.tsv").is_file()
    assert "`tiny`" in (folder / "README.md").read_text(encoding="utf-8")
