"""Trainings on full disks, killed while they write their checkpoint, side by side with others."""

import json
import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch

from storylab.errors import StoryLabError
from storylab.files import only_one, put_all_back
from storylab.training.run import run

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["storylab.training.run"])


@pytest.fixture(scope="module")
def recipe(make_recipe, small_checkpoints):
    return make_recipe(
        "seq2seq", name="hit", vocabulary=str(small_checkpoints / "small-seq2seq"), epochs=12, log_every=1, save_every=4
    )


def train(recipe, folder, checkpoints: Path | None = None, **options) -> Path:
    places = {"checkpoints": checkpoints or folder / "checkpoints", "runs": folder / "runs"}
    return run(recipe, **places, **{"device": "cpu", "quiet": True} | options)


@pytest.fixture(scope="module")
def undisturbed(recipe, tmp_path_factory) -> Path:
    """The checkpoint of a training that nothing disturbed."""
    return train(recipe, tmp_path_factory.mktemp("undisturbed"))


def same(checkpoint: Path, other: Path) -> bool:
    """Whether two checkpoints have the same weights and the losses of one course."""
    losses = [
        [json.loads(line).get("loss") for line in (folder / "log.jsonl").read_text().splitlines()]
        for folder in (checkpoint, other)
    ]
    weights = [(folder / "model.safetensors").read_bytes() for folder in (checkpoint, other)]
    return losses[0] == losses[1] and weights[0] == weights[1]


def fill_up(disk: Path, leave: int) -> Path:
    """Fill a disk but for some bytes; returns the file that does it."""
    free = shutil.disk_usage(disk).free
    path = disk / "full"
    path.write_bytes(bytes(max(0, free - leave)))
    return path


