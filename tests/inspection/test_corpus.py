"""A corpus in figures, and the tokenizers at hand."""

import json

import pytest

from storylab.cli import main
from storylab.errors import StoryLabError
from storylab.inspection import corpus as module
from storylab.inspection.corpus import (
    LIMITS,
    companions,
    corpus_statistics,
    measure,
    read_corpus,
    small_corpus,
    typed_story,
)
from storylab.inspection.vocabularies import at_hand, find_vocabulary, visible, words
from storylab.stories import Story

KITE = Story(("The kite rose.", "It didn't fall.", "The wind blew.", "It rose again.", "We cheered!"))
SAME = Story(("the kite rose", "It didn’t fall.", "The wind blew.", "It rose again.", "We  cheered."))
RAIN = Story(("Rain fell.", "It fell all day.", "We slept.", "The sun rose.", "We went out."))
HEADER = "sentence1,sentence2,sentence3,sentence4,sentence5\n"
GOOD = "It rained.,She ran.,He hid.,They met.,All was well.\n"


# Figures


def test_figures_by_hand():
    found = corpus_statistics([KITE, SAME, RAIN], {"letters": lambda text: list(text.replace(" ", ""))})
    assert (found.stories, found.duplicates, found.words) == (3, 1, 14 + 14 + 14)
    assert found.words_per_sentence == pytest.approx(42 / 15)
    # the kite rose it didn't/didn’t fall wind blew again we cheered | rain fell all day slept sun went out
    assert found.types == 12 + 8
    assert found.once == 2 + 7  # didn't, didn’t; all of the second line but "fell"
    assert found.first_words == (("the", 2), ("rain", 1))
    assert found.lengths["words"].maximum == 14
    assert found.lengths["letters"].minimum == min(len(s.text.replace(" ", "")) for s in (KITE, SAME, RAIN))


def test_the_small_corpus_is_measured_by_every_tokenizer_at_hand():
    corpus = small_corpus()
    found = measure(corpus, at_hand())
    assert found.stories == len(corpus.stories) == 64
    assert not corpus.bad_rows and not found.duplicates
    written = found.to_dict((64, 10_000))
    json.dumps(written)
    for vocabulary in at_hand():
        longer = sum(len(vocabulary.encode(story.text)) > 64 for story in corpus.stories)
        assert written["lengths"][vocabulary.name]["share_cut"] == {"64": longer / 64, "10000": 0.0}
    assert 0 < written["lengths"]["encoder"]["share_cut"]["64"] < 1


# Reading


def test_rows_that_are_no_story_are_counted_and_the_first_named(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(HEADER + GOOD + ("It rained.,,He hid.,They met.,All was well.\n" * 5) + GOOD, encoding="utf-8")
    corpus = read_corpus(path)
    assert (corpus.name, len(corpus.stories), corpus.bad_rows) == ("mine.csv", 2, 5)
    assert len(corpus.reasons) == module.BAD_ROWS_TOLD
    assert corpus.reasons[0] == "mine.csv, row 2 (line 3), column sentence2: the sentence is empty"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"a,b\n1,2\n", "missing column sentence1"),
        (HEADER.encode() + b"\xff,a,b,c,d\n", "not UTF-8"),
        ((HEADER + GOOD).encode("utf-16"), "UTF-8"),
        (HEADER.encode() + b"only one\n", "1 fields where the header has 5"),
        (HEADER.encode(), "a header but no stories"),
    ],
)
def test_a_file_without_stories_is_refused_in_one_line_without_its_folder(tmp_path, data, message):
    path = tmp_path / "mine.csv"
    path.write_bytes(data)
    with pytest.raises(StoryLabError, match=message) as refused:
        read_corpus(path)
    assert str(tmp_path) not in str(refused.value) and "\n" not in str(refused.value)


def test_of_a_long_file_the_first_stories_are_read(tmp_path, monkeypatch):
    path = tmp_path / "mine.csv"
    path.write_text(HEADER + 3 * GOOD, encoding="utf-8")
    monkeypatch.setattr(module, "MOST_STORIES", 2)
    assert read_corpus(path, 2).full
    assert not read_corpus(path, 3).full


