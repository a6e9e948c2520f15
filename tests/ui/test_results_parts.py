"""The Results tab without a browser: tables and charts show the record, a file is evaluated, votes count."""

import json
import re
import shutil
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest

from storylab.evaluation.report import HEADINGS, number, ranking
from storylab.evaluation.results import read_record
from storylab.evaluation.votes import Votes
from storylab.limits import limits
from storylab.ui import charts, panels
from storylab.ui.address import Address
from storylab.ui.own_stories import OwnStories
from storylab.ui.results import COLUMNS, ResultsTab
from storylab.ui.texts import Labels, Say
from storylab.ui.visits import Visits
from storylab.ui.vote import BlindVote

text = Say()
NASTY = "<img src=x onerror=alert(1)> & ${value} `x`"
ME = SimpleNamespace(session_hash="me", headers={}, query_params={})


@pytest.fixture(scope="module")
def record() -> dict:
    return read_record()


@pytest.fixture(scope="module")
def tab(tmp_path_factory) -> ResultsTab:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORYLAB_VOTES", str(tmp_path_factory.mktemp("votes") / "votes.sqlite"))
        with gr.Blocks(), gr.Tab("results") as place:
            return ResultsTab(place, Labels(), Visits(), Address())


def cells(html: str) -> list[list[str]]:
    """The rows of the cells of a table."""
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall("<tr>(.*?)</tr>", html)]


# Panels


def test_nothing_that_somebody_wrote_is_markup():
    shown = [
        panels.section(NASTY, NASTY),
        panels.table([NASTY, "b"], [[NASTY, NASTY]]),
        panels.progress(NASTY, 1, 2),
        panels.samples(NASTY, [NASTY]),
        panels.pair(NASTY, [NASTY], [NASTY], [NASTY, NASTY], "first"),
        panels.quiet(NASTY),
    ]
    assert not any("<img" in html for html in shown)
    assert all("&lt;img" in html for html in shown)


def test_a_pair_marks_the_one_that_was_picked_and_names_nobody_before():
    blind = panels.pair("It rained.", ["She ran."], ["He hid."], ["left", "right"])
    assert "<h3>left</h3>" in blind and "picked" not in blind
    left, right = panels.pair("It rained.", ["She ran."], ["He hid."], ["A", "B"], "second").split("</section>")[:2]
    assert "picked" not in left and "picked" in right and "<h3>B</h3>" in right


# The record


def test_the_leaderboard_holds_numbers_of_the_record_in_its_order(tab, record):
    rows = tab.leaderboard.value["data"]
    assert [row[0] for row in rows] == [record["columns"][name]["title"] for name in ranking(record)]
    for row, name in zip(rows, ranking(record), strict=True):
        for value, key in zip(row[1:], COLUMNS, strict=True):
            expected = record["models"][name].get(key, {}).get("value")
            assert value == (None if expected is None else pytest.approx(expected, abs=6e-4))


@pytest.mark.parametrize("metric", HEADINGS)
def test_whiskers_show_every_teller_that_has_the_metric(record, metric):
    if metric not in record["metrics"]:
        pytest.skip("this record was made without it")
    spec = charts.whiskers(record, metric).to_dict()
    shown = {row["name"]: row for row in spec["data"]["values"]}
    has = {name for name, figures in record["models"].items() if figures[metric]["value"] is not None}
    assert set(shown) == has
    for name, row in shown.items():
        figure = record["models"][name][metric]
        assert (row["value"], row["low"], row["high"]) == (figure["value"], figure["low"], figure["high"])
    assert [layer["mark"]["type"] for layer in spec["layer"]] == ["rule", "point"]


def test_the_heat_map_has_every_reader_and_writer(record):
    spec = charts.heat_map(record["cross_reading"], Say()).to_dict()
    shown = {(row["reader"], row["writer"]): row["value"] for row in spec["data"]["values"]}
    matrix = record["cross_reading"]
    assert shown == {(reader, writer): f["value"] for reader, row in matrix.items() for writer, f in row.items()}


