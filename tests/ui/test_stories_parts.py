"""The Stories tab without a browser: figures and tensors as HTML, a visitor's file, links."""

import re
from types import SimpleNamespace
from urllib.parse import parse_qs

import gradio as gr
import pytest

from storylab.inspection.cells import Cell, Framed, Grid, Look
from storylab.inspection.corpus import Corpus, corpus_statistics, small_corpus
from storylab.inspection.framed import FRAMINGS, frame
from storylab.inspection.vocabularies import Piece, find_vocabulary
from storylab.limits import limits
from storylab.stories import Story
from storylab.ui import stories_corpus, stories_figures, stories_tensors
from storylab.ui.address import Address
from storylab.ui.stories import StoriesTab
from storylab.ui.stories_corpus import measured, pick
from storylab.ui.texts import LANGUAGES, Labels, Say
from storylab.ui.visits import Visits

say = Say()
NASTY = "<img src=x onerror=alert(1)> & {{value}} `x`"
VISITOR = SimpleNamespace(session_hash="me", headers={}, query_params={})
STORY = "It rained all day.\nNora stayed inside.\nShe baked a pie.\nHer uncle came by.\nThey ate it together."
HEADER = "sentence1,sentence2,sentence3,sentence4,sentence5\n"


@pytest.fixture(scope="module")
def tab() -> StoriesTab:
    with gr.Blocks(), gr.Tab("stories") as place:
        return StoriesTab(place, Labels(), Visits(), Address())


def lengths_of(*counts: int) -> dict:
    stories = [Story((f"{'a' * count}", "b", "c", "d", "e")) for count in counts]
    return corpus_statistics(stories, {"letters": lambda text: list(text[:-8])}).lengths


# Figures


@pytest.mark.parametrize("counts", [(3, 5, 5, 8), (3, 400, 700, 701, 2000)])
@pytest.mark.parametrize("limit", [4, 5, 700])
def test_bars_right_of_the_limit_are_the_stories_that_are_cut(counts, limit):
    found = {"letters": lengths_of(*counts)["letters"]}
    html = stories_figures.histograms(found, {"letters": "letters"}, limit, say)
    bars = re.findall(r'<rect class="(\w+)".*?tokens: (\d+)<', html)
    assert sum(int(count) for _, count in bars) == len(counts)
    assert sum(int(count) for kind, count in bars if kind == "cut") == sum(count > limit for count in counts)
    assert len(bars) <= stories_figures.BARS
    assert len(re.findall(r'<span style="left', html)) <= stories_figures.TICKS + 1


def test_the_table_has_the_chosen_limit_beside_the_fixed_ones():
    found = measured(small_corpus())
    html = stories_figures.lengths(found.statistics, found.vocabularies, 61, say)
    share = found.statistics.lengths["encoder"].share_cut(61)
    assert "61 (chosen)" in html and f"<td>{share:.1%}</td>" in html
    assert html.count('role="region"') == 2


# What somebody wrote is never markup


def test_nothing_that_somebody_wrote_is_markup():
    story = Story((NASTY, "b", "c", "d", "e"))
    corpus = Corpus(NASTY, (story,), 1, (NASTY,))
    found = corpus_statistics([story], {"encoder": str.split})
    cell = Cell(NASTY, 1, "prompt")
    batch = Framed(
        "autoregressive",
        "story",
        (Grid("input_ids", ("batch", "length"), (1, 1), ((cell,),)),),
        (Look("self", ((True,),)),),
    )
    shown = [
        stories_figures.figures(corpus, found, say),
        stories_tensors.cuts([(NASTY, [Piece(NASTY, 1)])], say),
        stories_tensors.framed(batch, say),
        stories_figures.histograms(found.lengths, dict.fromkeys(found.lengths, NASTY), 64, say),
    ]
    assert not any("<img" in html for html in shown)
    assert all("&lt;img" in html for html in shown)


# Tensors


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("key", FRAMINGS)
def test_every_number_of_a_tensor_is_a_cell_and_its_role_is_in_the_legend(key, language):
    said = Say(language)
    batch = frame(key, small_corpus().stories[:3], find_vocabulary("seq2seq"))
    html = stories_tensors.framed(batch, said)
    cells = [cell for grid in batch.tensors for row in grid.rows for cell in row]
    assert html.count("data-cell") == len(cells)
    assert html.count('tabindex="0" data-cell') == len({grid.axes for grid in batch.tensors if grid.rows})
    legend = re.search(r'<ul class="roles".*?</ul>', html)[0]
    for role in {cell.role for cell in cells}:
        assert f'<i class="{role}"' in legend and said(stories_tensors.ROLES[role]) in legend
    assert ("mistake" in html) == (key == "prompt-misaligned")


