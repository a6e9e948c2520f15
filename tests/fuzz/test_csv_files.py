"""CSV files of every make: stories come of them, or one line that says where they are no good."""

import csv
import io

import pytest
from hypothesis import strategies as st
from nonsense import cases, is_one_line, texts

from storylab.errors import StoryLabError
from storylab.evaluation.cloze import read_cloze
from storylab.exhibits.own import read_own
from storylab.inspection.corpus import read_corpus
from storylab.rows import MAX_ROW_CHARACTERS
from storylab.stories import read_stories

HEADER = ["storyid", "storytitle", *(f"sentence{number}" for number in range(1, 6))]
readable = texts.filter(lambda text: text.isprintable())
tables = st.lists(st.lists(readable, min_size=5, max_size=8), max_size=4)
codecs = st.sampled_from(("utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252", "utf-7"))
damages = st.sampled_from(
    (b"", b'"', b'""', b"\0", b"\xff", b"\r", b"\n\n", b",", b"\xef\xbb\xbf", b"\x1a", b"\xed\xa0\x80")
)


def written(rows: list[list[str]], header: list[str], separator: str, codec: str, line_end: str) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator, lineterminator=line_end).writerows([header, *rows])
    return text.getvalue().encode(codec, "replace")


files = st.one_of(
    st.binary(max_size=300),
    st.builds(
        lambda made, damage, place: made[: place % (len(made) + 1)] + damage + made[place % (len(made) + 1) :],
        st.builds(
            written,
            tables,
            st.one_of(st.just(HEADER), st.permutations(HEADER), st.lists(readable, max_size=8)),
            st.sampled_from((",", ";", "\t")),
            codecs,
            st.sampled_from(("\n", "\r\n", "\r")),
        ),
        damages,
        st.integers(0, 2000),
    ),
)


def refused_or_read(read, path) -> None:
    before = path.read_bytes()
    try:
        found = read(path)
    except StoryLabError as error:
        assert is_one_line(error) and path.name in str(error)
    else:
        assert found
    assert path.read_bytes() == before


@cases(200, read=st.sampled_from((read_stories, read_corpus, read_own, read_cloze)), content=files)
def test_any_file_is_read_or_refused(folder, read, content):
    path = folder / "stories.csv"
    path.write_bytes(content)
    refused_or_read(read, path)


def sized(kind: str) -> bytes:
    header, row = (",".join(HEADER) + "\n").encode(), b"1,t,a,b,c,d,e\n"
    return {
        "empty": b"",
        "only a mark": b"\xef\xbb\xbf",
        "ten million columns": b"," * 10_000_000,
        "ten million columns in a row": header + b"," * 10_000_000,
        "a megabyte in a field": header + b"1,t," + b"a" * 1_000_000 + b",b,c,d,e\n",
        "a quote left open": header + row + b'1,t,"a,b,c,d,e\n' + row * 100_000,
        "a thousand blank lines": header + b"\n" * 1000,
        "ten thousand names": ",".join(f"sentence{number}" for number in range(10_000)).encode() + b"\n",
    }[kind]


@pytest.mark.parametrize(
    "kind",
    [
        "empty",
        "only a mark",
        "ten million columns",
        "ten million columns in a row",
        "a megabyte in a field",
        "a quote left open",
        "a thousand blank lines",
        "ten thousand names",
    ],
)
def test_a_file_of_a_strange_size_is_refused(folder, kind):
    path = folder / "stories.csv"
    path.write_bytes(sized(kind))
    with pytest.raises(StoryLabError) as refusal:
        read_stories(path)
    assert is_one_line(refusal.value)
    assert MAX_ROW_CHARACTERS < 10_000_000


@pytest.mark.parametrize("lines", ["\ufeff{}\n{}\n", "{}\r\n{}\r\n", "{}\n\n{}"])
def test_what_spreadsheets_write_is_read(folder, lines):
    (folder / "stories.csv").write_bytes(lines.format(",".join(HEADER), '1,t,"""A"", é.",B.,C.,D.,E.').encode())
    assert [story.sentences[0] for story in read_stories(folder / "stories.csv")] == ['"A", é.']
