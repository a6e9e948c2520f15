"""What a story is does not hang on the machine's language, its time zone or its clock."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from storylab.cli import main
from storylab.evaluation.votes import Vote, Votes
from storylab.training.run import run

BARE = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TZ": "Pacific/Kiritimati"}
"""A system that knows ASCII only, where it is tomorrow already."""


@pytest.fixture
def stories(tiny_csv, tmp_path) -> Path:
    """A file with letters that ASCII lacks, in its name too."""
    header, first, second = tiny_csv.read_text(encoding="utf-8").splitlines()[:3]
    path = tmp_path / "erzählt.csv"
    path.write_text(f"{header}\n{first.replace('a', 'ä')}\n{second}\n", encoding="utf-8")
    return path


def evaluated(out: Path) -> tuple[dict, dict[str, bytes]]:
    """What an evaluation has written, but for the time that it took."""
    report = json.loads(out.read_text(encoding="utf-8"))
    for figures in report["models"].values():
        figures.pop("stories_per_second", None)
    return report, {path.name: path.read_bytes() for path in out.with_suffix(".stories").glob("*.txt")}


def test_a_system_of_ascii_reads_and_writes_the_same_files(root, stories, small_checkpoints, tmp_path, capsys):
    arguments = ["evaluate", "--models", str(small_checkpoints / "small-seq2seq"), "--data", str(stories), "--out"]
    here, there = tmp_path / "here" / "é.json", tmp_path / "there" / "é.json"
    assert main([*arguments, str(here)]) == 0
    command = [sys.executable, "-m", "storylab", *arguments, str(there)]
    ended = subprocess.run(command, cwd=root, env=os.environ | BARE, capture_output=True, timeout=280)
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert evaluated(here) == evaluated(there)
    assert "ä".encode() in evaluated(here)[1]["openings.txt"]


@pytest.fixture
def falling_clock(monkeypatch):
    """A clock that is set back an hour whenever somebody looks, in a time zone that changes meanwhile."""
    now = time.time()

    def look() -> float:
        nonlocal now
        now -= 3600
        return now

    monkeypatch.setattr(time, "time", look)
    monkeypatch.setattr(time, "time_ns", lambda: int(look() * 1e9))
    monkeypatch.setenv("TZ", "America/St_Johns")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_a_clock_that_is_set_back_changes_no_training_no_story_and_no_vote(
    make_recipe, small_checkpoints, small_seq2seq, tmp_path, request
):
    vocabulary = str(small_checkpoints / "small-seq2seq")
    recipe = make_recipe("seq2seq", name="timed", vocabulary=vocabulary, epochs=6, log_every=1, evaluate_every=2)

    def trained(folder: str) -> tuple[list[dict], bytes]:
        places = {"checkpoints": tmp_path / folder, "runs": tmp_path / "runs"}
        checkpoint = run(recipe, **places, device="cpu", quiet=True)
        lines = [json.loads(line) for line in (checkpoint / "log.jsonl").read_text().splitlines()]
        assert all(line.pop("seconds", 0) >= 0 and line.pop("tokens_per_second", 0) >= 0 for line in lines)
        return lines, (checkpoint / "model.safetensors").read_bytes()

    def told() -> dict:
        telling = small_seq2seq.tell("Nora found a kite.", seed=3).to_dict()
        assert telling["seconds"] >= telling["seconds_to_first_token"] >= 0
        return {key: telling[key] for key in ("text", "seed", "ended_by", "tokens")}

    votes = Votes(tmp_path / "votes.sqlite")
    cast = [Vote(str(number), "It rained.", "a", "b", 1, 2, "first") for number in range(6)]
    expected = trained("before"), told()
    for vote in cast[:3]:
        votes.add(vote)
    request.getfixturevalue("falling_clock")
    assert (trained("after"), told()) == expected
    for vote in cast[3:]:
        votes.add(vote)
    assert votes.all() == cast
