"""Files and folders are whole or not there, whatever ends the process that writes them, and whoever looks on."""

import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from storylab.errors import StoryLabError
from storylab.files import new_folder, only_one, put_all_back, put_back, storing, write_atomically, write_text

FILL = """
import sys
from pathlib import Path
from storylab.files import new_folder

def fill(target, content):
    with new_folder(Path(target)) as folder:
        for name in "ab":
            (folder / name).write_text(str(content))
"""
DIE = """
import os, signal
number, rename = int(sys.argv[2]), os.rename

def rename_or_die(*paths):
    global number
    number -= 1
    if number < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    rename(*paths)

os.rename = rename_or_die
fill(sys.argv[1], "new")
"""
REPLACE = """
for number in range(1_000_000):
    fill(sys.argv[1], number)
"""
WRITE = """
import sys
from pathlib import Path
from storylab.files import write_text

for number in range(1_000_000):
    write_text(Path(sys.argv[1]), str(number % 10) * 300_000)
"""
HOLD = """
import sys, time
from pathlib import Path
from storylab.files import only_one

with only_one(Path(sys.argv[1]), "a training"):
    print("here", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def start(root):
    """A function that starts Python with a text of ours in a process of its own."""
    started = []

    def run(code: str, *arguments) -> subprocess.Popen:
        command = [sys.executable, "-c", code, *map(str, arguments)]
        started.append(subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield run
    for child in started:
        child.kill()
        child.communicate()


def fill(target: Path, content: str) -> None:
    with new_folder(target) as folder:
        for name in "ab":
            (folder / name).write_text(content)


def content(target: Path) -> str:
    """What a whole folder holds."""
    assert {path.name for path in target.iterdir()} == {"a", "b"}
    (text,) = {path.read_text() for path in target.iterdir()}
    return text


def beside(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir() if path != target)


@pytest.mark.parametrize(("moves", "left"), [(0, "old"), (1, "old"), (2, "new"), (3, "new")])
def test_killed_before_any_move_one_of_the_two_folders_is_found_whole(start, tmp_path, moves, left):
    target = tmp_path / "gpt-2"
    fill(target, "old")
    child = start(FILL + DIE, target, moves)
    assert child.wait(60) == (-signal.SIGKILL if moves < 3 else 0)
    assert target.exists() == (moves != 1)
    put_all_back(tmp_path)
    assert content(target) == left
    fill(target, "newer")
    assert content(target) == "newer" and beside(target) == []


def test_killed_at_any_moment_the_folder_is_one_of_those_that_were_made(start, tmp_path):
    target, luck, seen = tmp_path / "x", random.Random(0), set()
    fill(target, "old")
    for _ in range(4):
        child = start(FILL + REPLACE, target)
        before = content(target)
        while target.exists() and content_or(target, before) == before:
            time.sleep(0.001)
        time.sleep(luck.random() * 0.02)
        child.kill()
        child.wait()
        put_back(target)
        seen.add(content(target))
    assert seen
    fill(target, "whole")
    assert beside(target) == []


def content_or(target: Path, otherwise: str) -> str:
    try:
        return (target / "a").read_text() or otherwise
    except OSError:
        return "moved"


def test_who_looks_and_puts_back_meanwhile_disturbs_nobody(tmp_path):
    target, done = tmp_path / "x", threading.Event()
    fill(target, "old")

    def look() -> None:
        while not done.is_set():
            put_all_back(tmp_path)

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for looker in lookers:
        looker.start()
    try:
        for number in range(60):
            fill(target, str(number))
            assert content(target) == str(number)
    finally:
        done.set()
        for looker in lookers:
            looker.join()
    assert beside(target) == []


def test_two_at_once_do_not_sweep_each_other_away(tmp_path):
    target = tmp_path / "x"
    with new_folder(target) as first:
        for name in "ab":
            (first / name).write_text("first")
        fill(target, "second")
        assert content(target) == "second"
    assert content(target) == "first" and beside(target) == []


def test_a_block_that_raises_changes_nothing(tmp_path):
    target = tmp_path / "x"
    fill(target, "old")
    with pytest.raises(ZeroDivisionError), new_folder(target) as folder:
        (folder / "a").write_text("half")
        raise ZeroDivisionError
    assert content(target) == "old" and beside(target) == []


def test_a_name_that_begins_another_sweeps_only_its_own(tmp_path):
    fill(tmp_path / "x-y", "other")
    with new_folder(tmp_path / "x-y") as folder:
        fill(tmp_path / "x", "mine")
        assert folder.is_dir()
        for name in "ab":
            (folder / name).write_text("newer")
    assert content(tmp_path / "x-y") == "newer"


def test_a_file_killed_half_written_does_not_show_and_is_swept(start, tmp_path):
    path = tmp_path / "state"
    for _ in range(4):
        child = start(WRITE, path)
        while not path.exists():
            time.sleep(0.001)
        time.sleep(0.05)
        child.kill()
        child.wait()
        text = path.read_text()
        assert text == text[0] * 300_000
        path.unlink()
    (tmp_path / ".state.0123abcd.part").write_text("hal")  # as a kill in the middle leaves it
    with only_one(tmp_path, "a test"):
        assert [file.name for file in tmp_path.iterdir()] == [".lock"]


def test_threads_that_write_one_file_at_once_write_it_whole(tmp_path):
    path, texts = tmp_path / "x", [str(number) * 100_000 for number in range(4)]
    threads = [threading.Thread(target=write_text, args=(path, text)) for text in texts for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in texts and beside(path) == []


def test_one_works_in_a_folder_until_it_is_killed(start, tmp_path):
    child = start(HOLD, tmp_path)
    assert child.stdout.readline() == "here\n"
    with (
        pytest.raises(StoryLabError, match=r"a training is under way in .*: wait for its end"),
        only_one(tmp_path, "a training"),
    ):
        pass
    child.kill()
    child.wait()
    again = only_one(tmp_path, "a training")  # another in this process is another too
    with only_one(tmp_path, "a training"), pytest.raises(StoryLabError, match="under way"), again:
        pass


def test_a_full_disk_is_one_sentence_and_what_was_there_stays(mount):
    disk = mount()
    write_text(disk / "report.json", "old")
    fill(disk / "model", "old")
    with pytest.raises(StoryLabError, match=r"report.json can't be written: No space left on device"):
        write_text(disk / "report.json", "x" * 2_000_000)
    with pytest.raises(StoryLabError, match=r"model can't be written: No space left on device"):
        fill(disk / "model", "x" * 2_000_000)
    assert (disk / "report.json").read_text() == content(disk / "model") == "old"
    assert sorted(path.name for path in disk.iterdir()) == ["model", "report.json"]


def test_a_read_only_disk_is_one_sentence(mount):
    disk = mount()
    fill(disk / "model", "old")
    (disk / "model").rename(disk / ".model.old")
    mount(disk, "ro")
    put_all_back(disk)  # can't, and says nothing
    for write in (
        lambda: write_text(disk / "x", "text"),
        lambda: fill(disk / "model", "new"),
        lambda: only_one(disk / "run", "a training").__enter__(),
    ):
        with pytest.raises(StoryLabError, match="can't be written: Read-only file system"):
            write()


def test_what_the_disk_has_no_part_in_is_not_told_as_its_fault(tmp_path):
    with pytest.raises(RuntimeError, match="odd"), storing(tmp_path):
        raise RuntimeError("odd")
    with pytest.raises(StoryLabError, match="can't be written: No space left on device"), storing(tmp_path):
        raise RuntimeError("I/O error: No space left on device (os error 28)")  # as safetensors says it


def test_a_write_that_fails_halfway_leaves_the_file_before(tmp_path):
    path = tmp_path / "new" / "file"
    write_atomically(path, lambda part: part.write_bytes(b"old"))

    def fail(part: Path) -> None:
        part.write_bytes(b"ha")
        raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        write_atomically(path, fail)
    assert path.read_bytes() == b"old" and beside(path) == []
