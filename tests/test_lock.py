"""The lock files, the requirements and the Dockerfile agree."""

import re
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from docs import lock
from storylab.errors import StoryLabError

HASH = re.compile(r" {4}--hash=sha256:[0-9a-f]{64}")


@pytest.fixture(scope="module", params=["requirements.lock", "requirements-cuda.lock"])
def locked(request, root) -> str:
    return (root / request.param).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def pins(root) -> dict[str, str]:
    lines = (root / "requirements.txt").read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(one.name): str(one.specifier).removeprefix("==") for one in found}


def test_every_requirement_is_locked_at_its_version(root, pins):
    found = dict(lock.entries((root / "requirements.lock").read_text(encoding="utf-8")))
    assert len(pins) > 20
    assert {(name, version) for name, version in pins.items()} <= set(found)


def test_what_the_requirements_lean_on_is_locked_too(root, pins):
    names = {name for name, _ in lock.entries((root / "requirements.lock").read_text(encoding="utf-8"))}
    for name in pins:
        for line in distribution(name).requires or []:
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                assert canonicalize_name(needed.name) in names or lock.CUDA.fullmatch(needed.name), (name, line)


def test_every_package_has_hashes_and_nothing_says_where_it_is_from(locked):
    found = lock.entries(locked)
    head = "".join(line for line in locked.splitlines(True) if line.startswith(("#", "-r")))
    assert head + "".join(found.values()) == locked
    for entry in found.values():
        first, *hashes = entry.rstrip("\n").split(" \\\n")
        assert hashes and all(HASH.fullmatch(line) for line in hashes), first
        Requirement(first)
    assert "://" not in locked


def test_the_libraries_of_cuda_are_in_a_file_of_their_own(root):
    plain, cuda = (
        (root / name).read_text(encoding="utf-8") for name in ("requirements.lock", "requirements-cuda.lock")
    )
    assert not [name for name, _ in lock.entries(plain) if lock.CUDA.fullmatch(name)]
    assert all(lock.CUDA.fullmatch(name) for name, _ in lock.entries(cuda))
    assert "\n-r requirements.lock\n" in cuda


def test_torch_has_the_hashes_of_both_builds(root, pins):
    entry = lock.entries((root / "requirements.lock").read_text(encoding="utf-8"))[("torch", pins["torch"])]
    ours = lock.cpu_builds(pins["torch"])
    assert len(ours) > 10
    assert all(f"--hash=sha256:{one}" in entry for one in ours)
    assert entry.count("--hash") > len(ours) + 10  # those of PyPI


def test_a_version_of_torch_whose_cpu_builds_nobody_listed_is_refused():
    with pytest.raises(StoryLabError, match=r"no CPU build of torch 99\.0"):
        lock.cpu_builds("99.0")


def test_the_file_is_what_the_resolver_gives_with_the_cpu_builds_beside(tmp_path, monkeypatch, root):
    kept = {name: (root / name).read_text(encoding="utf-8") for name in ("requirements.lock", "requirements-cuda.lock")}
    everything = lock.entries(kept["requirements.lock"]) | lock.entries(kept["requirements-cuda.lock"])
    resolved = "".join(everything[key] for key in sorted(everything))
    for digest in lock.cpu_builds("2.13.0"):
        resolved = resolved.replace(f" \\\n    --hash=sha256:{digest}", "")
    uv = tmp_path / "uv"
    (tmp_path / "resolved").write_text(resolved, encoding="utf-8")
    uv.write_text(f"#!/bin/sh\ncat '{tmp_path}/resolved'\n", encoding="utf-8")
    uv.chmod(0o755)
    monkeypatch.setattr(lock, "ROOT", tmp_path)
    lock.main(str(uv))
    assert {name: (tmp_path / name).read_text(encoding="utf-8") for name in kept} == kept


def test_the_dockerfile_passes_its_linter(root):
    linter = Path(sys.executable).with_name("hadolint")
    if not linter.exists():
        pytest.skip("hadolint is not installed")
    done = subprocess.run([linter, "--failure-threshold", "info", root / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_dockerfile_copies_what_is_there_and_is_let_through(root):
    text = (root / "Dockerfile").read_text(encoding="utf-8")
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    assert {"app.py", "storylab", "checkpoints", "requirements.lock"} <= names
    let_through = re.findall(r"^!(.+)$", (root / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    assert names == set(let_through)
    assert all((root / name).exists() for name in names)


def test_the_image_is_not_roots_and_takes_packages_by_their_hashes(root):
    text = (root / "Dockerfile").read_text(encoding="utf-8")
    assert "--require-hashes" in text and re.search(r"^USER [1-9]\d*$", text, re.MULTILINE)
    assert re.search(r"^FROM python:3\.11-slim-\S+$", text, re.MULTILINE)
    assert text.index("USER ") < text.index("HEALTHCHECK") < text.rindex("CMD")


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("task", ["lock", "audit", "space"])
def test_the_tasks_are_there(root, task):
    done = subprocess.run(["make", "--dry-run", task], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
