"""Several processes, started by `accelerate launch`, learn what one process learns."""

import contextlib
import io
import json
import shutil
from functools import partial

import pytest
import torch
from accelerate import PartialState
from two_processes import both, launch

from storylab.errors import StoryLabError
from storylab.processes import ALONE, join
from storylab.training.cli import main
from storylab.training.run import run

CHANGES = {
    "epochs": 0.75,
    "log_every": 1,
    "evaluate_every": 3,
    "accumulation": 2,
    "batch_size": 5,  # odd: one process has an example more than the other
    "model.dropout": 0.0,
    "model.width": 32,
    "model.inner": 64,
    "sample": "",
}


@pytest.fixture
def project(root, tmp_path):
    """A project of its own, so that this one's checkpoints stay untouched; each process leaves its rank there."""
    shutil.copytree(root / "train", tmp_path / "train")
    mark = "import os, pathlib\npathlib.Path(f\"rank-{os.environ.get('RANK', 'alone')}\").touch()\n"
    (tmp_path / "train" / "__init__.py").write_text(mark, encoding="utf-8")
    return tmp_path


ARGUMENTS = ["tiny", "--device", "cpu", "--dtype", "fp32"]
ARGUMENTS += [word for key, value in CHANGES.items() for word in ("--set", f"{key}={value}")]


def read_log(project) -> list[dict]:
    lines = (project / "checkpoints" / "tiny" / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def figures(log: list[dict], key: str) -> list[float]:
    return [line[key] for line in log if key in line]


def test_two_processes_learn_what_one_learns(project, root, monkeypatch):
    ended = launch(root, project, "train", *ARGUMENTS)
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert {path.name for path in project.glob("rank-*")} == {"rank-0", "rank-1"}
    assert ended.stdout.count("checkpoint: ") == 1
    apart = read_log(project)

    monkeypatch.chdir(project)
    assert main(ARGUMENTS, project / "train") == 0
    alone = read_log(project)
    assert len(figures(alone, "loss")) == 4  # 59 stories, 10 a step: 6 steps an epoch, three quarters of one
    assert figures(apart, "loss") == pytest.approx(figures(alone, "loss"), abs=1e-4)
    assert figures(apart, "validation_loss") == pytest.approx(figures(alone, "validation_loss"), abs=1e-4)
    assert figures(apart, "learning_rate") == figures(alone, "learning_rate")
    assert figures(apart, "tokens") == figures(alone, "tokens")
    assert figures(alone, "loss")[-1] < figures(alone, "loss")[0]


def places(folder) -> dict:
    return {"checkpoints": folder / "checkpoints", "runs": folder / "runs", "device": "cpu", "quiet": True}


def _train_in_two_parts(recipe, processes, folder):
    """Train until the last process wants to stop, twice; how often each was asked."""
    asked = []

    def should_stop() -> bool:
        asked.append(processes.index)
        return processes.index == processes.number - 1 and len(asked) in (4, 7)

    run(recipe, should_stop=should_stop, processes=processes, **places(folder))
    run(recipe, should_stop=should_stop, processes=processes, resume=True, **places(folder))
    return len(asked)


def logged(folder) -> list[dict]:
    text = (folder / "checkpoints" / "small-seq2seq" / "log.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def short_recipe(make_recipe):
    """15 steps of three stories: one process has a story more than the other."""
    return make_recipe("seq2seq", epochs=5, batch_size=3, log_every=1, evaluate_every=5, save_every=2)


def test_one_that_stops_stops_all_and_the_rest_is_learnt_by_all_or_by_one(short_recipe, tmp_path):
    for name in ("apart", "alone"):
        (tmp_path / name).mkdir()
    assert both(partial(_train_in_two_parts, short_recipe), tmp_path / "apart") == [7, 7]
    assert _train_in_two_parts(short_recipe, ALONE, tmp_path / "alone") == 7
    for name in ("apart", "alone"):
        run(short_recipe, resume=True, **places(tmp_path / name))
    apart, alone = logged(tmp_path / "apart"), logged(tmp_path / "alone")
    assert [line["step"] for line in apart] == [line["step"] for line in alone]
    assert figures(alone, "tokens") == figures(apart, "tokens") and len(figures(alone, "loss")) == 15
    for key in ("loss", "validation_loss"):
        assert figures(apart, key) == pytest.approx(figures(alone, key), abs=1e-3)


def _fail_in_the_first(recipe, processes, folder):
    def fail(record) -> None:
        if processes.main and record.get("step") == 3:
            raise StoryLabError("the disk is full")

    run(recipe, callbacks=(fail,), processes=processes, **places(folder))


def test_nobody_waits_for_the_gradients_of_one_that_failed(short_recipe, tmp_path):
    first, second = both(partial(_fail_in_the_first, short_recipe), tmp_path)
    assert first == ("StoryLabError", "the disk is full", False)
    assert second == ("SharedError", "another process has ended before its work was done", True)


def test_several_processes_without_a_gpu_say_so(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    (kind, error, silent), (_, _, other_silent) = both(_meet_on_gpus, tmp_path)
    assert kind == "StoryLabError" and "--device cpu" in error
    assert (silent, other_silent) == (False, True)


def _meet_on_gpus(processes, folder):
    PartialState._reset_state()
    return join("train NAME", "auto").number


@pytest.mark.parametrize(
    ("name", "why"), [("nothing", "there is no recipe 'nothing'"), ("vocabulary", "runs on one process")]
)
def test_what_all_refuse_is_said_once(root, tmp_path, name, why):
    (status, said), (other_status, nothing) = both(partial(_train, root, name), tmp_path)
    assert (status, other_status, nothing) == (2, 2, "")
    assert why in said and said.count("\n") == 1


def _train(root, name, processes, folder):
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        return main([name, "--device", "cpu"], root / "train"), said.getvalue()