@pytest.mark.parametrize(("step", "left", "named"), [(6, 100_000, "state.pt"), (1, 0, "log.jsonl")])
def test_a_disk_that_fills_up_ends_a_training_that_goes_on_where_there_is_room(
    recipe, undisturbed, mount, step, left, named
):
    disk = mount(options="size=4m")

    def fill(record) -> None:
        if record["step"] == step:
            fill_up(disk, left)

    with pytest.raises(StoryLabError) as stopped:
        train(recipe, disk, callbacks=(fill,))
    assert str(stopped.value) == f"{disk}/runs/hit/{named} can't be written: No space left on device"
    assert sorted(path.name for path in (disk / "runs" / "hit").iterdir()) == [".lock", "log.jsonl", "state.pt"]
    (disk / "full").unlink()
    steps = []
    checkpoint = train(recipe, disk, resume=True, callbacks=(lambda record: steps.append(record["step"]),))
    assert steps[0] == (step // 4) * 4 + 1
    assert same(checkpoint, undisturbed)


def test_a_checkpoint_that_finds_no_room_leaves_the_older_one_and_the_training_is_not_lost(
    recipe, undisturbed, mount, tmp_path
):
    disk = mount()
    shutil.copytree(undisturbed, disk / "hit")
    (disk / "hit" / "README.md").write_text("the older one")
    full = fill_up(disk, 20_000)
    with pytest.raises(StoryLabError, match=r"hit can't be written: No space left on device"):
        train(recipe, tmp_path, disk)
    assert sorted(path.name for path in disk.iterdir()) == ["full", "hit"]
    assert (disk / "hit" / "README.md").read_text() == "the older one"
    full.unlink()
    steps = []
    train(recipe, tmp_path, disk, resume=True, callbacks=(lambda record: steps.append(record["step"]),))
    assert steps == [] and same(disk / "hit", undisturbed)


def train_and_die(recipe, folder: Path, moves: int) -> None:
    """Resume a training and be killed once its checkpoint's folder has been moved so many times."""
    rename = os.rename

    def rename_or_die(*paths) -> None:
        nonlocal moves
        if moves == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        moves -= 1
        rename(*paths)

    os.rename = rename_or_die
    train(recipe, folder, resume=True)


def test_killed_while_the_checkpoint_is_put_in_place(recipe, undisturbed, tmp_path):
    train(recipe, tmp_path)
    place = tmp_path / "checkpoints" / "hit"
    (place / "README.md").write_text("the older one")
    (tmp_path / "runs" / "hit" / ".state.pt.0123abcd.part").write_bytes(b"half")
    process = SERVER.Process(target=train_and_die, args=(recipe, tmp_path, 1))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not place.exists()
    put_all_back(place.parent)
    assert (place / "README.md").read_text() == "the older one" and same(place, undisturbed)
    train(recipe, tmp_path, resume=True)
    assert (place / "README.md").read_text() != "the older one" and same(place, undisturbed)
    assert [path.name for path in place.parent.iterdir()] == ["hit"]
    assert sorted(path.name for path in (tmp_path / "runs" / "hit").iterdir()) == [".lock", "log.jsonl", "state.pt"]


def test_two_trainings_of_one_name_are_one_too_many(recipe, tmp_path):
    with only_one(tmp_path / "runs" / "hit", "a training"):
        for resume in (True, False):
            with pytest.raises(StoryLabError, match="a training is under way"):
                train(recipe, tmp_path, resume=resume)
    assert [path.name for path in (tmp_path / "runs" / "hit").iterdir()] == [".lock"]
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize("damage", ["optimizers", "progress", "a tensor", "a shape"])
def test_a_state_that_lacks_something_is_refused_in_one_line(recipe, undisturbed, tmp_path, damage):
    shutil.copytree(undisturbed.parent.parent / "runs", tmp_path / "runs")
    path = tmp_path / "runs" / "hit" / "state.pt"
    state = torch.load(path, weights_only=True)
    if damage == "progress":
        state["progress"]["unknown"] = 1
    elif damage == "optimizers":
        del state["optimizers"]
    else:
        name = next(iter(state["model"]))
        tensor = state["model"].pop(name)
        if damage == "a shape":
            state["model"] = {name: tensor[:1], **state["model"]}
    torch.save(state, path)
    with pytest.raises(StoryLabError, match=r"state.pt can't be read: it is no state of a training") as refused:
        train(recipe, tmp_path, resume=True)
    assert "\n" not in str(refused.value)


def test_garbage_at_the_end_of_the_log_is_dropped(recipe, undisturbed, tmp_path):
    shutil.copytree(undisturbed.parent.parent / "runs", tmp_path / "runs")
    log = tmp_path / "runs" / "hit" / "log.jsonl"
    whole = log.read_bytes()
    log.write_bytes(whole + b'3\n{"step": []}\n{"st\xff\xfe\0\n')
    train(recipe, tmp_path, resume=True)
    assert log.read_bytes() == whole


def test_a_file_whose_name_is_no_text_costs_no_checkpoint(recipe, tmp_path, tiny_csv):
    from dataclasses import replace

    named = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.csv")  # Latin-1
    shutil.copyfile(tiny_csv, named)
    checkpoint = train(replace(recipe, stories=named), tmp_path, should_stop=lambda: True)
    assert 'stories = "caf\\\\xe9.csv"' in (checkpoint / "recipe.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(("warmup", "said"), [(5, ""), (12, "the 12 steps are over before the warm-up of 12 is")])
def test_a_warm_up_that_never_ends_is_said(recipe, tmp_path, capsys, warmup, said):
    from dataclasses import replace

    stop = lambda: True  # noqa: E731
    train(replace(recipe, warmup=warmup), tmp_path, quiet=False, should_stop=stop)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("train: ")]
    assert len(lines) == bool(said) and said in "".join(lines)


def train_as_one_of_two(recipe, folder: Path, rank: int, stops: int) -> None:
    """One process of a training by two; the one whose number is `stops` is told to stop in its third step."""
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", ACCELERATE_USE_CPU="true")
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29500")  # unused: the processes meet in a file
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    asked = []

    def should_stop() -> bool:
        asked.append(1)
        return rank == stops and len(asked) >= 3

    train(recipe, folder, should_stop=should_stop)
    (folder / f"steps-{rank}").write_text(str(len(asked)))


@pytest.mark.parametrize("stops", [0, 1])
def test_one_of_two_processes_that_is_told_to_stop_stops_both(recipe, tmp_path, stops):
    processes = [SERVER.Process(target=train_as_one_of_two, args=(recipe, tmp_path, rank, stops)) for rank in (0, 1)]
    for process in processes:
        process.start()
    try:
        for process in processes:
            process.join(120)
        assert [process.exitcode for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
    assert [(tmp_path / f"steps-{rank}").read_text() for rank in (0, 1)] == ["3", "3"]
    assert '"step": 3' in (tmp_path / "checkpoints" / "hit" / "log.jsonl").read_text()
