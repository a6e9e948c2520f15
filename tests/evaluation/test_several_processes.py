"""An evaluation that `accelerate launch` divides among processes gives the figures of one process, to the last bit."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from two_processes import both, launch

from storylab.cli import main
from storylab.decoding import Settings
from storylab.evaluation.generation import Kept, tell_stories
from storylab.evaluation.run import evaluate
from storylab.evaluation.score import story_losses
from storylab.processes import ALONE
from storylab.stories import read_stories
from storylab.storytellers.storyteller import Storyteller

SHORT = Settings.from_mapping({"max_new_tokens": 40})


def without_times(report: dict) -> dict:
    for figures in report["models"].values():
        figures.pop("stories_per_second", None)
    return report


def test_two_processes_report_what_one_reports(root, tiny_csv, tmp_path):
    data = tmp_path / "some.csv"
    stories = sorted(read_stories(tiny_csv), key=lambda story: len(story.text))[:8]
    lines = [",".join(f'"{sentence}"' for sentence in story.sentences) for story in stories]
    data.write_text("\n".join(["sentence1,sentence2,sentence3,sentence4,sentence5", *lines]), encoding="utf-8")
    arguments = ["evaluate", "--models", "seq2seq,gpt2-mini-finetuned", "--data", str(data), "--seed", "3", "--out"]
    for folder in ("two", "one"):
        (tmp_path / folder).mkdir()

    ended = launch(root, root, "storylab", *arguments, str(tmp_path / "two" / "report.json"))
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert ended.stdout.count("has the report") == 1
    assert main([*arguments, str(tmp_path / "one" / "report.json")]) == 0

    apart, alone = (tmp_path / folder for folder in ("two", "one"))
    reports = [json.loads((folder / "report.json").read_text(encoding="utf-8")) for folder in (apart, alone)]
    assert json.dumps(without_times(reports[0])) == json.dumps(without_times(reports[1]))
    names = {path.name for path in (alone / "report.stories").iterdir()}
    assert {path.name for path in (apart / "report.stories").iterdir()} == names
    for name in names - {name for name in names if name.endswith(".jsonl")}:  # which hold times
        assert (apart / "report.stories" / name).read_bytes() == (alone / "report.stories" / name).read_bytes()


def _losses_and_tellings(stories, folder_of_checkpoint, processes, folder):
    storyteller = Storyteller.from_folder("small", "Small", "seq2seq", folder_of_checkpoint, engine="torch")
    kept = Kept(folder / "kept.jsonl", {}) if processes.main else None
    told = tell_stories(storyteller, stories, SHORT, 0, kept=kept, batch_size=2, processes=processes)
    nll, tokens = story_losses(storyteller, stories, at_once=300, processes=processes)
    return nll.tobytes(), tokens.tolist(), [replace(story, seconds=0) for story in told]


def test_batches_are_divided_and_stories_kept_by_one(small_checkpoints, tiny_csv, tmp_path):
    # With torch, whose sums hang on what shares a batch; what was kept is told again by nobody.
    stories = read_stories(tiny_csv)[:13]
    work = partial(_losses_and_tellings, stories, small_checkpoints / "small-seq2seq")
    first = both(work, make(tmp_path / "apart"))
    alone = work(ALONE, make(tmp_path / "alone"))
    assert first == [alone, alone]
    lines = (tmp_path / "apart" / "kept.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + len(stories)
    assert both(work, tmp_path / "apart") == first
    assert (tmp_path / "apart" / "kept.jsonl").read_text(encoding="utf-8").splitlines() == lines


def make(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _evaluate_own(stories, folder_of_checkpoint, processes, folder):
    storyteller = Storyteller.from_folder("small", "Small", "seq2seq", folder_of_checkpoint)
    return evaluate([storyteller], stories[processes.index :], settings=SHORT, processes=processes)


def test_machines_with_other_stories_are_refused(small_checkpoints, tiny_csv, tmp_path):
    found = both(partial(_evaluate_own, read_stories(tiny_csv)[:3], small_checkpoints / "small-seq2seq"), tmp_path)
    assert [name for name, *_ in found] == ["SharedError"] * 2
    assert "give every machine the same files" in found[0][1]


def test_one_error_of_a_launch_is_one_line(monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, said in (("0", 1), ("1", 0)):
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("LOCAL_RANK", rank)
        assert main(["score", "--model", "seq2seq", "--data", "stories.csv"]) == 2
        with pytest.raises(SystemExit):
            main(["evaluate", "--modls", "seq2seq"])
        error = capsys.readouterr().err
        assert error.count("only evaluate and report run on several processes") == error.count("usage: ") == said


def test_a_launch_that_starts_a_single_process_is_refused(monkeypatch, capsys, tiny_csv):
    monkeypatch.setenv("MASTER_PORT", "29500")  # what `accelerate launch --cpu --num_processes 2` leaves without MPI
    assert main(["evaluate", "--models", "seq2seq", "--data", str(tiny_csv)]) == 2
    error = capsys.readouterr().err
    assert "--multi_gpu --num_processes N -m storylab evaluate --device cpu" in error