def test_a_difference_read_the_other_way_has_the_other_sign_and_the_same_p(tab, record):
    found = record["comparisons"][0]
    one, other = (
        cells(tab._differ(found["first"], found["second"], text)),
        cells(tab._differ(found["second"], found["first"], text)),
    )
    assert one[0][1:3] == [found["first"], found["second"]]
    key = found["metric"]
    there = f"{number(found['difference'], key)} [{number(found['low'], key)}, {number(found['high'], key)}]"
    back = f"{number(-found['difference'], key)} [{number(-found['high'], key)}, {number(-found['low'], key)}]"
    assert (one[1][3], other[1][3]) == (there, back)
    assert [row[4] for row in one] == [row[4] for row in other]
    assert len(one) == 1 + sum(
        found["difference"] is not None
        for found in record["comparisons"]
        if {found["first"], found["second"]} == set(one[0][1:3])
    )


def test_a_storyteller_beside_itself_is_answered_in_words(tab, record):
    assert text("problem_same") in tab._differ("seq2seq", "seq2seq", text)


def test_samples_hold_every_storyteller_with_three_stories(tab, record):
    opening = next(iter(record["samples"]))
    html = tab._told(opening, text)
    assert html.count("<section") == len(record["samples"][opening])
    assert html.count("<p>") == 3 * len(record["samples"][opening])


# One's own file


@pytest.fixture(scope="module")
def own() -> OwnStories:
    with gr.Blocks(), gr.Tab("results") as place:
        return OwnStories(place, Labels(), Visits())


def test_no_file_a_large_file_nobody_and_too_many_are_refused_and_no_file_stays(own, tmp_path, tiny_csv):
    large, many = tmp_path / "large.csv", ["encoder", "seq2seq", "gpt2-mini", "gpt2-mini-finetuned", "smollm2"]
    large.write_bytes(b"x" * (limits().upload_bytes + 1))
    mine = [shutil.copy(tiny_csv, tmp_path / name) for name in ("first.csv", "second.csv")]
    for path, chosen, said in (
        (None, ["seq2seq"], text("problem_file")),
        (str(tmp_path / "gone.csv"), ["seq2seq"], text("problem_file")),
        (str(large), ["seq2seq"], "1.0 MB"),
        (str(mine[0]), [], text("problem_choose")),
        (str(mine[1]), many, "At most 4"),
    ):
        message, *_, field = own._ask(ME, path, chosen)
        assert said in message and 'role="alert"' in message and field is None
    assert not list(tmp_path.glob("*.csv"))
    assert len(list(own._run(ME))) == 1  # nothing to do


def test_a_file_is_evaluated_reported_and_deleted_and_the_field_emptied(own, tmp_path, tiny_csv):
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(tiny_csv.read_text(encoding="utf-8").splitlines()[:4]), encoding="utf-8")
    message, *_, field = own._ask(ME, str(path), ["seq2seq"])
    assert 'role="status"' in message and field is None and not path.exists()
    folder = own.line.get("me").folder
    running = own._run(ME)
    looks = []
    for look in running:
        looks.append(look)
        if look[0] == "":
            break
    *before, (message, markdown, archive, _) = looks
    assert before and all('role="status"' in look[0] for look in before)
    assert message == "" and markdown.startswith("# Evaluation\n\n3 stories") and "`seq2seq`" in markdown
    with zipfile.ZipFile(archive["value"]) as files:
        assert {"report.json", "report.md", "report.stories/seq2seq.txt"} <= set(files.namelist())
        assert json.loads(files.read("report.json"))["stories"]["number"] == 3
    running.close()
    assert gone(folder) and own.line.get("me") is None
    assert text("problem_file") in own._ask(ME, str(path), ["seq2seq"])[0]  # a second click


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "sentence1,sentence2,sentence3,sentence4,sentence5\n", "\0\0"])
def test_a_wrong_file_is_one_clear_message_without_a_path(own, tmp_path, content):
    path = tmp_path / "wrong.csv"
    path.write_text(content, encoding="utf-8")
    own._ask(ME, str(path), ["seq2seq"])
    folder = own.line.get("me").folder
    *_, (message, *_) = own._run(ME)
    assert 'role="alert"' in message and "/" not in re.sub("<.*?>", "", message) and "rong.csv" in message
    assert not path.exists() and gone(folder)


