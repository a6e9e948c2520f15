import csv
import hashlib
import io
import json
import sys
import types
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from storylab import rows as module
from storylab.errors import StoryLabError
from storylab.stories import (
    Splits,
    Story,
    fingerprint,
    length_statistics,
    normalise,
    read_stories,
    refuse_leakage,
    remove_duplicates,
    split_stories,
)

TINY = Path(__file__).parent.parent / "train" / "tiny.csv"
HEADER = "storyid,storytitle,sentence1,sentence2,sentence3,sentence4,sentence5"
HEN = ("A hen ran off.", "Ann saw it.", "She called it.", "It came back.", "Ann fed it corn.")
OWL = ("An owl sat up.", "It was dark.", "A mouse ran by.", "The owl slept on.", "The mouse ate well.")

# Characters of every kind but lone surrogates, which no file holds, and NUL, which a story file may not hold.
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
SENTENCES = st.text(CHARACTERS, max_size=30).map(lambda text: " ".join(text.split())).filter(bool)
STORIES = st.tuples(*[SENTENCES] * 5).map(Story)


def numbered(number: int) -> Story:
    return Story(tuple(f"Sentence {part} of story {number}." for part in "abcde"), id=f"n{number}")


@pytest.fixture
def write(tmp_path):
    """Writes text or bytes to `bad.csv` and returns its path."""

    def write(content: str | bytes) -> Path:
        path = tmp_path / "bad.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def message(path: str | Path, **options) -> str:
    """The message that reading `path` fails with: one printable line that names the source first."""
    with pytest.raises(StoryLabError) as caught:
        read_stories(path, **options)
    text = str(caught.value)
    assert text.isprintable()
    assert text.startswith(str(path))
    return text.removeprefix(str(path))


# A story


def test_story_parts_are_joined_by_one_space():
    story = Story(HEN)
    assert story.opening == "A hen ran off."
    assert story.continuation == "Ann saw it. She called it. It came back. Ann fed it corn."
    assert story.text == "A hen ran off. Ann saw it. She called it. It came back. Ann fed it corn."


@pytest.mark.parametrize("count", [0, 4, 6])
def test_story_of_another_length_is_refused(count):
    with pytest.raises(StoryLabError, match=f"a story has {count} sentences, 5 are needed"):
        Story(("Hm.",) * count)


def test_story_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Story(HEN).title = "Hen"


# Reading what is sound


def test_columns_come_in_any_order_and_case_and_others_are_ignored(write):
    header = "mood, Sentence5 ,SENTENCE3,sentence4,StoryID,sentence2,sentence1"
    path = write(f"{header}\ngood,Five.,Three.,Four.,x7,Two.,One.\n")
    assert read_stories(path) == [Story(("One.", "Two.", "Three.", "Four.", "Five."), id="x7")]


def test_sentences_alone_are_enough(write):
    path = write("sentence1,sentence2,sentence3,sentence4,sentence5\n" + ",".join(HEN))
    assert read_stories(path) == [Story(HEN, id="", title="")]


def test_path_may_be_a_string(write):
    path = write(f"{HEADER}\nh1,Hen,{','.join(HEN)}\n")
    assert read_stories(str(path)) == read_stories(path) == [Story(HEN, id="h1", title="Hen")]


def test_byte_order_mark_is_not_part_of_the_first_column(write):
    text = f"{','.join(HEADER.split(',')[2:])}\n{','.join(HEN)}\n"
    assert read_stories(write(b"\xef\xbb\xbf" + text.encode())) == read_stories(write(text)) == [Story(HEN)]


