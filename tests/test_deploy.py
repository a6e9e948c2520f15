"""docs/deploy.md and SECURITY.md, held against what they are about."""

import itertools
import re
import shlex
import subprocess

import pytest

MOST_PUSHED = 200_000_000
"""Bytes that a Space has to fetch before it builds."""


@pytest.fixture(scope="module")
def guide(root) -> str:
    return (root / "docs" / "deploy.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def commands(guide) -> list[list[str]]:
    lines = "".join(re.findall(r"^```sh\n(.*?)^```$", guide, re.DOTALL | re.MULTILINE)).splitlines()
    return [shlex.split(part) for line in lines for part in line.split(" && ")]


def test_hf_knows_the_commands_and_their_options(commands, monkeypatch, capsys):
    from huggingface_hub.cli.hf import app

    monkeypatch.setenv("COLUMNS", "200")
    called = [words for words in commands if words[0] == "hf"]
    assert {words[1] for words in called} == {"repos", "upload", "spaces", "buckets"}
    used = {}
    for words in called:
        named = tuple(word for word in words[1:4] if re.fullmatch("[a-z]+", word))
        used.setdefault(named, set()).update(word for word in words if word.startswith("-"))
    for named, options in used.items():
        app.main([*named, "--help"], prog_name="hf", standalone_mode=False)
        told = capsys.readouterr().out
        assert f"Usage: hf {' '.join(named)} " in told
        assert not [option for option in options if not re.search(rf"(?<![\w-]){option}(?![\w-])", told)]


def test_the_hardware_that_it_names_is_there(commands):
    from huggingface_hub import SpaceHardware

    words = [word for command in commands if command[0] == "hf" for word in itertools.pairwise(command)]
    named = {value for option, value in words if option in ("--flavor", "--hardware")}
    assert named == {"cpu-basic", "cpu-upgrade"}
    assert named | {"zero-a10g"} <= {one.value for one in SpaceHardware}


def test_every_setting_that_the_program_reads_is_listed(root, guide):
    files = [root / "app.py", *(root / "storylab").rglob("*.py"), root / "Dockerfile"]
    read = {name for path in files for name in re.findall(r"\bSTORYLAB_[A-Z_]+\b", path.read_text(encoding="utf-8"))}
    listed = set(re.findall(r"^\| `([A-Z_]+)` \|", guide, re.MULTILINE))
    assert len(read) >= 4
    assert read <= listed


def test_what_is_pushed_is_small_enough(root):
    if not (root / ".git").exists():
        pytest.skip("not a clone")
    names = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True).stdout
    sizes = [(root / name).stat().st_size for name in names.split("\0") if name and (root / name).exists()]
    assert sum(sizes) < MOST_PUSHED


def test_each_promise_names_tests_that_are_there(root):
    text = (root / "SECURITY.md").read_text(encoding="utf-8")
    rows = [row.split("|")[1:-1] for row in text.splitlines() if row.startswith("| ")][2:]
    assert len(rows) >= 8
    for promise, _, tested in rows:
        named = re.findall(r"`(tests/[^`]*)`", tested)
        assert named, promise
        assert all((root / name).exists() for name in named), promise
    assert all((root / name).exists() for name in re.findall(r"`(storylab/[^`]*)`", text))