def test_the_picture_fills_a_square_for_each_pair_that_looks():
    batch = frame("packed", small_corpus().stories[:3], find_vocabulary("seq2seq"))
    html = stories_tensors.framed(batch, say)
    (path,) = re.findall(r'<path d="(.*?)"', html)
    filled = sum(int(width) for width in re.findall(r"M\d+ \d+h(\d+)v1", path))
    assert filled == sum(may for row in batch.looks[0].allowed for may in row)


# A story, and the link to it


def test_a_story_is_shown_and_its_link_fills_the_fields_again(tab):
    problem, cuts, tensors, query = tab._show(VISITOR, STORY, "encoder", "prompt-target", 48)
    assert not problem and "·Nora" in cuts and "decoder_input_ids" in tensors
    link = {key: values[0] for key, values in parse_qs(query).items()}
    assert link["tab"] == "stories" and link["run"] == "1"
    story, tokenizer, framing, limit = tab.arrive(link, say)
    assert (story, tokenizer["value"], framing, limit) == (STORY, "encoder", "prompt-target", 48)
    assert tab._show(VISITOR, story, tokenizer["value"], framing, limit) == [problem, cuts, tensors, query]


def skipped(value) -> bool:
    return value == gr.skip()


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"story": "One.", "tokenizer": "nobody", "framing": "sideways", "limit": "-1"},
        {"story": "x" * 5000, "tokenizer": "", "framing": "", "limit": "9" * 5000},
        {"story": "\ud800", "limit": "²"},
        {"story": STORY, "tab": "tokens"},
    ],
)
def test_what_is_no_good_in_a_link_is_left_out(tab, query):
    story, tokenizer, framing, limit = tab.arrive({"tab": "stories"} | query, say)
    assert skipped(story) and skipped(framing) and skipped(limit)
    assert tokenizer["value"] == "encoder"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("It rained. She ran.", "2 sentences, 5 are needed"),
        ("", "0 sentences"),
        ("\n".join(["rain " * 70] * 5), "the model has 256 positions"),
    ],
)
def test_a_story_that_is_no_good_is_answered_and_nothing_is_lost(tab, text, message):
    problem, *others = tab._show(VISITOR, text, "encoder", "autoregressive", 64)
    assert message in problem and 'role="alert"' in problem
    assert all(map(skipped, others))


def test_a_number_picks_the_nearest_story():
    stories = small_corpus().stories
    assert [pick(None, number) for number in (1, 64, 65, 0, -3, None)] == [
        stories[0],
        stories[63],
        stories[63],
        stories[0],
        stories[0],
        stories[0],
    ]


# A visitor's file


def upload(tab: StoriesTab, path) -> list:
    *_, last = tab.corpus._read(VISITOR, str(path), 64)
    return last


def test_a_file_is_read_measured_and_deleted(tab, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(HEADER + ",".join(STORY.split("\n")) + "\nIt rained.,,c,d,e\n", encoding="utf-8")
    held, problem, figures, lengths, file, number, story = upload(tab, path)
    assert not path.exists() and file is None and not problem and story == STORY
    assert held.corpus.name == "mine.csv" and "<h3>mine.csv</h3>" in figures
    assert "row 2 (line 3), column sentence2" in figures and str(tmp_path) not in figures
    assert number["maximum"] == 1 and "seq2seq" in lengths
    assert tab._pick(VISITOR, held, 5, "encoder", "packed", 64)[0] == STORY
    assert "mine.csv" in tab._open(VISITOR, held, STORY, "encoder", "packed", 64)[2]


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"a,b\n1,2\n", "missing column"), (b"\xff\xfe", "UTF-8"), (b"x" * 1_000_001, "at most 1 MB")],
)
def test_a_file_that_is_no_good_is_answered_deleted_and_changes_nothing(tab, tmp_path, data, message):
    path = tmp_path / "mine.csv"
    path.write_bytes(data)
    held, problem, figures, lengths, file, number, story = upload(tab, path)
    assert message in problem and str(tmp_path) not in problem
    assert all(map(skipped, (held, figures, lengths, number, story)))
    assert file is None and not path.exists()


def test_a_visitor_who_leaves_while_a_file_is_read_leaves_no_file(tab, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(HEADER, encoding="utf-8")
    looks = tab.corpus._read(VISITOR, str(path), 64)
    next(looks)
    looks.close()
    assert not path.exists()


def test_limits_that_the_page_names_are_those_it_keeps():
    about = say("stories_corpus_about", megabytes=limits().upload_bytes / 1e6, stories=stories_corpus.MOST_STORIES)
    assert "1 MB" in about and "20,000 stories" in about
