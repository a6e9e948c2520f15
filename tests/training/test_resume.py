"""`--resume` after `kill -9`: what was lost is done again, and nothing else differs."""

import json
import multiprocessing
import pickle
import random
import shutil
import signal
import time

import pytest
import torch

from storylab.errors import StoryLabError
from storylab.training.run import run

# A process that is killed must be one of its own. The server imports what a training needs once and forks from
# there; it has no threads and no autograd behind it, unlike the process that runs the tests.
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["storylab.training.run"])

MEASURED = ("loss", "validation_loss", "perplexity_per_word", "best", "sample", "tokens", "learning_rate", "steps")


class Interrupted(Exception):
    pass


@pytest.fixture(scope="module")
def recipe(make_recipe, small_checkpoints):
    """60 steps with all that could go astray: dropout, accumulation, Muon, packs of two, best weights, samples."""
    return make_recipe(
        "seq2seq",
        name="resumed",
        vocabulary=str(small_checkpoints / "small-seq2seq"),
        batch_size=2,
        accumulation=2,
        epochs=30,
        model={"dropout": 0.2},
        keep="best",
        sample="Nora found an old blue kite.",
        log_every=2,
        evaluate_every=20,
        save_every=2,
    )


def train(recipe, folder, **options):
    return run(recipe, checkpoints=folder / "checkpoints", runs=folder / "runs", device="cpu", quiet=True, **options)


def measured(path) -> list[dict]:
    """What a log says, but for the time that it took."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [{"step": line["step"]} | {key: line[key] for key in MEASURED if key in line} for line in lines]


def break_off(recipe, folder, step: int) -> None:
    """Train until after a step's callbacks, then raise."""

    def raise_at(record) -> None:
        if record["step"] == step:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(recipe, folder, callbacks=(raise_at,))


