"""docs/api.md: its examples run as they stand, against the page, and print what it says; its reference is in step."""

import contextlib
import io
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from docs import endpoints
from storylab import load
from storylab.inspection.branch import branch, token_named
from storylab.markdown import put

ADDRESS = "http://127.0.0.1:7860"
TEXT = endpoints.PAGE.read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```(python|sh|js)\n(.*?)^```\n\n```text\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
RUNS = {"sh": ("bash", "-euo", "pipefail", "-c"), "js": ("node", "-e")}


@pytest.fixture(scope="module")
def here() -> dict[str, str]:
    """The texts that docs/api.md shows, each with the one that is told on this machine: processors round unlike."""
    opening = "David noticed he had put on a lot of weight recently."
    told = load("seq2seq").tell(opening, {"temperature": 0.7}, seed=1).text
    opening, text = "Tom wanted to bake a cake for his mother.", "He bought flour and eggs. Then the oven exploded."
    mini = load("gpt2-mini-finetuned")
    new = branch(mini, opening, text, 1, token_named(mini, " made"), seed=1).new
    return {EXAMPLES[0][2].splitlines()[-2]: told, EXAMPLES[2][2].splitlines()[-2].split(" |")[1]: new}


def test_every_block_that_can_run_is_an_example():
    blocks = re.findall(r"^```(?:python|sh|js)$", TEXT, re.MULTILINE)
    assert len(EXAMPLES) == len(blocks) >= 7
    assert all(ADDRESS in code or "from storylab import load" in code for _, code, _ in EXAMPLES)


@pytest.mark.parametrize(
    ("language", "code", "shown"),
    EXAMPLES,
    ids=[f"{number}-{example[0]}" for number, example in enumerate(EXAMPLES, 1)],
)
def test_an_example_prints_what_stands_under_it(server, here, language, code, shown):
    code = code.replace(ADDRESS, server.url.rstrip("/"))
    for there, ours in here.items():
        shown = shown.replace(there, ours)
    assert printed(language, code).strip() == shown.strip()


def printed(language: str, code: str) -> str:
    if language == "python":
        output, program = io.StringIO(), compile(code, "docs/api.md", "exec")
        # In a thread of its own: in this one Playwright's loop may be running.
        with contextlib.redirect_stdout(output), ThreadPoolExecutor(1) as aside:
            aside.submit(exec, program, {"__name__": "__main__"}).result()
        return output.getvalue()
    program, *options = RUNS[language]
    if not shutil.which(program):
        pytest.skip(f"no {program} is installed")
    ran = subprocess.run([program, *options, code], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_reference_is_what_the_functions_say():
    # `make docs` writes it again.
    assert put(TEXT, "endpoints", endpoints.endpoints()) == TEXT
