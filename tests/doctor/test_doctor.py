"""The command `doctor`, as a shell runs it: where all is well, nothing is installed, or packages are broken."""

import json
import os
import subprocess
import sys
import venv

import pytest

from storylab.cli import main
from storylab.doctor import cli
from storylab.doctor.examination import _safely
from storylab.doctor.finding import FAULT, LEVELS, NOTE, Finding

COMMITTED = ("encoder", "seq2seq", "gpt2-mini", "gpt2-mini-finetuned")
NOWHERE = {f"{name}_proxy": "http://127.0.0.1:9" for name in ("http", "https", "HTTP", "HTTPS")}


def run(root, *arguments: str, python: str = sys.executable, **variables: str) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("STORYLAB_", "GRADIO_"))}
    command = [python, "-m", "storylab", "doctor", *arguments]
    ended = subprocess.run(
        command, cwd=root, env=environment | NOWHERE | variables, capture_output=True, text=True, timeout=200
    )
    assert ended.stderr == "" and "Traceback" not in ended.stdout
    return ended


def test_where_all_is_well_stories_can_be_told(root):
    ended = run(root)
    assert ended.returncode == 0 and "stories can be told here" in ended.stdout
    for name in COMMITTED:
        (line,) = [line for line in ended.stdout.splitlines() if line.split()[1:2] == [name]]
        assert line.startswith("ok ") and line.endswith("of weights, as published")
    assert not any(line.startswith("fault") for line in ended.stdout.splitlines())


def test_where_nothing_is_installed_it_says_what_to_do(root, tmp_path):
    venv.create(tmp_path / "bare", with_pip=False)
    ended = run(root, python=str(tmp_path / "bare" / "bin" / "python"), PYTHONPATH="")
    assert ended.returncode == 1 and len(ended.stdout) > 100
    assert "not installed, or damaged: " in ended.stdout and "torch" in ended.stdout
    assert "python -m pip install -r requirements.txt" in ended.stdout
    assert "torch can't be imported: ModuleNotFoundError" in ended.stdout


def test_packages_that_break_python_are_found_one_by_one(root, tmp_path):
    broken = {
        "numpy": "import os, signal; os.kill(os.getpid(), signal.SIGILL)",
        "safetensors": "print('hello'); raise SystemExit(0)",
        "tokenizers": "raise ImportError('libtokenizers.so: cannot\\nopen')",
        "onnxruntime": "def get_available_providers(): return []",
    }
    for name, code in broken.items():
        (tmp_path / f"{name}.py").write_text(code)
    ended = run(root, "--json", PYTHONPATH=str(tmp_path))
    report = json.loads(ended.stdout)
    assert ended.returncode == 1 and report["well"] is False
    said = {check["text"]: check for check in report["checks"] if check["name"] == "imports"}
    first, second, _ = said
    for start, found in zip(("numpy", "safetensors", "tokenizers"), said, strict=True):
        assert found.startswith(f"{start} can't be imported: ") and "\n" not in found
        assert said[found]["level"] == FAULT and f" {start}==" in said[found]["advice"]
    assert "SIGILL (the processor lacks instructions" in first and "SystemExit" in second
    assert all(check["level"] in LEVELS for check in report["checks"])


def test_a_reader_that_has_gone_is_no_error(root, tmp_path):
    venv.create(tmp_path / "bare", with_pip=False)
    command = f"'{tmp_path}/bare/bin/python' -m storylab doctor | head -c 1"
    ended = subprocess.run(["bash", "-c", command], cwd=root, capture_output=True, text=True, timeout=200)
    assert (ended.stdout, ended.stderr) == ("o", "")


def test_the_command_line_has_it_too(monkeypatch, capsys):
    found = [Finding("one", NOTE, "is so"), Finding("two", FAULT, "is not", "mend it")]
    asked = []
    monkeypatch.setattr(cli, "examine", lambda *options: asked.append(options) or found)
    assert main(["doctor", "--network"]) == 1 and asked == [(True, False)]
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split() == ["note", "one", "is", "so"] and printed[2].split() == ["->", "mend", "it"]
    assert printed[-1].startswith("1 in the way of telling; 1 worth knowing")
    found.pop()
    assert main(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["checks"] == [found[0].to_dict()]


def test_a_look_that_breaks_is_a_finding_and_hinders_nothing():
    (finding,) = _safely("dice", lambda: 1 / 0)
    assert (finding.name, finding.level) == ("dice", NOTE) and "ZeroDivisionError" in finding.text


def test_nothing_of_the_packages_is_imported_for_it(root):
    code = "import sys, storylab.doctor.cli; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=60)
    names = {name.split(".")[0] for name in ended.stdout.split() if not name.startswith("_")}
    outside = {name for name in names - set(sys.stdlib_module_names) if "distutils" not in name and "site" not in name}
    assert outside == {"storylab"}


@pytest.mark.parametrize("name", ["Settings", "StoryLabError", "Telling", "load"])
def test_what_the_package_offers_is_there_all_the_same(name):
    import storylab

    assert name in storylab.__all__ and getattr(storylab, name).__name__ == name
    with pytest.raises(AttributeError):
        storylab.nothing_of_that_name  # noqa: B018 - the look is what raises
