"""docs/scale.md: its tables follow from the record and the assumptions, and its commands are commands."""

import re
import shlex
import sqlite3
import uuid
from dataclasses import astuple
from types import SimpleNamespace

import pytest
from accelerate.commands.launch import launch_command_parser

from benchmarks import record
from benchmarks.record import DOCS
from docs import sizing
from docs.tables import generated
from storylab.cli import _parser as storylab_parser
from storylab.evaluation.votes import TABLE, Vote
from storylab.stories import read_stories
from storylab.tokenizers import encode, load_tokenizer
from storylab.training.cli import _parser as train_parser

PAGE = sizing.PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sizing.tables())
def test_the_page_shows_what_follows_from_the_record(name):
    # `make docs` writes it again.
    assert generated(PAGE, name) == sizing.tables()[name]


def test_twice_the_time_takes_twice_the_cores():
    rows = record.read(DOCS)
    figures = sizing.Figures(rows)
    assert figures.telling == pytest.approx(figures.four / 2)  # two cores, four tellings
    slow = SimpleNamespace(**vars(figures) | {"four": 2 * figures.four, "telling": 2 * figures.telling})
    for table in (sizing.public, sizing.classroom):
        once, twice = (int(re.search(r"\| (\d+), \d+ cores", table(f))[1]) for f in (figures, slow))
        assert once < twice <= 2 * once


def test_processes_have_room_to_spare():
    assert [sizing.processes(cores) for cores in (0.1, 1.4, 1.5, 14)] == [1, 1, 2, 10]


def test_a_telling_has_as_many_tokens_as_assumed(root):
    tokenizer = load_tokenizer(root / "train" / "vocabulary")
    told = [len(encode(tokenizer, story.continuation)) + 1 for story in read_stories(root / "train" / "tiny.csv")]
    assert sum(told) / len(told) == pytest.approx(sizing.TOKENS, abs=1)


def test_a_vote_takes_as_much_as_assumed(root, tmp_path):
    stories = read_stories(root / "train" / "tiny.csv")
    votes = [
        Vote(str(uuid.UUID(int=n * 7**40 % 2**128).hex), stories[n % 64].opening, "seq2seq", "gpt2-mini", n, n, "tie")
        for n in range(5_000)
    ]
    with sqlite3.connect(tmp_path / "votes.sqlite") as file:
        file.execute(TABLE)
        columns = "ballot, opening, first, second, first_seed, second_seed, better"
        file.executemany(f"INSERT INTO votes ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", map(astuple, votes))
    size = (tmp_path / "votes.sqlite").stat().st_size
    assert size / len(votes) == pytest.approx(sizing.VOTE_BYTES, rel=0.1)


def commands() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", "").splitlines()
    return [line for line in lines if line.startswith("accelerate")]


@pytest.mark.parametrize("command", commands())
def test_commands_are_understood_by_accelerate_and_by_us(command, root):
    launched = launch_command_parser().parse_args(shlex.split(command)[2:])
    assert launched.multi_gpu and launched.module and launched.num_processes % (launched.num_machines or 1) == 0
    if launched.training_script == "train":
        options = train_parser([]).parse_args(launched.training_script_args)
        assert (root / "train" / f"{options.name}.toml").is_file()
    else:
        assert launched.training_script == "storylab"
        assert storylab_parser().parse_args(launched.training_script_args).several
