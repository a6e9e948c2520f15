"""Logs, cards and recipes of checkpoint folders, read back; and recipes beside each other."""

import json
import shutil
from itertools import pairwise

import pytest

from storylab.cli import main
from storylab.docstrings import field_help
from storylab.errors import StoryLabError
from storylab.training.comparison import HEEDED, WORDS, compare, find_recipe, list_recipes
from storylab.training.history import AXES, read_training, read_trainings
from storylab.training.recipe import Recipe


def line(step: int, **figures) -> str:
    return json.dumps({"step": step, **figures}) + "\n"


FIRST = line(10, seconds=5.0, loss=3.0, learning_rate=0.1, tokens=1000, tokens_per_second=200) + line(
    20, seconds=11.0, loss=2.5, learning_rate=0.05, tokens=2000, tokens_per_second=180
)


@pytest.fixture
def folder(tmp_path):
    """A checkpoint folder of which only the log is there."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "log.jsonl").write_text(FIRST)
    return tmp_path / "mine"


def test_what_a_training_writes_is_read_back(small_checkpoints):
    training = read_training(small_checkpoints / "small-seq2seq")
    assert training.recipe.name == training.name == "small-seq2seq"
    assert training.steps == 100 and training.stages == 1
    assert training.tokens > 0 and 0 < training.seconds < 600
    assert training.parameters == training.trained_parameters > 10_000
    assert "processor threads in fp32" in training.hardware
    losses = [loss for _, loss in training.curve("loss")]
    assert len(losses) == 10 and losses[-1] < losses[0]
    assert training.best_perplexity is not None


def records_of(records: list[dict]) -> list[dict]:
    return [record for record in records if "tokens" in record]


@pytest.mark.parametrize("name", ["encoder", "seq2seq", "gpt2-mini", "gpt2-mini-finetuned", "smollm2-finetuned"])
def test_the_committed_logs_say_what_their_cards_say(root, name):
    training = read_training(root / "checkpoints" / name)
    card = (root / "checkpoints" / name / "README.md").read_text()
    records = [json.loads(line) for line in (root / "checkpoints" / name / "log.jsonl").read_text().splitlines()]
    last = records_of(records)[-1]  # the card tells of the last stage alone
    assert f"{last['step']:,} steps, {last['tokens']:,} tokens" in card
    before = [one["tokens"] for one, following in pairwise(records_of(records)) if following["step"] < one["step"]]
    assert training.tokens == sum(before) + last["tokens"]
    assert f"{training.parameters:,} parameters" in card
    assert training.recipe.base == "" or f"{training.trained_parameters:,} of them were trained" in card
    assert training.hardware and f"on {training.hardware}. The weights" in card
    assert all(sample.text and sample.perplexity_per_word for sample in training.samples)
    for axis in AXES:
        places = [place for place, _ in training.curve("loss", axis)]
        assert places == sorted(places)


def test_a_line_without_tokens_stands_where_its_step_puts_it(folder):
    with open(folder / "log.jsonl", "a") as log:
        log.write(line(25, seconds=14.0, validation_loss=2.4, perplexity_per_word=30.0) + line(25, sample="A dog."))
        log.write(line(30, seconds=17.0, loss=2.4, tokens=3000))
    training = read_training(folder)
    assert training.curve("perplexity_per_word", "tokens") == [(2500, 30.0)]
    (sample,) = training.samples
    assert (sample.step, sample.text, sample.perplexity_per_word) == (25, "A dog.", 30.0)


def test_a_stage_that_counts_anew_goes_on_where_the_one_before_ended(folder):
    with open(folder / "log.jsonl", "a") as log:
        log.write(FIRST)
    training = read_training(folder)
    assert training.stages == 2
    assert [point.step for point in training.points] == [10, 20, 30, 40]
    assert [point.tokens for point in training.points] == [1000, 2000, 3000, 4000]
    assert training.seconds == 22.0
    assert [point.stage for point in training.points] == [1, 1, 2, 2]


@pytest.mark.parametrize(
    "damage",
    [
        '{"step": 15, "loss": 2.',
        "[1, 2]",
        "not JSON",
        '{"loss": 1.0}',
        '{"step": "15", "loss": 1.0}',
        '{"step": true, "loss": 1.0}',
        '{"step": 15, "loss": NaN}',
        '{"step": 15, "loss": -Infinity}',
        '{"step": 15, "loss": 1e999}',
        f'{{"step": {10**400}, "loss": 1.0}}',
        '{"step": 15, "other": 1.0}',
        '{"step": 15, "sample": 3}',
        "[" * 100_000,
        "\0\ufffd",
    ],
)
def test_a_line_that_is_no_record_is_passed_over(folder, damage):
    first, second = FIRST.splitlines(keepends=True)
    (folder / "log.jsonl").write_text(first + damage + "\n" + second)
    assert read_training(folder).points == _points_of(folder, FIRST)


def _points_of(folder, log):
    other = folder.parent / "other"
    other.mkdir()
    (other / "log.jsonl").write_text(log)
    return read_training(other).points


def test_without_recipe_and_card_the_curves_are_still_there(folder):
    training = read_training(folder)
    assert len(training.points) == 2
    assert (training.recipe, training.parameters, training.trained_parameters, training.hardware) == (None,) * 4
    assert training.best_perplexity is None and not training.samples
    (folder / "recipe.toml").write_text("width = [")
    (folder / "README.md").write_bytes(b"\xff\xfe no card")
    assert read_training(folder) == training


def test_folders_without_a_sound_log_are_listed_with_the_reason(folder):
    for name, log in (("empty", ""), ("foreign", "hello\n"), (".hidden", FIRST)):
        (folder.parent / name).mkdir()
        (folder.parent / name / "log.jsonl").write_text(log)
    (folder.parent / "bare").mkdir()
    (folder.parent / "file").write_text("")
    trainings, unsound = read_trainings(folder.parent)
    assert [training.name for training in trainings] == ["mine"]
    assert unsound == {
        "bare": "bare/log.jsonl can't be read: No such file or directory",
        "empty": "empty/log.jsonl has no line of a training",
        "foreign": "foreign/log.jsonl has no line of a training",
    }
    assert read_trainings(folder / "nowhere") == ([], {})


# Recipes


def test_every_setting_has_a_meaning_and_what_only_some_heed_is_a_setting():
    fields = Recipe.__dataclass_fields__.keys()
    assert field_help(Recipe).keys() == fields
    assert HEEDED.keys() < fields


def test_the_mistake_and_its_repair_differ_in_what_they_do(root):
    first, second = (find_recipe(root, f"gpt2-mini-prompt{end}") for end in ("-misaligned", ""))
    rows = {row.setting: row for row in compare(first, second)}
    assert not rows.keys() & set(WORDS)
    assert (rows["framing"].first, rows["framing"].second) == ("prompt-misaligned", "autoregressive")
    assert rows["framing"].differs and rows["framing"].meaning.startswith("How stories become examples")
    assert (rows["learn_prompt"].first, rows["learn_prompt"].second) == (None, False)  # the mistake heeds it not
    assert not rows["pack_length"].differs and rows["pack_length"].first is None
    assert not any(row.differs for row in compare(first, first))


def test_parts_of_a_shape_are_rows_of_their_own(root):
    rows = {row.setting: row for row in compare(find_recipe(root, "train/seq2seq"), find_recipe(root, "train/encoder"))}
    assert (rows["model.decoder_layers"].first, rows["model.decoder_layers"].second) == (4, None)
    assert not rows["model.width"].differs


def test_recipes_are_found_and_other_files_are_not(root, tmp_path):
    known = list_recipes(root)
    assert "train/tiny" in known and "checkpoints/seq2seq" in known
    assert not {"train/prepare", "train/vocabulary"} & known.keys()
    assert (
        find_recipe(root, "seq2seq") == find_recipe(root, "checkpoints/seq2seq") != find_recipe(root, "train/seq2seq")
    )
    with pytest.raises(StoryLabError, match=r"there is no recipe 'x'; there are .*train/tiny"):
        find_recipe(root, "x")
    assert list_recipes(tmp_path) == {}


# The command


def test_the_command_lists_costs_curves_and_differences(root, capsys):
    assert main(["trainings"]) == 0
    printed = capsys.readouterr().out
    assert "2 processor threads in bf16" in printed and "gpt2-mini-finetuned" in printed
    assert main(["trainings", "--json"]) == 0
    by_name = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    training = read_training(root / "checkpoints" / "seq2seq")
    assert by_name["seq2seq"]["tokens"] == training.tokens
    assert len(by_name["seq2seq"]["points"]) == len(training.points)
    assert main(["trainings", "--compare", "train/seq2seq", "train/encoder", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {"setting": "framing", "first": "prompt-target", "second": "next-token"}.items() <= rows[
        [row["setting"] for row in rows].index("framing")
    ].items()
    assert main(["trainings", "--compare", "x", "seq2seq"]) == 2
    assert capsys.readouterr().err.startswith("storylab: there is no recipe 'x'")


def test_a_damaged_checkpoint_still_has_its_course(root, tmp_path):
    shutil.copytree(root / "checkpoints" / "seq2seq", tmp_path / "cut", ignore=shutil.ignore_patterns("*.safetensors"))
    assert read_training(tmp_path / "cut").points == read_training(root / "checkpoints" / "seq2seq").points


def test_the_best_perplexity_is_that_of_the_last_stage(folder):
    first = line(10, seconds=5.0, validation_loss=1.0, perplexity_per_word=20.0)  # of another shape, say
    second = line(5, seconds=2.0, validation_loss=2.0, perplexity_per_word=70.0)
    (folder / "log.jsonl").write_text(
        first + second + line(10, seconds=4.0, validation_loss=1.9, perplexity_per_word=60.0)
    )
    training = read_training(folder)
    assert training.stages == 2 and training.best_perplexity == 60.0