def ask_for(own, tiny_csv, tmp_path) -> Path:
    """Ask for an evaluation; returns the folder in which the file waits."""
    own._ask(ME, str(shutil.copy(tiny_csv, tmp_path / "mine.csv")), ["seq2seq"])
    folder = own.line.get("me").folder
    assert (folder / "mine.csv").exists()
    return folder


def gone(folder: Path) -> bool:
    """Whether a folder is deleted, soon."""
    until = time.monotonic() + 60
    while folder.exists() and time.monotonic() < until:
        time.sleep(0.01)
    return not folder.exists()


def test_a_file_that_waits_is_deleted_when_another_takes_its_place_or_the_page_is_closed(own, tmp_path, tiny_csv):
    first = ask_for(own, tiny_csv, tmp_path)
    second = ask_for(own, tiny_csv, tmp_path)
    assert not first.exists() and second.exists()
    own.leave(ME)
    assert not second.exists()
    third = ask_for(own, tiny_csv, tmp_path)
    assert text("own_stopped") in own._stop(ME)[0]
    assert not third.exists() and len(list(own._run(ME))) == 1


@pytest.mark.parametrize("end", ["stop", "close"])
def test_stopping_and_closing_the_page_wait_for_nothing_and_end_the_work(own, tmp_path, tiny_csv, end):
    folder = ask_for(own, tiny_csv, tmp_path)
    running = own._run(ME)
    next(running)
    work = running.gi_frame.f_locals["work"]
    began = time.monotonic()
    if end == "close":
        running.close()
        assert time.monotonic() - began < 0.1
    else:
        own._stop(ME)
        assert all(value == gr.skip() for value in list(running)[-1])
        assert time.monotonic() - began < 1
    work.thread.join(120)
    assert not work.thread.is_alive() and not work.markdown and not work.problem
    assert gone(folder)


# The vote


@pytest.fixture
def vote(tmp_path, monkeypatch) -> BlindVote:
    monkeypatch.setenv("STORYLAB_VOTES", str(tmp_path / "votes.sqlite"))
    with gr.Blocks(), gr.Tab("results") as place:
        return BlindVote(place, read_record(), Labels())


def test_a_vote_is_blind_until_it_is_cast_and_counts_once(vote):
    assert vote._standings(None) == panels.quiet(text("vote_none"))
    *_, (ballot, pair, *_) = vote._ask(ME)
    names = {ballot.first.model, ballot.second.model}
    assert len(names) == 2 and ballot.first.seed == ballot.second.seed
    assert not any(name in pair for name in names)
    for _ in range(2):  # a double click
        after, pair, standings, *_ = vote._vote(None, ballot, "second")
        assert after is None and "picked" in pair
    (cast,) = Votes(vote.votes.path).all()
    assert (cast.first, cast.second, cast.better) == (ballot.first.model, ballot.second.model, "second")
    assert len(cells(standings)) == 3


def test_a_vote_of_a_page_that_was_lost_is_answered(vote):
    after, message, *_ = vote._vote(None, None, "first")
    assert after is None and text("problem_vote") in message
    assert vote.votes.all() == []


def test_a_vote_that_can_not_be_kept_is_answered_and_not_lost(vote):
    *_, (ballot, *_) = vote._ask(ME)
    vote.votes.path.write_bytes(b"no database at all")
    after, message, *_ = vote._vote(None, ballot, "first")
    assert after is ballot and "can&#x27;t be kept" in message
