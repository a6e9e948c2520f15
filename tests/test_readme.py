"""The README's commands, header and claims, held against the files that they are about."""

import os
import re
import subprocess
import tomllib

import pytest
import yaml

from docs import tables
from storylab.markdown import put

PINNED = re.compile(r"(?P<name>[A-Za-z0-9_.-]+)(\[[a-z,]+\])?==(?P<version>[0-9][0-9A-Za-z.]*)")


@pytest.fixture(scope="module")
def readme(root) -> str:
    return (root / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def header(readme) -> dict:
    return yaml.safe_load(readme.split("---\n")[1])


def requirements(path) -> list[str]:
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def pins(path) -> dict[str, str]:
    found = map(PINNED.fullmatch, requirements(path))
    return {pin["name"]: pin["version"] for pin in found if pin}


def test_two_commands_start_the_page_and_run_the_tests(readme):
    blocks = re.findall(r"^```sh\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)
    environment = "python3 -m venv .venv && .venv/bin/pip install -r"
    assert blocks[:2] == [
        f"{environment} requirements.txt && .venv/bin/python app.py\n",
        f"{environment} requirements-dev.txt && .venv/bin/python -m pytest\n",
    ]


def test_ci_runs_the_test_command_of_the_readme(root, readme):
    script = root / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)
    # The script looks the command up in the README, by this pattern, instead of repeating it.
    pattern = re.search(r"grep -e '(.*)' README\.md", script.read_text(encoding="utf-8"))[1]
    found = [line for line in readme.splitlines() if re.search(pattern, line)]
    assert len(found) == 1
    assert found[0].endswith(" && .venv/bin/python -m pytest")


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_has_an_exact_version(root, name):
    loose = [line for line in requirements(root / name) if not PINNED.fullmatch(line)]
    assert loose == (["-r requirements.txt"] if name == "requirements-dev.txt" else [])


def test_spaces_header_agrees_with_the_project(root, header):
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert header["sdk"] == "gradio"
    assert header["sdk_version"] == pins(root / "requirements.txt")["gradio"]
    assert project["requires-python"] == f">={header['python_version']}"
    assert header["license"] == project["license"].lower()
    assert (root / header["app_file"]).is_file()


def test_spaces_header_keeps_to_the_rules_of_spaces(header):
    # Source: huggingface.co/docs/hub/spaces-config-reference; short descriptions have 60 characters at most.
    colours = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
    assert {header["colorFrom"], header["colorTo"]} <= colours
    assert len(header["short_description"]) <= 60
    assert all(isinstance(header[key], str) for key in ("title", "emoji", "sdk_version", "python_version"))


def test_files_that_the_readme_names_exist(root, readme):
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", readme) if "://" not in link]
    house = re.search(r"^```\n(app\.py .*?)^```$", readme, re.DOTALL | re.MULTILINE)[1]
    parent, named = "", []
    for indent, path in re.findall(r"^( *)(\S+)", house, re.MULTILINE):
        named.append(parent + path if indent else path)
        parent = parent if indent else path
    assert "storylab/stories.py" in named
    assert [path for path in links + named if not (root / path).exists()] == []


def test_no_file_of_the_package_is_longer_than_the_readme_says(root, readme):
    limit = int(re.search(r"no python file of the package is longer than (\d+) lines", readme.lower())[1])
    lengths = {
        str(path.relative_to(root)): len(path.read_text(encoding="utf-8").splitlines())
        for path in (root / "storylab").rglob("*.py")
    }
    assert {path: length for path, length in lengths.items() if length > limit} == {}


def test_table_of_storytellers_is_what_the_program_writes(readme):
    # `make docs` writes it again.
    assert put(readme, "storytellers", tables.storytellers()) == readme
