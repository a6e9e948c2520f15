import itertools

import pytest

from storylab.errors import StoryLabError
from storylab.training.recipe import Recipe, read_recipe
from storylab.training.vocabulary import read_vocabulary_recipe

SMALL = """
model_type = "seq2seq"
framing = "prompt-target"
stories = "stories.csv"

[model]
width = 32
heads = 2
"""


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(SMALL, encoding="utf-8")
    return path


def refusal(path, *changes) -> str:
    """The message with which a recipe is refused."""
    with pytest.raises(StoryLabError) as refused:
        read_recipe(path, changes)
    message = str(refused.value)
    assert message and "\n" not in message
    return message


def test_every_recipe_of_the_project_is_read_and_survives_toml(root, tmp_path):
    paths = [path for path in sorted((root / "train").glob("*.toml")) if path.stem not in {"vocabulary", "prepare"}]
    assert {"encoder", "seq2seq", "gpt2-mini", "tiny"} <= {path.stem for path in paths}
    for path in paths:
        recipe = read_recipe(path)
        assert recipe.name == path.stem
        assert recipe.title, f"the page needs a title for {path.name}"
        (tmp_path / path.name).write_text(recipe.to_toml(), encoding="utf-8")
        assert read_recipe(tmp_path / path.name) == recipe


def test_the_vocabulary_recipe_is_read_with_changes(root):
    recipe = read_vocabulary_recipe(root / "train" / "vocabulary.toml", ["size=500", "texts=[]"])
    assert (recipe.size, recipe.texts) == (500, [])
    with pytest.raises(StoryLabError, match=r"vocabulary\.toml: unknown key 'sizes'"):
        read_vocabulary_recipe(root / "train" / "vocabulary.toml", ["sizes=500"])


def test_awkward_values_survive_toml(tmp_path):
    recipe = Recipe(
        name="odd_name-1",
        title="\"Quoted\" \\ 'twice' 😀 ‘curly’ [table] # no comment",
        note="two\nlines\tand a tab",
        model_type="encoder",
        framing="next-token",
        model={"width": 32, "dropout": 0.25, "causal": False},
        learning_rate=1e-07,
        seed=2**32 - 1,
    )
    path = tmp_path / "other.toml"
    path.write_text(recipe.to_toml(), encoding="utf-8")
    assert read_recipe(path) == recipe


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        ("batch_size=3", "batch_size", 3),
        ("learning_rate=2e-4", "learning_rate", 2e-4),
        ("epochs=2", "epochs", 2.0),
        ("learn_prompt=false", "learn_prompt", False),
        ("schedule=wsd", "schedule", "wsd"),  # quotes may be left out
        ('schedule="wsd"', "schedule", "wsd"),
        ("title=A title = this", "title", "A title = this"),
        ("sample=", "sample", ""),
        ("model.width=64", "model", {"width": 64, "heads": 2}),
        ("model.dropout=0.1", "model", {"width": 32, "heads": 2, "dropout": 0.1}),
        ("model={width=8}", "model", {"width": 8}),
    ],
)
def test_set_changes_one_value(small, change, field, value):
    changed = read_recipe(small, [change])
    assert getattr(changed, field) == value
    assert type(getattr(changed, field)) is type(value)
    plain = read_recipe(small)
    untouched = set(Recipe.__dataclass_fields__) - {field}
    assert all(getattr(changed, key) == getattr(plain, key) for key in untouched)


def test_later_changes_win(small):
    assert read_recipe(small, ["seed=1", "seed=2"]).seed == 2


@pytest.mark.parametrize("change", ["batch_size", "=5", "", "model.=5"])
def test_set_needs_key_and_value(small, change):
    assert refusal(small, change) == f"--set takes key=value, not {change!r}"


def test_set_reaches_only_into_tables(small):
    assert "seed is not a table" in refusal(small, "seed=1", "seed.width=5")


@pytest.mark.parametrize("key", ["bach_size", "Seed", "train", "model_types"])
def test_an_unknown_key_is_named_with_its_file(small, key):
    message = refusal(small, f"{key}=1")
    assert str(small) in message and repr(key) in message
    assert "batch_size" in message  # the keys that there are


@pytest.mark.parametrize(
    "change",
    [
        "batch_size=many",
        "batch_size=2.5",
        "batch_size=[1]",
        "epochs=long",
        "learn_prompt=perhaps",
        "title=[1]",
        "name=5",
        "model=5",
        "model.width=wide",
        "model.width=[1]",
        "optimizer=sgd",
        "schedule=linear",
        "precision=fp16",
        "framing=backwards",
        "model_type=gpt5",
        "keep=all",
    ],
)
def test_a_value_of_a_wrong_type_is_named_with_key_and_file(small, change):
    message = refusal(small, change)
    assert str(small) in message and change.partition("=")[0] in message


@pytest.mark.parametrize("key", ["batch_size", "seed", "epochs", "learning_rate", "patience"])
def test_true_is_no_number(small, key):
    assert key in refusal(small, f"{key}=true")


POSITIVE = [
    "vocabulary_size", "batch_size", "accumulation", "epochs", "learning_rate", "matrix_learning_rate",
    "pack_length", "log_every", "evaluate_every", "save_every",
]  # fmt: skip
NOT_NEGATIVE = [
    "limit", "prefixes", "validation_prefixes", "validation_windows", "lora_rank", "warmup", "clip", "weight_decay",
    "patience", "seed",
]  # fmt: skip
SHARES = ["momentum", "label_smoothing"]
OUT_OF_RANGE = [
    *itertools.product(POSITIVE, ["0", "-1"]),
    *itertools.product(NOT_NEGATIVE, ["-1"]),
    *itertools.product(SHARES, ["-0.1", "1.0"]),
    ("decay", "1.5"),
    ("decay", "-0.5"),
]


