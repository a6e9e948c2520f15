"""`python -m train`: what it prints, where it writes, how it refuses."""

import json
import runpy
import shutil

import pytest

from storylab import __version__
from storylab.training.cli import main

QUICK = ("epochs=0.25", "model.width=32", "model.inner=64", "log_every=1", "sample=", "vocabulary_size=700")


@pytest.fixture
def project(root, tmp_path, monkeypatch):
    """A project of its own, with the recipes of this one."""
    shutil.copytree(root / "train", tmp_path / "train")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(project, *arguments) -> int:
    return main(list(arguments), project / "train")


def refused(project, capsys, *arguments) -> str:
    """The one line on stderr of a command that trains nothing."""
    assert command(project, *arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith("train: ") and printed.err.count("\n") == 1
    assert not (project / "checkpoints").exists() and not (project / "runs").exists()
    return printed.err


def changes(*values) -> list[str]:
    return [word for value in values for word in ("--set", value)]


def test_a_recipe_becomes_a_checkpoint_beside_it(project, capsys):
    assert command(project, "tiny", "--device", "cpu", "--dtype", "fp32", *changes(*QUICK)) == 0
    printed = capsys.readouterr()
    folder = project / "checkpoints" / "tiny"
    assert printed.out == f"checkpoint: {folder}\n"
    assert json.loads((folder / "config.json").read_text(encoding="utf-8"))["width"] == 32
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["step"] for line in log if "loss" in line] == [1]
    for shown in ("tiny", "1/1", "loss=", "tokens/s=", "per word="):  # the progress bar
        assert shown in printed.err
    assert "Traceback" not in printed.err and "Warning" not in printed.err

    # Where it ended, there is nothing left to do but to write the checkpoint again.
    assert command(project, "tiny", "--device", "cpu", "--dtype", "fp32", "--resume", *changes(*QUICK)) == 0
    assert (project / "runs" / "tiny" / "state.pt").is_file()


def test_the_process_of_a_training_keeps_what_is_freed(monkeypatch, capsys):
    called = []
    monkeypatch.setattr("storylab.heap.keep_what_is_freed", lambda: called.append(True))
    monkeypatch.setattr("sys.argv", ["train", "nothing"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("train", run_name="__main__")
    assert called and ended.value.code == 2 and "there is no recipe" in capsys.readouterr().err


def test_a_recipe_may_be_a_path(project, capsys):
    own = project / "mine.toml"
    shutil.copyfile(project / "train" / "tiny.toml", own)
    assert command(project, str(own), "--device", "cpu", "--dtype", "fp32", *changes(*QUICK)) == 0
    assert (project / "checkpoints" / "mine" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    "name", ["nothing", "nothing.toml", "../etc/passwd", "", "x" * 5000, "a/" + "x" * 5000 + ".toml", "a\0b"]
)
def test_an_unknown_recipe_is_refused_with_those_there_are(project, capsys, name):
    message = refused(project, capsys, name)
    assert "there is no recipe" in message and "tiny" in message and "seq2seq" in message
    assert len(message) < 400


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["seq2seq"], "--stories"),
        (["tiny", "--stories", "gone.csv"], "gone.csv"),
        (["tiny", "--validation", "gone.csv"], "gone.csv"),
        (["tiny", "--test", "gone.csv"], "gone.csv"),
        (["tiny", "--init-from", "checkpoints/gone"], "checkpoints/gone"),
        (["tiny", "--resume", "--device", "cpu", "--dtype", "fp32"], "nothing to resume"),
        (["tiny", "--set", "batch_size=0"], "batch_size"),
        (["tiny", "--set", "bach_size=2"], "bach_size"),
        (["tiny", "--set", "framing=packed"], "clashes"),
        (["tiny", "--set", "model.wings=2"], "wings"),
        (["tiny", "--set", "vocabulary=gone"], "gone"),
        (["tiny", "--set", "vocabulary_size=100000"], "100000"),
        (["tiny", "--set", "epochs=inf"], "epochs"),
        (["tiny", "--validation", "train/tiny.csv"], "is also"),  # a leak: the training stories themselves
        (["vocabulary"], "--stories"),
        (["vocabulary", "--stories", "train/tiny.csv"], "--texts"),
        (["vocabulary", "--stories", "train/tiny.csv", "--texts", "nowhere"], "nowhere"),
    ],
)
def test_what_a_person_can_mend_is_said_in_one_line(project, capsys, arguments, named):
    assert named in refused(project, capsys, *arguments)


def test_a_vocabulary_is_learnt_by_its_own_recipe(project, capsys):
    shutil.rmtree(project / "train" / "vocabulary", ignore_errors=True)
    (project / "prose.txt").write_text("A plain line of prose.\n" * 50, encoding="utf-8")
    texts = 'texts=[{file="prose.txt", characters=500}]'
    arguments = ["vocabulary", "--stories", "train/tiny.csv", "--texts", str(project)]
    assert command(project, *arguments, *changes("size=700", texts)) == 0
    folder = project / "train" / "vocabulary"
    assert capsys.readouterr().out == f"{folder}\n"
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "700" in card and "prose.txt" in card and str(project) not in card
    assert (folder / "tokenizer.json").is_file()


def test_version_and_help(project, capsys):
    for flag, shown in (("--version", __version__), ("--help", "--resume")):
        with pytest.raises(SystemExit) as ended:
            command(project, flag)
        assert ended.value.code == 0
        assert shown in capsys.readouterr().out


def test_interrupting_says_how_to_go_on(project, capsys, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("storylab.training.run.run", interrupt)
    assert command(project, "tiny") == 130
    assert "python -m train tiny --resume" in capsys.readouterr().err