def test_byte_order_mark_before_a_quoted_column(write):
    columns = ",".join(f'"{name}"' for name in HEADER.split(","))
    assert read_stories(write(f"\ufeff{columns}\nh1,Hen,{','.join(HEN)}")) == [Story(HEN, "h1", "Hen")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_endings_of_every_system(write, end):
    path = write(end.join([HEADER, "h1,Hen," + ",".join(HEN), "o1,Owl," + ",".join(OWL)]))
    assert read_stories(path) == [Story(HEN, "h1", "Hen"), Story(OWL, "o1", "Owl")]


def test_blank_lines_are_no_rows(write):
    path = write(f"\n{HEADER}\n\nh1,,{','.join(HEN)}\n\r\no1,,{','.join(OWL)}\n\n")
    assert [story.id for story in read_stories(path)] == ["h1", "o1"]


def test_quotes_commas_and_line_breaks_inside_a_field(write):
    path = write(f'{HEADER}\nq1,"Hi, you","""Hi,"" said Bo.","He sat\r\ndown.",So did I.,We ate.,"""Bye!"""\n')
    assert read_stories(path) == [
        Story(('"Hi," said Bo.', "He sat down.", "So did I.", "We ate.", '"Bye!"'), "q1", "Hi, you")
    ]


def test_whitespace_is_collapsed_everywhere(write):
    path = write(f"{HEADER}\n h1 , The   Hen , A hen\t ran  off. ,Ann\u00a0saw it.,{','.join(HEN[2:])}\n")
    assert read_stories(path) == [Story(HEN, "h1", "The Hen")]


def test_limit_stops_before_what_comes_after(write):
    path = write(f"{HEADER}\nh1,,{','.join(HEN)}\no1,,{','.join(OWL)}\nthis is no story\n")
    assert [story.id for story in read_stories(path, limit=2)] == ["h1", "o1"]
    assert [story.id for story in read_stories(path, limit=1)] == ["h1"]


def test_limit_beyond_the_end_reads_all(write):
    assert len(read_stories(write(f"{HEADER}\nh1,,{','.join(HEN)}\n"), limit=99)) == 1


def test_bad_rows_may_be_left_out_and_are_named_in_order(write):
    good, other = ",".join(("1", "", *HEN)), ",".join(("6", "", *OWL))
    rows = [good, "2,,only,four,fields", "3,,One.,,Three.,Four.,Five.", '4,,a "b" c,"d" e,,,', "5,,\0,b,c,d,e", other]
    errors = []
    stories = read_stories(write("\n".join([HEADER, *rows])), on_bad_row=lambda error: errors.append(str(error)))
    assert [story.sentences for story in stories] == [HEN, OWL]
    assert [error.split(", ")[1].split(" ")[:2] for error in errors] == [["row", number] for number in "2345"]


def test_left_out_rows_do_not_count_for_the_limit(write):
    text = "\n".join([HEADER, "1,,too few", ",".join(("2", "", *HEN)), "3,,too few"])
    errors = []
    assert len(read_stories(write(text), limit=1, on_bad_row=errors.append)) == 1
    assert len(errors) == 1


def test_a_bad_header_is_refused_even_where_rows_may_be_bad(write):
    with pytest.raises(StoryLabError, match="missing column sentence5"):
        read_stories(write("sentence1,sentence2,sentence3,sentence4\na,b,c,d"), on_bad_row=lambda error: None)


@pytest.mark.parametrize("limit", [0, -1, True, 2.0, "3"])
def test_limit_must_be_a_positive_number(write, limit):
    with pytest.raises(StoryLabError, match="limit of stories must be a whole number"):
        read_stories(write(f"{HEADER}\nh1,,{','.join(HEN)}\n"), limit=limit)


@given(
    st.lists(st.tuples(STORIES, SENTENCES, SENTENCES), min_size=1, max_size=5),
    st.permutations(HEADER.split(",")),
    st.sampled_from(["utf-8", "utf-8-sig"]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_what_is_written_is_read_back(tmp_path_factory, drawn, columns, encoding, line_end, quoting):
    stories = [replace(story, id=identity, title=title) for story, identity, title in drawn]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=line_end, quoting=quoting)
    writer.writerow(columns)
    for story in stories:
        values = dict(zip(HEADER.split(","), (story.id, story.title, *story.sentences), strict=True))
        writer.writerow([values[column] for column in columns])
    path = tmp_path_factory.mktemp("round") / "trip.csv"
    path.write_bytes(text.getvalue().encode(encoding))
    assert read_stories(path) == stories


@given(st.lists(st.sampled_from([" ", "\n", "\r\n", "\t", "\u2028", "\u00a0"]), min_size=5, max_size=5))
def test_any_whitespace_inside_quotes_becomes_one_space(tmp_path_factory, spaces):
    path = tmp_path_factory.mktemp("space") / "stories.csv"
    first = "".join(word + space for word, space in zip(["Ann", "saw", "her", "hen", "."], spaces, strict=True))
    path.write_bytes(f'{HEADER}\nh1,,"{first}",{",".join(HEN[1:])}\n'.encode())
    assert read_stories(path)[0].opening == "Ann saw her hen ."


# Reading what is not


def test_missing_file(tmp_path):
    assert message(tmp_path / "none.csv") == ": No such file or directory"


def test_directory(tmp_path):
    assert message(tmp_path) == ": Is a directory"


def test_path_that_no_system_takes(tmp_path):
    with pytest.raises(StoryLabError, match="null byte") as caught:
        read_stories(f"{tmp_path}/a\0b.csv")
    assert "\0" not in str(caught.value)


def test_file_name_with_a_line_break_keeps_the_message_on_one_line(tmp_path):
    with pytest.raises(StoryLabError) as caught:
        read_stories(tmp_path / "a\nb.csv")
    assert str(caught.value).isprintable()


def test_file_that_may_not_be_read(write, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module, "open", refuse, raising=False)  # file modes don't stop root
    assert message(write(HEADER)) == ": Permission denied"


@pytest.mark.parametrize("content", ["", "\ufeff", "\n\r\n\n"])
def test_empty_file(write, content):
    assert message(write(content)) == ": the file is empty"


@pytest.mark.parametrize("end", ["", "\n", "\n\n\n"])
def test_header_without_rows(write, end):
    assert message(write(HEADER + end)) == ": there is a header but no stories"


def test_one_missing_column(write):
    path = write("storyid,sentence1,sentence2,sentence4,sentence5\n1,a,b,d,e\n")
    assert message(path) == (
        ", header (line 1): missing column sentence3 (found: storyid, sentence1, sentence2, sentence4, sentence5)"
    )


def test_missing_columns_are_all_named_and_found_ones_not_all(write):
    path = write("story\x1b[31m," + ",".join(f"c{n}" for n in range(20)) + "\n")
    assert message(path) == (
        ", header (line 1): missing column sentence1, sentence2, sentence3, sentence4, sentence5 "
        "(found: 'story\\x1b[31m', c0, c1, c2, c3, c4, c5, c6, c7, c8, ...)"
    )


def test_long_column_name_is_shortened(write):
    assert f"(found: {'x' * 37}...)" in message(write("x" * 500))


def test_header_below_a_blank_line_is_named_with_its_line(write):
    assert message(write("\nname\nAnn\n")).startswith(", header (line 2): missing column sentence1")


@pytest.mark.parametrize("name", ["sentence2", "storyid", " StoryID "])
def test_column_given_twice(write, name):
    path = write(f"{HEADER},{name}\nh1,,{','.join(HEN)},again\n")
    assert message(path) == f", header (line 1), column {name.strip().lower()}: there are 2 columns of that name"


@pytest.mark.parametrize("empty", ["", "  ", '" \n "', "\u00a0"])
def test_empty_sentence(write, empty):
    path = write(f"{HEADER}\nh1,,{','.join(HEN)}\no1,,One.,Two.,{empty},Four.,Five.\n")
    assert message(path) == ", row 2 (line 3), column sentence3: the sentence is empty"


def test_column_is_named_as_the_file_names_it(write):
    path = write("Sentence1,sentence2,sentence3,sentence4,sentence5\n,b,c,d,e\n")
    assert message(path) == ", row 1 (line 2), column Sentence1: the sentence is empty"


def test_line_is_where_the_row_starts_when_fields_span_lines(write):
    spanning = '"One\nand\nmore.",Two.,Three.,Four.,Five.'
    path = write(f'{HEADER}\nm1,,{spanning}\n\nm2,,{spanning}\nm3,,"One\n",,Three.,Four.,Five.\n')
    assert message(path) == ", row 3 (line 9), column sentence2: the sentence is empty"


def test_row_with_too_few_fields(write):
    path = write(f"{HEADER}\nh1,,{','.join(HEN)}\no1,,One.,Two.,Three.\n")
    assert message(path) == ", row 2 (line 3), column sentence4: the row has 5 fields where the header has 7"


def test_row_with_too_many_fields(write):
    path = write(f"{HEADER}\nh1,,{','.join(HEN)}, and a comma too many.\n")
    assert message(path) == ", row 1 (line 2), column sentence5: the row has 8 fields where the header has 7"


def test_wrong_encoding_in_a_sentence(write):
    sound = f"{HEADER}\nh1,,{','.join(HEN)}\n".encode()
    path = write(sound + "c1,,One.,At the café.,Three.,Four.,Five.\n".encode("latin-1"))
    assert message(path) == (", row 2 (line 3), column sentence2: byte 0xe9 is not UTF-8; save the file as UTF-8")


def test_wrong_encoding_in_a_column_that_is_not_read(write):
    path = write(f"mood,{HEADER}\nna".encode() + b"\xefve,h1,," + ",".join(HEN).encode())
    assert message(path).startswith(", row 1 (line 2), column mood: byte 0xef is not UTF-8")


@pytest.mark.parametrize(
    "bad",
    [b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\xe2\x82"],
    ids=["surrogate", "overlong", "beyond Unicode", "cut short"],
)
def test_bytes_that_only_look_like_utf8(write, bad):
    path = write(f"{HEADER}\nh1,,{','.join(HEN)}".encode() + bad)
    assert message(path).startswith(f", row 1 (line 2), column sentence5: byte 0x{bad[0]:02x} is not UTF-8")


def test_wrong_encoding_in_a_field_too_many(write):
    path = write(f"{HEADER}\nh1,,{','.join(HEN)},caf".encode() + b"\xe9\n")
    assert message(path).startswith(", row 1 (line 2), column 8: byte 0xe9 is not UTF-8")


def test_wrong_encoding_is_named_even_if_the_quotes_are_broken_too(write):
    path = write(f'{HEADER}\nh1,,"caf'.encode() + b'\xe9" and,b,c,d,e\n')
    assert message(path) == ", row 1 (line 2): byte 0xe9 is not UTF-8; save the file as UTF-8"


def test_utf16_file(write):
    path = write(f"{HEADER}\nh1,,{','.join(HEN)}\n".encode("utf-16"))
    assert message(path) == ", header (line 1), column 1: byte 0xff is not UTF-8; save the file as UTF-8"


def test_utf16_file_without_byte_order_mark(write):
    path = write(f"{HEADER}\nh1,,{','.join(HEN)}\n".encode("utf-16-le"))
    assert message(path).startswith(", header (line 1), column 1: a NUL character; is this a UTF-16")


def test_nul_character(write):
    path = write(f"{HEADER}\nh1,,{','.join(HEN)}\no1,,One.,Two.,Thr\0ee.,Four.,Five.\n")
    assert message(path).startswith(", row 2 (line 3), column sentence3: a NUL character")


def test_quote_left_open(write):
    path = write(f'{HEADER}\nh1,,{",".join(HEN)}\no1,,"One.,Two.,Three.,Four.,Five.\nh2,,{",".join(HEN)}\n')
    assert message(path) == (", row 2 (line 3): not a sound CSV row (unexpected end of data); is a quote left open?")


@pytest.mark.parametrize("sound_behind", [1, 3])
def test_quote_left_open_costs_its_own_row_and_no_other(write, sound_behind):
    sound = [f"h{number},,{','.join(HEN)}" for number in range(sound_behind)]
    broken = ['o1,,"One.,Two.,Three.,Four.,Five.', *sound, 'o2,,One.,Two.,Three.,Four.,Five."']
    errors = []
    stories = read_stories(
        write("\n".join([HEADER, *broken, *sound])), on_bad_row=lambda error: errors.append(str(error))
    )
    assert [story.sentences[0] for story in stories].count(HEN[0]) == 2 * sound_behind
    assert "row 1 (line 2)" in errors[0] and "line 3" not in " ".join(errors)
    assert f"(line {3 + sound_behind})" in " ".join(errors) or len(errors) == 1


def test_text_after_a_closing_quote(write):
    path = write(f'{HEADER}\nh1,,"One." he said.,Two.,Three.,Four.,Five.\n')
    assert message(path) == (", row 1 (line 2): not a sound CSV row (',' expected after '\"'); is a quote left open?")


def test_enormous_field(write):
    path = write(f"{HEADER}\nh1,,{','.join(HEN)}\no1,,{'x' * 200_000},Two.,Three.,Four.,Five.\n")
    assert message(path).startswith(", row 2 (line 3): not a sound CSV row (field larger than field limit")


def test_enormous_row_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "endless.csv"
    with path.open("wb") as file:
        file.write(f"{HEADER}\n".encode() + b"x," * 600_000)
        file.truncate(1 << 36)  # 64 GB, sparse: reading on would fill the memory
    expected = ", row 1 (line 2): more than 1,000,000 characters in a row; is a quote left open?"
    assert message(path) == expected


def test_enormous_row_over_many_short_lines(write):
    path = write(f"{HEADER}\n" + '"a\n",' * 300_000)
    expected = ", row 1 (line 2): more than 1,000,000 characters in a row; is a quote left open?"
    assert message(path) == expected


def test_enormous_header(write):
    path = write("c," * 600_000)
    expected = ", header (line 1): more than 1,000,000 characters in a row; is a quote left open?"
    assert message(path) == expected


def test_many_rows_may_be_longer_than_one_may(write, monkeypatch):
    row = f"h1,,{','.join(HEN)}\n"
    monkeypatch.setattr(module, "MAX_ROW_CHARACTERS", max(len(row), len(HEADER) + 1))
    assert len(read_stories(write(f"{HEADER}\n" + row * 9))) == 9


def test_absurd_number_of_columns(write):
    columns = [*HEADER.split(","), *(f"c{number}" for number in range(994))]
    assert len(columns) == 1_001
    path = write(",".join(columns) + "\n")
    assert message(path) == ", header (line 1): there are 1,001 columns, at most 1,000 are read"


def test_a_thousand_columns_are_read(write):
    extra = [f"c{number}" for number in range(993)]
    path = write(",".join([HEADER, *extra]) + "\n" + ",".join(["h1", "", *HEN, *extra]) + "\n")
    assert read_stories(path) == [Story(HEN, "h1")]


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_give_stories_or_one_clear_line(tmp_path_factory, data, with_header):
    path = tmp_path_factory.mktemp("any") / "bytes.csv"
    path.write_bytes(HEADER.encode() + b"\n" + data if with_header else data)
    try:
        stories = read_stories(path)
    except StoryLabError as error:
        assert str(error).startswith(str(path)) and str(error).isprintable()
    else:
        assert stories and all(sentence.strip() for story in stories for sentence in story.sentences)


# A data set on the Hub


@pytest.fixture
def hub(monkeypatch):
    """A stand-in for `datasets`: `hub.rows` are what it holds, `hub.asked` what was asked of it."""
    state = types.SimpleNamespace(rows=[], asked=None, fails=None)

    class Data(list):
        @property
        def column_names(self):
            return list(self[0])

    def load_dataset(name, *, revision, split):
        state.asked = (name, revision, split)
        if state.fails:
            raise state.fails
        return Data(state.rows)

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    return state


def record(sentences=HEN, **others) -> dict:
    return dict(zip(HEADER.split(",")[2:], sentences, strict=True)) | others


def test_hub_stories(hub):
    hub.rows = [
        record(HEN, storyid=0, storytitle=None, mood=3),
        record(OWL, storyid=1, storytitle="Owl", mood=4),
    ]
    assert read_stories("hub:ann/hens-2.0") == [Story(HEN, "0"), Story(OWL, "1", "Owl")]
    assert hub.asked == ("ann/hens-2.0", None, "train")


def test_hub_revision_split_and_limit(hub):
    hub.rows = [record(HEN), record(OWL)]
    assert read_stories("hub:ann/hens@refs/pr/1", split="test", limit=1) == [Story(HEN)]
    assert hub.asked == ("ann/hens", "refs/pr/1", "test")


@pytest.mark.parametrize(("value", "problem"), [(None, "is empty"), (" ", "is empty"), (7, "is not text but int")])
def test_hub_row_that_is_no_story(hub, value, problem):
    hub.rows = [record(), record(sentence4=value)]
    assert message("hub:ann/hens") == f", row 2, column sentence4: the sentence {problem}"


def test_hub_data_without_the_columns(hub):
    hub.rows = [{"text": "A hen ran off."}]
    assert message("hub:ann/hens").startswith(": missing column sentence1, sentence2")


@pytest.mark.parametrize("failure", [FileNotFoundError("no such\ndata set"), ValueError("no such")])
def test_hub_failure_is_one_line(hub, failure):
    hub.fails = failure
    assert message("hub:ann/hens") == ": cannot load split train: no such"


def test_hub_failure_without_a_message_is_named_by_its_kind(hub):
    hub.fails = ConnectionError()
    assert message("hub:ann/hens") == ": cannot load split train: ConnectionError"


@pytest.mark.parametrize("source", ["hub:", "hub:hens", "hub:../hens", "hub:ann/hens@", "hub:a/b/c", "hub:a b/c"])
def test_hub_name_that_is_none_asks_nobody(hub, source):
    assert message(source) == ": a Hub data set is named hub:OWNER/NAME or hub:OWNER/NAME@REVISION"
    assert hub.asked is None


def test_hub_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)  # makes the import fail
    assert message("hub:ann/hens") == ": the Hub needs the package `datasets` (pip install datasets)"


# Sameness


def test_normalise_keeps_letters_and_digits_in_lower_case():
    assert normalise(' "Mr. Öz" paid_$3.50 —\n twice! ') == "mrözpaid350twice"


@given(st.text(CHARACTERS))
def test_normalise_keeps_exactly_the_alphanumeric_characters(text):
    assert normalise(text) == "".join(filter(str.isalnum, text.lower()))


def test_remove_duplicates_keeps_the_first_and_the_order():
    shouted = Story(tuple(sentence.upper().replace(".", " !") for sentence in HEN), id="loud")
    stories = [Story(OWL, "a"), Story(HEN, "b"), shouted, Story(OWL, "d", "Owl")]
    assert [story.id for story in remove_duplicates(stories)] == ["a", "b"]


def test_one_other_letter_makes_another_story():
    assert len(remove_duplicates([Story(HEN), Story((*HEN[:4], "Ann fed it cork."))])) == 2


@given(st.lists(STORIES, max_size=8))
def test_remove_duplicates_leaves_each_normalised_text_once(stories):
    texts = [normalise(story.text) for story in stories]
    kept = remove_duplicates(stories + stories)
    assert [normalise(story.text) for story in kept] == list(dict.fromkeys(texts))
    assert remove_duplicates(kept) == kept


# Splits


def test_split_follows_the_published_rule():
    """The rule written anew, in whole numbers: 5% of 2**64 for validation, the next 5% for test."""
    stories = [numbered(number) for number in range(2_000)]
    splits = split_stories(stories)
    sides = {story.id: name for name in ("train", "validation", "test") for story in getattr(splits, name)}
    assert len(sides) == len(stories)
    for story in stories:
        letters = "".join(filter(str.isalnum, story.text.lower()))
        place = int(hashlib.sha256(letters.encode()).hexdigest()[:16], 16)
        side = "validation" if place < 2**64 // 20 else "test" if place < 2**64 // 10 else "train"
        assert sides[story.id] == side


def test_split_shares():
    splits = split_stories((numbered(number) for number in range(10_000)), validation=0.2, test=0.1)
    # Binomial with n = 10,000: standard deviations of 40 and 30; five of them to either side.
    assert len(splits.validation) == pytest.approx(2_000, abs=200)
    assert len(splits.test) == pytest.approx(1_000, abs=150)
    assert len(splits.train) == 10_000 - len(splits.validation) - len(splits.test)


@given(st.lists(STORIES, max_size=12), st.lists(STORIES, max_size=12), st.randoms())
def test_story_never_changes_sides_when_the_file_grows(stories, more, random):
    grown = stories + more
    random.shuffle(grown)
    before, after = split_stories(stories, 0.3, 0.3), split_stories(grown, 0.3, 0.3)
    for name in ("train", "validation", "test"):
        assert set(getattr(before, name)) <= set(getattr(after, name))


@given(st.lists(STORIES, max_size=12), st.floats(0, 0.5), st.floats(0, 0.49))
def test_split_keeps_every_story_once_and_leaks_nothing(stories, validation, test):
    stories = stories + [replace(story, sentences=tuple(map(str.upper, story.sentences))) for story in stories]
    splits = split_stories(stories, validation, test)
    parts = splits.train + splits.validation + splits.test
    assert sorted(map(repr, parts)) == sorted(map(repr, stories))
    keys = [{normalise(story.text) for story in part} for part in (splits.train, splits.validation, splits.test)]
    # Upper-casing may change a letter for good ("ß" to "SS"); the two are different stories then.
    assert sum(map(len, keys)) == len(set().union(*keys))
    refuse_leakage(splits)


def test_split_keeps_the_order_of_the_file():
    splits = split_stories(numbered(number) for number in range(300))
    for part in (splits.train, splits.validation, splits.test):
        numbers = [int(story.id[1:]) for story in part]
        assert len(numbers) > 1 and numbers == sorted(numbers)


def test_share_of_nothing_is_empty():
    splits = split_stories([numbered(number) for number in range(500)], validation=0, test=0)
    assert (len(splits.train), splits.validation, splits.test) == (500, [], [])


@pytest.mark.parametrize(
    ("validation", "test"),
    [(-0.1, 0.1), (0.1, -0.1), (0.5, 0.5), (1, 0), (float("nan"), 0), (0, float("nan"))],
)
def test_shares_that_leave_no_training_stories(validation, test):
    with pytest.raises(StoryLabError, match=r"shares of .* must not be negative and must sum to less than 1"):
        split_stories([Story(HEN)], validation, test)


# Leakage

LEAKS = [
    ("train", "validation", "story 3 (id leak) of validation is also story 2 of train"),
    ("train", "test", "story 3 (id leak) of test is also story 2 of train"),
    ("validation", "test", "story 3 (id leak) of test is also story 2 of validation"),
]


@pytest.mark.parametrize(("first", "second", "expected"), LEAKS)
def test_leak_is_named_by_position_and_id(first, second, expected):
    shouted = Story(tuple(map(str.upper, HEN)), id="leak")
    sides = {"train": [numbered(1)], "validation": [numbered(2)], "test": [numbered(3)]}
    sides[first] += [Story(HEN, id="original")]
    sides[second] += [numbered(4), shouted]
    with pytest.raises(StoryLabError) as caught:
        refuse_leakage(Splits(**sides))
    assert str(caught.value) == expected


def test_leak_without_an_id():
    with pytest.raises(StoryLabError, match=r"^story 1 of test is also story 1 of train$"):
        refuse_leakage(Splits([Story(HEN)], [], [Story(HEN)]))


def test_duplicates_within_a_split_are_no_leak():
    refuse_leakage(Splits([Story(HEN), Story(HEN)], [Story(OWL), Story(OWL)], []))


@given(st.lists(STORIES, min_size=3, max_size=9, unique_by=lambda story: normalise(story.text)), st.data())
def test_any_story_put_on_a_second_side_is_found(stories, data):
    third = len(stories) // 3
    sides = [stories[:third], stories[third : 2 * third], stories[2 * third :]]
    refuse_leakage(Splits(*sides))
    leak = data.draw(st.sampled_from(stories))
    other = data.draw(st.sampled_from([side for side in sides if leak not in side]))
    other.insert(data.draw(st.integers(0, len(other))), leak)
    with pytest.raises(StoryLabError):
        refuse_leakage(Splits(*sides))


# Fingerprint


def test_fingerprint_of_one_story_by_hand():
    """SHA-256 over, for each sentence, its length in bytes as 8 big-endian bytes and then its UTF-8."""
    parts = (b"\0\0\0\0\0\0\0\x02A.", b"\0\0\0\0\0\0\0\x03\xc3\x89.", *[b"\0\0\0\0\0\0\0\x02B."] * 3)
    assert fingerprint([Story(("A.", "É.", "B.", "B.", "B."))]) == hashlib.sha256(b"".join(parts)).hexdigest()


def test_fingerprint_of_nothing_is_that_of_no_bytes():
    assert fingerprint([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@given(st.lists(STORIES, min_size=1, max_size=4), st.data())
def test_fingerprint_sees_every_change(stories, data):
    original = fingerprint(stories)
    place = data.draw(st.integers(0, len(stories) - 1))
    part = data.draw(st.integers(0, 4))
    sentence = data.draw(SENTENCES)
    assume(sentence != stories[place].sentences[part])
    changed = list(stories[place].sentences)
    changed[part] = sentence
    assert fingerprint([*stories[:place], Story(tuple(changed)), *stories[place + 1 :]]) != original
    assert fingerprint([*stories, stories[place]]) != original
    assert fingerprint(stories[:place] + stories[place + 1 :]) != original


def test_fingerprint_sees_order_and_boundaries():
    moved = ("A hen ran", "off. Ann saw it.", *HEN[2:])
    assert Story(moved).text == Story(HEN).text
    assert fingerprint([Story(moved)]) != fingerprint([Story(HEN)])
    assert fingerprint([Story(HEN), Story(OWL)]) != fingerprint([Story(OWL), Story(HEN)])


@given(st.lists(STORIES, max_size=4), SENTENCES, SENTENCES)
def test_fingerprint_does_not_see_ids_and_titles(stories, identity, title):
    assert fingerprint(stories) == fingerprint(replace(s, id=identity, title=title) for s in stories)


# Lengths


def test_length_statistics_by_hand():
    """Stories of 20, 10, 40 and 10 words, counted as tokens."""
    stories = [Story((sentence,) * 5) for sentence in ("a b c d", "one word", "a " * 8, "two words")]
    statistics = length_statistics(stories, {"words": str.split, "half": lambda text: text.split()[::2]})
    assert set(statistics) == {"words", "half"}
    words = statistics["words"]
    assert (words.stories, words.tokens, words.minimum, words.mean, words.maximum) == (4, 80, 10, 20.0, 40)
    assert words.words_per_sentence == 4.0  # 80 words in 20 sentences
    assert words.histogram == {10: 2, 20: 1, 40: 1}
    assert list(words.histogram) == [10, 20, 40]
    # Linear interpolation at position p/100 * 3 of the sorted lengths (10, 10, 20, 40).
    expected = {5: 10, 25: 10, 50: 15, 75: 25, 95: 37, 99: 39.4}
    assert words.percentiles == pytest.approx(expected)
    half = statistics["half"]
    assert (half.tokens, half.maximum, half.words_per_sentence) == (40, 20, 4.0)


def test_the_whole_text_is_measured_with_its_spaces():
    statistics = length_statistics([Story(HEN)], {"characters": list})["characters"]
    assert statistics.tokens == len(" ".join(HEN))


@pytest.mark.parametrize(("limit", "share"), [(0, 1), (9, 1), (10, 0.5), (19, 0.5), (20, 0.25), (39, 0.25), (40, 0)])
def test_share_cut_counts_stories_longer_than_the_limit(limit, share):
    stories = [Story((" ".join("w" * words),) * 5) for words in (2, 2, 4, 8)]
    assert length_statistics(stories, {"words": str.split})["words"].share_cut(limit) == share


def test_statistics_survive_json():
    statistics = length_statistics([Story(HEN), Story(OWL)], {"words": str.split})["words"]
    data = json.loads(json.dumps(statistics.to_dict()))
    assert data == statistics.to_dict()
    assert data["histogram"] == {"17": 1, "19": 1}
    assert set(data["percentiles"]) == {"5", "25", "50", "75", "95", "99"}
    assert data["stories"] == 2 and data["tokens"] == 36


@given(st.lists(STORIES, min_size=1, max_size=10), st.integers(0, 200))
def test_statistics_agree_with_each_other(stories, limit):
    statistics = length_statistics(stories, {"characters": list})["characters"]
    assert sum(statistics.histogram.values()) == statistics.stories == len(stories)
    assert sum(n * count for n, count in statistics.histogram.items()) == statistics.tokens
    percentiles = list(statistics.percentiles.values())
    assert [statistics.minimum, *percentiles, statistics.maximum] == sorted(
        [statistics.minimum, *percentiles, statistics.maximum]
    )
    assert statistics.share_cut(limit) == sum(len(s.text) > limit for s in stories) / len(stories)


def test_no_stories_cannot_be_measured():
    with pytest.raises(StoryLabError, match="no stories to measure"):
        length_statistics([], {"words": str.split})


# The tiny corpus of the project


def test_tiny_corpus_is_sound():
    stories = read_stories(TINY)
    assert [story.id for story in stories] == [f"t{number:03d}" for number in range(1, 65)]
    assert all(story.title and story.text.isascii() for story in stories)
    sentences = [normalise(sentence) for story in stories for sentence in story.sentences]
    assert len(set(sentences)) == len(sentences)


def test_tiny_corpus_has_every_side():
    splits = split_stories(read_stories(TINY))
    assert splits.train and splits.validation and splits.test