@pytest.mark.parametrize(("key", "value"), OUT_OF_RANGE)
def test_a_value_out_of_range_is_named(small, key, value):
    message = refusal(small, f"{key}={value}")
    assert f" {key} " in message and value in message and "recipe small" in message


@pytest.mark.parametrize("key", ["epochs", "learning_rate", "weight_decay", "matrix_learning_rate"])
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_numbers_are_finite(small, key, value):
    assert key in refusal(small, f"{key}={value}")


@pytest.mark.parametrize("name", ["../up", "a/b", "", "a b", ".hidden", "---"])
def test_a_name_is_the_name_of_a_folder(small, name):
    assert "name" in refusal(small, f'name="{name}"')


@pytest.mark.parametrize(
    ("model_type", "framing", "causal", "fits"),
    [
        ("seq2seq", "prompt-target", False, True),
        ("seq2seq", "next-token", False, False),
        ("seq2seq", "autoregressive", False, False),
        ("seq2seq", "packed", False, False),
        ("encoder", "next-token", False, True),
        ("encoder", "prompt-target", False, False),
        ("encoder", "autoregressive", False, False),
        ("encoder", "packed", False, False),
        ("encoder", "autoregressive", True, True),
        ("encoder", "next-token", True, False),
        ("encoder", "prompt-misaligned", True, False),
        ("encoder", "text", True, False),
        ("seq2seq", "prompt-misaligned", False, False),
        ("seq2seq", "text", False, False),
        ("gpt2", "autoregressive", False, True),
        ("gpt2", "packed", False, True),
        ("gpt2", "prompt-misaligned", False, True),
        ("gpt2", "text", False, True),
        ("gpt2", "next-token", False, False),
        ("gpt2", "prompt-target", False, False),
        ("causal", "next-token", False, False),
        ("causal", "prompt-target", False, False),
    ],
)
def test_a_framing_fits_its_model_or_both_are_named(small, model_type, framing, causal, fits):
    changes = [f"model_type={model_type}", f"framing={framing}"] + ["model.causal=true"] * causal
    if fits:
        assert read_recipe(small, changes).framing == framing
    else:
        message = refusal(small, *changes)
        assert "recipe small" in message and f"framing {framing} clashes with model_type" in message
        assert model_type in message


TUNED = """
model_type = "causal"
base = "gpt2-mini"
framing = "packed"
"""


@pytest.fixture
def tuned(tmp_path):
    path = tmp_path / "tuned.toml"
    path.write_text(TUNED, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"freeze": "embeddings and the first 2 layers"},
        {"lora_rank": 4},
        {"framing": "autoregressive", "learn_prompt": "false"},
        {"framing": "prompt-misaligned"},
        {"framing": "text", "text": "runs/prose"},
        {"init_from": "checkpoints/earlier"},
        {"base": "hub:someone/model"},
    ],
    ids=str,
)
def test_a_base_can_be_finetuned_in_any_of_these_ways(tuned, changes):
    recipe = read_recipe(tuned, [f"{key}={value}" for key, value in changes.items()])
    assert recipe.model_type == "causal" and recipe.base
    assert {key: str(getattr(recipe, key)).lower() for key in changes} == {k: str(v) for k, v in changes.items()}


@pytest.mark.parametrize(
    ("changes", "clash"),
    [
        (["base="], "base clashes with model_type"),
        (["freeze=embeddings", "lora_rank=4"], "freeze clashes with lora_rank"),
        (["vocabulary=train/vocabulary"], "vocabulary is the base's"),
        (["model.n_layer=2"], "model is the base's"),
        (["model_type=gpt2"], "base clashes with model_type"),
        (["model_type=gpt2", "base=", "freeze=embeddings"], "freeze needs a base"),
        (["model_type=gpt2", "base=", "lora_rank=4"], "lora_rank needs a base"),
        (["model_type=encoder", "framing=next-token"], "base clashes with model_type"),
        (["model_type=seq2seq", "framing=prompt-target"], "base clashes with model_type"),
    ],
)
def test_what_clashes_with_a_base_or_its_absence_is_named(tuned, changes, clash):
    message = refusal(tuned, *changes)
    assert clash in message and "recipe tuned" in message


@pytest.mark.parametrize("key", ["model_type", "framing"])
def test_what_has_no_default_must_be_there(tmp_path, key):
    path = tmp_path / "half.toml"
    path.write_text("\n".join(line for line in SMALL.splitlines() if not line.startswith(key)), encoding="utf-8")
    message = refusal(path)
    assert str(path) in message and key in message


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"model_type = ", "not TOML"), (b"\xff\xfe\x00", "not TOML"), (b"seed = 1\nseed = 2\n", "not TOML")],
)
def test_a_file_that_is_not_toml_is_named(tmp_path, content, reason):
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    message = refusal(path)
    assert str(path) in message and reason in message


def test_a_missing_file_is_named(tmp_path):
    assert str(tmp_path / "gone.toml") in refusal(tmp_path / "gone.toml")
    assert str(tmp_path) in refusal(tmp_path)  # a folder
