"""`python -m storylab models | tell | score`: shapes, errors, encodings."""

import io
import json
import os
import subprocess
import sys

import pytest

from storylab import __version__
from storylab.cli import main
from storylab.decoding import OPTIONS, PRESETS
from storylab.storytellers import describe

OPENING = "Nora found an old blue kite behind her grandmother's couch."
TELLING = [
    "model", "opening", "story", "text", "finished", "ended_by", "seed", "settings", "tokens", "seconds",
    "seconds_to_first_token", "tokens_per_second", "pathologies",
]  # fmt: skip


@pytest.fixture
def model(small_checkpoints) -> str:
    return str(small_checkpoints / "small-seq2seq")


def run(*arguments: str) -> int:
    """Run a command in this process; argparse ends by an exception."""
    try:
        return main(arguments)
    except SystemExit as ended:
        return ended.code


def told(capsys, *arguments: str) -> dict:
    assert run("tell", *arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys, *arguments: str) -> str:
    """The last line on stderr; before it there is a usage at most, on stdout nothing."""
    assert run(*arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and "Traceback" not in printed.err
    *usage, line = printed.err.rstrip("\n").split("\n")
    assert not usage or usage[0].startswith("usage: ")
    assert line.startswith("storylab")
    return line


def in_a_shell(root, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "storylab", *arguments],
        cwd=root,
        env=os.environ | environment,
        capture_output=True,
        timeout=120,
    )


def test_models_as_json_is_what_describe_says(capsys):
    assert run("models", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows == describe()
    assert {row["state"] for row in rows} <= {"ready", "downloadable", "untrained", "broken", "unreachable"}
    assert all(row["reason"] for row in rows if row["state"] != "ready")


def test_models_for_people_names_each_and_why_it_is_not_ready(capsys):
    assert run("models") == 0
    printed = capsys.readouterr().out
    for row in describe():
        assert row["name"] in printed and row["state"] in printed and row["title"] in printed
        assert row["reason"] in printed


def test_tell_as_json_has_the_contracts_keys(capsys, model, small_seq2seq):
    found = told(capsys, OPENING, "--model", model, "--seed", "5")
    assert list(found) == TELLING
    assert found["settings"] == PRESETS["default"].to_dict()
    assert (found["model"], found["opening"], found["seed"]) == ("small-seq2seq", OPENING, 5)
    assert found["text"] == small_seq2seq.tell(OPENING, seed=5).text


def test_every_option_reaches_the_settings(capsys, model):
    values = {
        "strategy": "sample", "temperature": 0.7, "top_k": 40, "top_p": 0.8, "min_p": 0.02, "typical_p": 0.95,
        "num_beams": 3, "repetition_penalty": 1.1, "no_repeat_ngram_size": 3, "sentences": 2, "max_new_tokens": 9,
    }  # fmt: skip
    assert set(values) == set(OPTIONS)
    options = [word for name, value in values.items() for word in ("--" + name.replace("_", "-"), str(value))]
    assert told(capsys, OPENING, "--model", model, *options)["settings"] == values


def test_a_preset_is_where_the_options_start(capsys, model):
    found = told(capsys, OPENING, "--model", model, "--preset", "careful", "--top-k", "7", "--max-new-tokens", "5")
    assert found["settings"] == PRESETS["careful"].to_dict() | {"top_k": 7, "max_new_tokens": 5}


def test_a_seed_left_out_is_drawn_and_reported(capsys, model):
    arguments = [OPENING, "--model", model, "--temperature", "2", "--max-new-tokens", "10"]
    drawn = told(capsys, *arguments)
    assert told(capsys, *arguments, "--seed", str(drawn["seed"]))["text"] == drawn["text"]


def test_openings_of_a_file_are_told_one_by_one(capsys, model, tmp_path):
    path = tmp_path / "openings.txt"
    path.write_bytes("\ufeffIt rained.\n\n  Nora ran.  \r\nIt rained.\n".encode())
    found = told(capsys, "--openings", str(path), "--model", model, "--seed", "3", "--temperature", "3")
    assert [telling["opening"] for telling in found] == ["It rained.", "Nora ran.", "It rained."]
    assert len({telling["seed"] for telling in found}) == 3 and found[0]["seed"] == 3
    assert found[0]["text"] != found[2]["text"]
    for telling in found:  # each can be told again by itself
        again = told(capsys, telling["opening"], "--model", model, "--seed", str(telling["seed"]), "--temperature", "3")
        assert again["text"] == telling["text"]


def test_one_opening_in_a_file_is_a_list_of_one(capsys, model, tmp_path):
    path = tmp_path / "one.txt"
    path.write_text("It rained.\n", encoding="utf-8")
    assert len(told(capsys, "--openings", str(path), "--model", model, "--max-new-tokens", "2")) == 1


def test_tell_for_people_shows_story_seed_and_end(capsys, model):
    assert run("tell", OPENING, "--model", model, "--strategy", "greedy", "--seed", "8") == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"{OPENING} She carried it up the windy hill after lunch. ")
    assert "seed 8" in printed and "ended by end" in printed


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["tell", OPENING, "--model", "nobody"], "nobody"),
        (["tell", OPENING, "--model", "../../etc/passwd"], "passwd"),
        (["tell", OPENING, "--model", "a/" + "x" * 5000], "there is no storyteller"),
        (["tell", OPENING, "--model", ""], "name"),
        (["tell", OPENING], "--model"),
        (["tell", "--model", "MODEL"], "opening"),
        (["tell", OPENING, "--openings", "x.txt", "--model", "MODEL"], "opening"),
        (["tell", "", "--model", "MODEL"], "opening"),
        (["tell", "x" * 301, "--model", "MODEL"], "301"),
        (["tell", "a\x07", "--model", "MODEL"], "U+0007"),
        (["tell", "a\udc80", "--model", "MODEL"], "U+DC80"),
        (["tell", "一" * 300, "--model", "MODEL"], "opening"),
        (["tell", OPENING, "--model", "MODEL", "--seed", "-1"], "seed"),
        (["tell", OPENING, "--model", "MODEL", "--seed", str(2**32)], "seed"),
        (["tell", OPENING, "--model", "MODEL", "--seed", "one"], "--seed"),
        (["tell", OPENING, "--model", "MODEL", "--temperature", "0"], "temperature"),
        (["tell", OPENING, "--model", "MODEL", "--temperature", "nan"], "temperature"),
        (["tell", OPENING, "--model", "MODEL", "--temperature", "hot"], "--temperature"),
        (["tell", OPENING, "--model", "MODEL", "--num-beams", "0"], "num_beams"),
        (["tell", OPENING, "--model", "MODEL", "--strategy", "guess"], "--strategy"),
        (["tell", OPENING, "--model", "MODEL", "--preset", "best"], "--preset"),
        (["tell", OPENING, "--model", "MODEL", "--device", "cuda:9"], "loaded"),
        (["tell", OPENING, "--model", "MODEL", "--dtype", "int3"], "--dtype"),
        (["tell", "--openings", "gone.txt", "--model", "MODEL"], "gone.txt"),
        (["tell", "--openings", "/", "--model", "MODEL"], "/"),
        (["tell", "--openings", "a\0b", "--model", "MODEL"], "can't be read"),
        (["score", "--model", "MODEL"], "--data"),
        (["score", "--model", "MODEL", "--data", "gone.csv"], "gone.csv"),
        (["score", "--model", "nobody", "--data", "train/tiny.csv"], "nobody"),
        (["sing"], "sing"),
        ([], "COMMAND"),
    ],
    ids=lambda value: None if isinstance(value, str) else repr(value)[:40],
)
def test_what_a_person_can_mend_is_said_in_one_line(capsys, model, arguments, named):
    line = refused(capsys, *[model if word == "MODEL" else word for word in arguments])
    assert named in line and len(line) < 500


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xff\xfe\x00", b"It rained.\n" + b"x" * 301])
def test_a_bad_file_of_openings_is_refused_before_anything_is_told(capsys, model, tmp_path, content):
    path = tmp_path / "openings.txt"
    path.write_bytes(content)
    refused(capsys, "tell", "--openings", str(path), "--model", model)


