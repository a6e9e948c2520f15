"""Several processes, started by `accelerate launch`, learn what one process learns."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from functools import partial

import pytest
from two_processes import both

from storylab.processes import ALONE
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
    # `accelerate launch --cpu --num_processes 2` starts a single process unless MPI is there
    # (huggingface/accelerate#2741); its launcher for GPUs starts two anywhere, and --device cpu keeps them there.
    launch = "-m accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no"
    launch += " --dynamo_backend no --main_process_port 0 -m train"
    ended = subprocess.run(
        [sys.executable, *launch.split(), *ARGUMENTS],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=280,
    )
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


def _stop_then_resume(recipe, processes, folder):
    """Train until the last process wants to stop, then on to the end; where it stopped, and the log."""
    places = {"checkpoints": folder / "checkpoints", "runs": folder / "runs", "device": "cpu", "quiet": True}
    asked = []

    def should_stop() -> bool:
        asked.append(processes.index)
        return processes.index == processes.number - 1 and len(asked) == 4

    run(recipe, should_stop=should_stop, processes=processes, **places)
    run(recipe, resume=True, processes=processes, **places)
    return len(asked)


def logged(folder) -> list[dict]:
    text = (folder / "checkpoints" / "small-seq2seq" / "log.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_one_process_that_stops_stops_all_and_all_resume(make_recipe, tmp_path):
    recipe = make_recipe("seq2seq", epochs=5, batch_size=3, log_every=1, evaluate_every=5, save_every=2)
    recipe.model["dropout"] = 0.0
    (tmp_path / "apart").mkdir()
    assert both(partial(_stop_then_resume, recipe), tmp_path / "apart") == [4, 4]
    _stop_then_resume(recipe, ALONE, tmp_path / "alone")
    apart, alone = logged(tmp_path / "apart"), logged(tmp_path / "alone")
    assert [line["step"] for line in apart] == [line["step"] for line in alone]
    assert len(figures(alone, "loss")) == 15 and len(figures(alone, "validation_loss")) > 3
    for key in ("loss", "validation_loss"):
        assert figures(apart, key) == pytest.approx(figures(alone, key), abs=1e-3)


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
