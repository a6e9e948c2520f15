"""Tellings as files, and tellings that come back from a browser."""

import csv
import io
import json

import pytest

from storylab.errors import StoryLabError
from storylab.storytellers import Telling, load
from storylab.storytellers.exports import COLUMNS, to_csv, to_json, to_markdown


@pytest.fixture(scope="module")
def tellings() -> list[Telling]:
    return [load("seq2seq").tell('"Run," he *said*, <b>loudly</b>.', seed=seed) for seed in (1, 2)]


def test_json_is_what_the_command_prints(tellings):
    assert json.loads(to_json(tellings)) == [telling.to_dict() for telling in tellings]


def test_csv_has_a_row_a_telling_and_loses_no_character(tellings):
    rows = list(csv.DictReader(io.StringIO(to_csv(tellings))))
    assert list(rows[0]) == list(COLUMNS)
    assert [(row["opening"], row["text"], int(row["seed"])) for row in rows] == [
        (telling.opening, telling.text, telling.seed) for telling in tellings
    ]
    assert json.loads(rows[0]["settings"]) == tellings[0].settings


def test_a_text_is_no_formula_of_a_spreadsheet(tellings):
    link = Telling.from_dict(tellings[0].to_dict() | {"opening": '=HYPERLINK("http://x")'})
    (row,) = csv.DictReader(io.StringIO(to_csv([link])))
    assert row["opening"] == "'" + link.opening


def test_markdown_shows_what_was_written_as_it_was_written(tellings):
    page = to_markdown(tellings)
    assert page.count("## seq2seq") == 2
    assert "\\*said\\*" in page and "<b>" not in page.replace("\\<b\\>", "")


def test_a_telling_comes_back_as_it_was_and_nothing_else_does(tellings):
    data = tellings[0].to_dict()
    assert Telling.from_dict(json.loads(json.dumps(data))) == tellings[0]
    for wrong in (None, [], {}, data | {"seed": "one"}, data | {"story": "one text"}, data | {"more": 1}):
        with pytest.raises(StoryLabError, match="that is no telling"):
            Telling.from_dict(wrong)