@pytest.mark.parametrize("command", [[], ["models"], ["tell"], ["score"]])
def test_help_is_there(capsys, command):
    assert run(*command, "--help") == 0
    printed = capsys.readouterr().out
    assert printed.startswith("usage: storylab")
    if command == ["tell"]:
        for name in OPTIONS:
            assert "--" + name.replace("_", "-") in printed


def test_version(capsys):
    assert run("--version") == 0
    assert capsys.readouterr().out == f"storylab {__version__}\n"


def test_a_reader_that_has_gone_is_no_error(model, root):
    command = f"'{sys.executable}' -m storylab models | head -c 1"
    ended = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], cwd=root, capture_output=True, timeout=120)
    assert ended.stderr == b""


@pytest.mark.parametrize("arguments", [["--json"], []])
def test_a_terminal_without_utf_8_gets_the_story_all_the_same(monkeypatch, model, arguments):
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    opening = "Él saw a 🙂 one-eyed crow’s nest"
    assert run("tell", opening, "--model", model, "--seed", "4", *arguments) == 0
    terminal.flush()
    printed = terminal.buffer.getvalue()
    if arguments:
        assert json.loads(printed)["opening"] == opening  # JSON has escapes for what ASCII lacks
    else:
        assert printed.startswith(b"?l saw a ? one-eyed crow?s nest ") and b"seed 4" in printed


def test_an_error_in_a_shell_is_one_line_on_stderr(root):
    ended = in_a_shell(root, "tell", "It rained.", "--model", "nobody 🙂", PYTHONIOENCODING="ascii")
    assert ended.returncode == 2 and ended.stdout == b""
    assert ended.stderr.startswith(b"storylab: there is no storyteller ") and ended.stderr.count(b"\n") == 1