def weights(folder) -> bytes:
    return (folder / "checkpoints" / "resumed" / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def uninterrupted(recipe, tmp_path_factory):
    """The folder of a training that nothing disturbed."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    train(recipe, folder)
    return folder


@pytest.fixture(scope="module")
def broken_off(recipe, tmp_path_factory):
    """The folder of a training that was broken off in step 32; its last state is that of step 30."""
    folder = tmp_path_factory.mktemp("broken-off")
    break_off(recipe, folder, 32)
    return folder


@pytest.fixture
def halfway(broken_off, tmp_path):
    """A copy of that folder."""
    shutil.copytree(broken_off / "runs", tmp_path / "runs")
    return tmp_path


def start(recipe, folder, resume: bool):
    options = {
        "checkpoints": folder / "checkpoints",
        "runs": folder / "runs",
        "resume": resume,
        "device": "cpu",
        "quiet": True,
    }
    process = SERVER.Process(target=run, args=(recipe,), kwargs=options)
    process.start()
    return process


@pytest.mark.parametrize("luck", [1, 2])
def test_a_training_killed_again_and_again_ends_as_one_that_was_left_alone(recipe, uninterrupted, tmp_path, luck):
    draw = random.Random(luck)
    log = tmp_path / "runs" / "resumed" / "log.jsonl"
    state = log.with_name("state.pt")
    kills = 0
    for target in (draw.randint(3, 20), draw.randint(21, 40), draw.randint(41, 58)):
        process = start(recipe, tmp_path, resume=kills > 0)
        while process.is_alive() and not (log.exists() and _last_step(log) >= target and state.exists()):
            time.sleep(0.002)
        time.sleep(draw.random() * 0.1)  # anywhere within a few steps: in a forward pass, a line, a save
        if process.is_alive():
            process.kill()
            kills += 1
        process.join()
        assert process.exitcode in (-signal.SIGKILL, 0)
    assert kills >= 2
    assert not (tmp_path / "checkpoints" / "resumed").exists() or kills < 3
    process = start(recipe, tmp_path, resume=True)
    process.join()
    assert process.exitcode == 0
    assert measured(log) == measured(uninterrupted / "runs" / "resumed" / "log.jsonl")
    assert weights(tmp_path) == weights(uninterrupted)


def _last_step(log) -> int:
    lines = log.read_bytes().splitlines()
    return max((json.loads(line)["step"] for line in lines if line.endswith(b"}")), default=0)


def test_a_resumed_training_does_only_what_is_left(recipe, halfway, uninterrupted):
    steps = []
    train(recipe, halfway, resume=True, callbacks=(lambda record: steps.append(record["step"]),))
    assert min(steps) == 32 and max(steps) == 60  # the first line after the state of step 30
    assert measured(halfway / "runs" / "resumed" / "log.jsonl") == measured(
        uninterrupted / "runs" / "resumed" / "log.jsonl"
    )
    assert weights(halfway) == weights(uninterrupted)


@pytest.mark.parametrize("torn", ['{"step": 32, "steps": 60, "lo', '{"step": 32}\n\0\0\0{'])
def test_a_torn_last_line_of_the_log_is_dropped(recipe, halfway, uninterrupted, torn):
    log = halfway / "runs" / "resumed" / "log.jsonl"
    with open(log, "a", encoding="utf-8") as file:
        file.write(torn)
    train(recipe, halfway, resume=True)
    assert measured(log) == measured(uninterrupted / "runs" / "resumed" / "log.jsonl")
    checkpoint = halfway / "checkpoints" / "resumed"
    assert (checkpoint / "log.jsonl").read_bytes() == log.read_bytes()


def test_a_line_of_the_log_counts_what_came_before_the_interruption(make_recipe, tmp_path):
    # State and log have different beats in the project's own recipes: the state of step 25 stands between
    # two lines, and the line of step 40 is about steps 21 to 40 all the same.
    recipe = make_recipe("seq2seq", name="resumed", batch_size=2, epochs=10, log_every=20, save_every=25)
    train(recipe, tmp_path / "whole")
    break_off(recipe, tmp_path / "broken", 40)
    train(recipe, tmp_path / "broken", resume=True)
    logs = [tmp_path / name / "runs" / "resumed" / "log.jsonl" for name in ("broken", "whole")]
    assert measured(logs[0]) == measured(logs[1])


def test_a_training_that_had_stopped_early_stays_stopped(make_recipe, tmp_path):
    # Killed after its last validation, before the checkpoint was written.
    recipe = make_recipe("seq2seq", name="resumed", evaluate_every=5, save_every=5, patience=2)
    train(recipe, tmp_path)
    before = measured(tmp_path / "runs" / "resumed" / "log.jsonl")
    assert before[-1]["step"] < 100
    old = weights(tmp_path)
    shutil.rmtree(tmp_path / "checkpoints")
    train(recipe, tmp_path, resume=True)
    assert measured(tmp_path / "runs" / "resumed" / "log.jsonl") == before
    assert weights(tmp_path) == old


def test_a_training_that_had_ended_only_writes_its_checkpoint(recipe, uninterrupted, tmp_path):
    shutil.copytree(uninterrupted / "runs", tmp_path / "runs")
    train(recipe, tmp_path, resume=True)
    assert measured(tmp_path / "runs" / "resumed" / "log.jsonl") == measured(
        uninterrupted / "runs" / "resumed" / "log.jsonl"
    )
    assert weights(tmp_path) == weights(uninterrupted)


def test_without_resume_it_starts_anew(recipe, halfway):
    first = []
    train(recipe, halfway, should_stop=lambda: True, callbacks=(first.append,))
    assert first[0]["step"] == 1
    assert [line["step"] for line in measured(halfway / "runs" / "resumed" / "log.jsonl")] == [1, 1, 1]


def refusal(recipe, folder) -> str:
    """The one line with which `--resume` is refused, without a trace left behind."""
    log = folder / "runs" / "resumed" / "log.jsonl"
    before = log.read_bytes() if log.exists() else None
    with pytest.raises(StoryLabError) as refused:
        train(recipe, folder, resume=True)
    assert "\n" not in str(refused.value)
    assert (log.read_bytes() if log.exists() else None) == before
    assert not (folder / "checkpoints").exists()
    return str(refused.value)


def test_without_a_state_there_is_nothing_to_resume(recipe, tmp_path):
    message = refusal(recipe, tmp_path)
    assert "nothing to resume" in message and str(tmp_path / "runs" / "resumed" / "state.pt") in message


@pytest.mark.parametrize("change", [{"learning_rate": 2e-2}, {"seed": 1}, {"limit": 7}, {"batch_size": 4}])
def test_the_state_of_another_recipe_or_other_stories_is_refused(make_recipe, recipe, halfway, change):
    from dataclasses import replace

    assert "another recipe or other stories" in refusal(replace(recipe, **change), halfway)


def test_the_state_of_another_shape_is_refused(recipe, halfway):
    from dataclasses import replace

    assert "another recipe" in refusal(replace(recipe, model=recipe.model | {"width": 64}), halfway)


def test_where_the_stories_lie_may_change(recipe, halfway, uninterrupted, tiny_csv, tmp_path):
    from dataclasses import replace

    moved = tmp_path / "moved.csv"
    shutil.copyfile(tiny_csv, moved)
    train(replace(recipe, stories=str(moved)), halfway, resume=True)
    assert weights(halfway) == weights(uninterrupted)


class Trap:
    """What runs a command when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "other", "pickle"])
def test_a_damaged_state_is_refused_in_one_line(recipe, halfway, damage, tmp_path):
    path = halfway / "runs" / "resumed" / "state.pt"
    whole = path.read_bytes()
    trap = tmp_path / "sprung"
    if damage == "other":
        torch.save({"weights": 1}, path)
    else:
        contents = {"truncated": whole[: len(whole) // 2], "empty": b"", "text": b"no state", "pickle": None}
        path.write_bytes(contents[damage] or b"")
        if damage == "pickle":
            path.write_bytes(pickle.dumps(Trap(str(trap))))
    assert str(path) in refusal(recipe, halfway)
    assert not trap.exists()


def test_a_state_is_whole_or_the_one_before(tmp_path, monkeypatch):
    from storylab import files
    from storylab.files import write_atomically

    path = tmp_path / "new" / "state.pt"
    write_atomically(path, lambda temporary: temporary.write_bytes(b"old"))

    def fail_halfway(temporary) -> None:
        temporary.write_bytes(b"ha")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fail_halfway)
    assert path.read_bytes() == b"old"

    order = []
    monkeypatch.setattr(files.os, "fsync", lambda file: order.append("on the disk"))
    replace = files.os.replace
    monkeypatch.setattr(files.os, "replace", lambda *paths: (order.append("in place"), replace(*paths)))
    write_atomically(path, lambda temporary: temporary.write_bytes(b"new"))
    assert order == ["on the disk", "in place"]
    assert path.read_bytes() == b"new"
    assert [file.name for file in path.parent.iterdir()] == ["state.pt"]
