"""Evaluations and votes that are killed, side by side, or without room on the disk."""

import json
import multiprocessing
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from storylab.cli import main
from storylab.decoding import Settings
from storylab.errors import StoryLabError
from storylab.evaluation.generation import Kept, tell_stories
from storylab.evaluation.votes import Vote, Votes
from storylab.files import only_one
from storylab.stories import read_stories
from storylab.storytellers.storyteller import Storyteller

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["storylab.training.run"])  # as the tests of training: one server for a process's tests
SETTINGS = Settings.from_mapping({"max_new_tokens": 60})
VOTE = """
import sys
from pathlib import Path
from storylab.evaluation.votes import Vote, Votes

votes = Votes(Path(sys.argv[1]))
for number in range(1_000_000):
    ballot = f"{sys.argv[2]}-{number}"
    votes.add(Vote(ballot, "It rained.", "a", "b", 1, 2, "first"))
    print(ballot, flush=True)
"""


def tell_all(folder: Path, csv: Path, path: Path) -> None:
    """Tell all stories of a file, keeping them as they come, two at a time."""
    storyteller = Storyteller.from_folder("small", "small", "encoder", folder)
    tell_stories(storyteller, read_stories(csv), SETTINGS, 0, kept=Kept(path, {"a": 1}), batch_size=2)


def test_an_evaluation_killed_twice_tells_the_rest_and_no_story_otherwise(small_encoder, tiny_csv, tmp_path):
    path, stories = tmp_path / "kept.jsonl", read_stories(tiny_csv)
    for least in (4, 12):
        process = SERVER.Process(target=tell_all, args=(small_encoder.folder, tiny_csv, path))
        process.start()
        while process.is_alive() and not (path.exists() and path.read_bytes().count(b"\n") > least):
            time.sleep(0.002)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    whole = [line for line in path.read_text(encoding="utf-8", errors="replace").split("\n")[1:-1] if line]
    counts = []
    kept = Kept(path, {"a": 1})
    told = tell_stories(small_encoder, stories, SETTINGS, 0, kept=kept, on_told=counts.append)
    assert counts[0] == len(whole) >= 12
    alone = tell_stories(small_encoder, stories, SETTINGS, 0)
    assert [replace(story, seconds=0) for story in told] == [replace(story, seconds=0) for story in alone]
    assert len(path.read_text(encoding="utf-8").splitlines()) == 1 + len(stories)


def test_a_full_disk_ends_an_evaluation_that_goes_on_where_there_is_room(small_seq2seq, tiny_csv, mount):
    disk, stories = mount(), read_stories(tiny_csv)
    path = disk / "kept.jsonl"

    def fill(done: int) -> None:
        if done == 3:
            (disk / "full").write_bytes(bytes(1_040_000 - path.stat().st_size // 4096 * 4096))

    with pytest.raises(StoryLabError, match=r"kept.jsonl can't be written: No space left on device"):
        tell_stories(small_seq2seq, stories, SETTINGS, 0, kept=Kept(path, {}), on_told=fill)
    (disk / "full").unlink()
    counts = []
    tell_stories(small_seq2seq, stories, SETTINGS, 0, kept=Kept(path, {}), on_told=counts.append)
    assert 3 <= counts[0] < len(stories)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + len(stories) and all(json.loads(line) is not None for line in lines)


def test_two_evaluations_of_one_report_are_one_too_many(small_checkpoints, tiny_csv, tmp_path, capsys):
    arguments = ["evaluate", "--models", str(small_checkpoints / "small-seq2seq"), "--data", str(tiny_csv)]
    with only_one(tmp_path / "report.stories", "an evaluation"):
        assert main([*arguments, "--limit", "2", "--out", str(tmp_path / "report.json")]) == 2
    assert "an evaluation is under way" in capsys.readouterr().err
    assert not (tmp_path / "report.json").exists()


def test_votes_that_were_taken_outlast_the_process(root, tmp_path):
    votes, taken = Votes(tmp_path / "votes.sqlite"), []
    for luck in range(4):
        command = [sys.executable, "-c", VOTE, str(votes.path), str(luck)]
        voter = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)
        taken += [voter.stdout.readline().strip() for _ in range(5 + luck)]
        voter.kill()
        taken += voter.communicate()[0].split()
    found = [vote.ballot for vote in votes.all()]
    assert set(taken) <= set(found) and len(found) == len(set(found)) <= len(taken) + 4
    assert votes.add(Vote("after", "It rained.", "a", "b", 1, 2, "tie"))


@pytest.mark.parametrize("what", ["full", "read-only"])
def test_votes_on_a_disk_that_takes_none_are_refused_and_stay(mount, what):
    disk = mount()
    votes = Votes(disk / "votes.sqlite")
    cast = [Vote(str(number), "It rained." * 20, "a", "b", 1, 2, "first") for number in range(200)]
    assert votes.add(cast[0])
    if what == "full":
        (disk / "full").write_bytes(bytes(1_040_000 - 16_384))
    else:
        mount(disk, "ro")
    with pytest.raises(StoryLabError, match=r"the votes in votes.sqlite can't be kept: "):
        for vote in cast[1:]:
            votes.add(vote)
    kept = votes.all()
    assert kept == cast[: len(kept)] and kept
    if what == "full":
        (disk / "full").unlink()
        assert votes.add(Vote("after", "It rained.", "a", "b", 1, 2, "tie"))
