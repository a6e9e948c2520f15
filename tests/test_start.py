"""The page where it is deployed: started without a network, and as a Space starts it."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from docs.lock import entries

PYTHON = os.environ.get("STORYLAB_PYTHON") or sys.executable
"""What runs the page; `make space` names one that has requirements.txt alone."""
READY = ("encoder", "seq2seq", "gpt2-mini", "gpt2-mini-finetuned")
OPENING = "My dog ran away."
WATCH = Path(__file__).parent / "watch"
SPACE = {
    "SYSTEM": "spaces",
    "SPACE_ID": "someone/storylab",
    "SPACE_HOST": "someone-storylab.hf.space",
    "SPACE_AUTHOR_NAME": "someone",
    "SPACE_REPO_NAME": "storylab",
    "SPACE_TITLE": "StoryLab",
    "CPU_CORES": "2",
    "MEMORY": "16Gi",
    "GRADIO_SERVER_NAME": "0.0.0.0",
}
"""What a Space sets; its port, 7860, is left to whoever is free here (docs/hub/spaces-overview of the Hub)."""
MEMORY = 16 * 2**30


@pytest.fixture
def checkout(tmp_path, root) -> Path:
    """What is pushed to a Space, as far as the page needs it, read-only."""
    folder = tmp_path / "checkout"
    for name in ("storylab", "docs", "train"):
        shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "images"))
    for name in READY:
        shutil.copytree(root / "checkpoints" / name, folder / "checkpoints" / name)
    shutil.copy(root / "app.py", folder)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield folder
    for path in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        path.chmod(stat.S_IRWXU)


def works(*words: str) -> list[str]:
    """Words to put before a command, where they do what they say on this machine; none where they don't."""
    if shutil.which(words[0]) is None:
        return []
    return list(words) if subprocess.run([*words, "true"], capture_output=True).returncode == 0 else []


def visit(folder: Path, home: Path, prefix: list[str], command: list[str], settings: dict[str, str]) -> dict:
    """What `visit.py` finds on a page, in an environment that nobody has tidied up for it."""
    notes = home.parent / "left.txt"
    environment = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
    environment |= {"HOME": str(home), "TMPDIR": str(home.parent / "tmp"), "PYTHONPATH": str(WATCH)}
    environment |= {"WATCH_NOTES": str(notes), "WATCH_REFUSE": "1", "OMP_NUM_THREADS": "1"} | settings
    Path(environment["TMPDIR"]).mkdir()
    words = [*prefix, sys.executable, str(WATCH / "visit.py"), *command, "--", OPENING, *READY]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert not notes.exists(), notes.read_text()
    return json.loads(done.stdout)


def whole_stories(found: dict) -> None:
    assert found["title"]
    assert list(found["told"]) == list(READY)
    for name, telling in found["told"].items():
        assert telling["model"] == name and telling["seed"] == 1 and telling["opening"] == OPENING
        assert telling["tokens"] >= 10 and telling["story"]


def test_the_start_command_of_the_readme_needs_no_network(tmp_path, root):
    readme = (root / "README.md").read_text(encoding="utf-8")
    (start,) = re.findall(r"requirements\.txt && \.venv/bin/python (.*)$", readme, re.MULTILINE)
    home = tmp_path / "home"
    home.mkdir()
    alone = works("unshare", "--net") or works("unshare", "--net", "--map-root-user")
    settings = {"STORYLAB_VOTES": str(tmp_path / "votes.sqlite"), "HF_HOME": str(home / "hub")}
    found = visit(root, home, alone, [PYTHON, *start.split()], settings)
    whole_stories(found)


def test_as_a_space_starts_it(tmp_path, checkout):
    home, data = tmp_path / "home", tmp_path / "data"
    home.mkdir(mode=0o555)
    data.mkdir()
    limits = works("taskset", "--cpu-list", "0,1") + works("prlimit", f"--as={MEMORY}")
    # Even root is refused, as the user of a Space is: what is read-only is so for all that have no capabilities.
    user = works("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else []
    settings = SPACE | {"STORYLAB_VOTES": str(data / "votes.sqlite"), "WATCH_HIDE": ",".join(not_required())}
    before = {path: path.stat().st_mtime_ns for path in checkout.rglob("*")}
    found = visit(checkout, home, limits + user, [PYTHON, "app.py"], settings)
    whole_stories(found)
    assert found["peak"] < MEMORY / 8
    assert found["cores"] <= 2 or not works("taskset", "--cpu-list", "0,1")
    assert {path: path.stat().st_mtime_ns for path in checkout.rglob("*")} == before
    assert list(home.iterdir()) == []


def not_required() -> list[str]:
    """Modules that are installed here, but not by requirements.txt: those of the tests and the linter."""
    root = Path(__file__).parent.parent
    locked = {name for name, _ in entries((root / "requirements.lock").read_text(encoding="utf-8"))}
    normal = lambda name: re.sub(r"[-_.]+", "-", name).lower()  # noqa: E731
    owners = packages_distributions().items()
    found = [module for module, owner in owners if not locked & {normal(name) for name in owner}]
    hidden = [module for module in found if module.isidentifier() and module not in ("pip", "sitecustomize")]
    assert {"pytest", "playwright", "hypothesis"} <= set(hidden)
    return hidden
