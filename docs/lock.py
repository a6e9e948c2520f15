"""`python -m docs.lock UV`: every package that requirements.txt brings along, with its version and hashes.

Two files come of it. `requirements.lock` holds what each machine needs, `requirements-cuda.lock` besides the
libraries that the `torch` of PyPI wants on Linux. The CPU builds of the same version, whose hashes stand beside those
of PyPI, want none of them.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from storylab.errors import StoryLabError
from storylab.files import write_text

ROOT = Path(__file__).resolve().parent.parent
CPU_BUILDS = Path(__file__).with_name("torch-cpu.sha256")
"""Hashes and names of torch's CPU builds, as its makers' index lists them (download.pytorch.org/whl/cpu/torch)."""
ENTRY = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>[^\s;\\]+)(?: ; (?P<marker>[^\\\n]+?))?(?= \\\n)", re.MULTILINE)
"""The head of a locked package; its hashes follow in lines of their own."""
CUDA = re.compile(r"nvidia-.*|cuda-.*|triton")
HEAD = "# Every package with its version and the hashes of all its files; `make lock` writes it again.\n"


def entries(text: str) -> dict[tuple[str, str], str]:
    """A lock file's packages: name and version to the lines that are about it."""
    heads = list(ENTRY.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    return {(head["name"], head["version"]): text[head.start() : end] for head, end in zip(heads, ends, strict=True)}


def with_hashes(entry: str, more: Iterable[str]) -> str:
    """A package's lines with more hashes, SHA-256 in hexadecimal digits."""
    head, *lines = entry.rstrip("\n").split(" \\\n")
    hashes = {line.strip() for line in lines} | {f"--hash=sha256:{one}" for one in more}
    return " \\\n".join([head, *(f"    {one}" for one in sorted(hashes))]) + "\n"


def cpu_builds(version: str) -> list[str]:
    """The hashes of the CPU builds of a version of torch.

    Raises:
        StoryLabError: None is known.
    """
    rows = [line.split() for line in CPU_BUILDS.read_text(encoding="utf-8").splitlines()]
    found = [digest for digest, name in rows if name.startswith(f"torch-{version}+cpu-")]
    if not found:
        raise StoryLabError(f"{CPU_BUILDS.name} has no CPU build of torch {version}: put its hashes there")
    return found


def main(uv: str) -> None:
    """Resolve requirements.txt with `uv`, for every platform, and write both files."""
    command = [uv, "pip", "compile", "--universal", "--python-version", "3.11", "--generate-hashes"]
    command += ["--no-header", "--no-annotate", "--quiet", "requirements.txt"]
    found = entries(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
    (torch,) = [key for key in found if key[0] == "torch"]
    found[torch] = with_hashes(found[torch], cpu_builds(torch[1]))
    cuda = {key: found.pop(key) for key in list(found) if CUDA.fullmatch(key[0])}
    write_text(ROOT / "requirements.lock", HEAD + "".join(found.values()))
    write_text(ROOT / "requirements-cuda.lock", HEAD + "-r requirements.lock\n" + "".join(cuda.values()))


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except StoryLabError as error:
        sys.exit(str(error))