# A story that somebody types


def test_five_lines_are_five_sentences_and_so_are_five_sentences_in_one():
    assert typed_story("Hm\n\n no  stops \nhere\nat\nall").sentences == ("Hm", "no stops", "here", "at", "all")
    assert typed_story(KITE.text).sentences == KITE.sentences
    assert typed_story("It rained. She ran.\nHe hid.\n They met. All was well.").sentences[4] == "All was well."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "0 sentences, 5 are needed"),
        ("It rained. She ran.", "2 sentences, 5 are needed"),
        ("One.\nTwo.\nThree.\nFour.\nFive.\nSix.", "6 sentences, 5 are needed"),
        ("word " * 500, "at most 2,000"),
        ("a\nb\nc\nd\n\x00", "U\\+0000"),
        ("a\nb\nc\nd\n\ud800", "U\\+D800"),
    ],
)
def test_what_is_no_story_of_five_sentences_is_refused(text, message):
    with pytest.raises(StoryLabError, match=message):
        typed_story(text)


def test_a_limit_of_ones_own_holds_for_the_characters_of_a_story():
    with pytest.raises(StoryLabError, match="623 characters, at most 600"):
        typed_story("One. Two. Three. Four. " + "x" * 600, 600)


def test_two_other_stories_stand_beside_one():
    first, second, third = small_corpus().stories[:3]
    assert companions(KITE) == [first, second]
    assert companions(first) == [second, third]


# The tokenizers at hand


def test_a_tokenizer_that_storytellers_share_is_there_once():
    found = {vocabulary.name: vocabulary for vocabulary in at_hand()}
    bundled = ("encoder", "seq2seq", "gpt2-mini", "gpt2-mini-finetuned")
    assert found["encoder"].storytellers[:4] == bundled
    assert not found.keys() & set(bundled[1:])
    assert found["encoder"].size == 8000 and found["encoder"].positions == 256
    smollm2 = next(vocabulary for vocabulary in found.values() if "smollm2-finetuned" in vocabulary.storytellers)
    assert smollm2.size == 49_152 and smollm2.positions == 8192


@pytest.mark.parametrize("name", ["encoder", "smollm2-finetuned"])
def test_a_text_is_cut_into_pieces_with_their_ids(name):
    vocabulary = find_vocabulary(name)
    pieces = vocabulary.cut(KITE.text)
    assert "".join(piece.text for piece in pieces).strip() == KITE.text
    assert [piece.id for piece in pieces] == vocabulary.encode(KITE.text)
    dog = "".join(piece.text for piece in vocabulary.cut("a 🐕"))
    assert "<0x90>" in dog and "\ufffd" not in dog  # U+1F415 is F0 9F 90 95


def test_words_have_no_ids_and_join_to_the_text():
    pieces = words("a  dog ran.")
    assert [piece.text for piece in pieces] == ["a", " dog", " ran."]
    assert {piece.id for piece in pieces} == {None}


def test_blanks_are_made_visible():
    assert visible(" a dog\n\t\u200b") == "·a·dog⏎⇥\\u200b"


def test_a_tokenizer_that_is_not_here_is_refused_with_the_reason():
    with pytest.raises(StoryLabError, match="no storyteller 'nobody'"):
        find_vocabulary("nobody")


# The command line


def test_the_command_prints_the_figures(capsys, tiny_csv):
    assert main(["stories", "--data", str(tiny_csv), "--tokenizer", "seq2seq", "--limit-at", "64", "70", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["stories"] == 64 and printed["bad_rows"] == 0
    assert set(printed["lengths"]) == {"seq2seq", "words"}
    assert set(printed["lengths"]["seq2seq"]["share_cut"]) == {"64", "70"}
    assert main(["stories", "--limit", "5"]) == 0
    table = capsys.readouterr().out
    assert "tiny.csv: 5 stories" in table and all(f"> {limit}" in table for limit in LIMITS)


def test_the_command_answers_bad_input_in_one_line(capsys, tmp_path):
    assert main(["stories", "--data", str(tmp_path / "none.csv")]) == 2
    assert main(["stories", "--tokenizer", "nobody"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
