"""Stopping: where a sentence ends, by examples, and the invariants that streaming leans on."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storylab.decoding.stopping import ends_with_stop, first_sentences, split_sentences

EXAMPLES = """
He left. | She cried. | They slept.
he left. | she cried. | they slept
A last piece without a stop | is no second one.
Mr. Smith went home. | Mrs. Jones and Dr. Lee stayed.
mr. smith went home. | ms. jones stayed.
St. Mark's is old. | Mt. Etna is older.
She went to see the Dr. | He was kind.
They live on Main St. | It is loud.
He lives in the U.S. | She does not.
The U.S. Army came. | It left the U.S. in May.
She has a Ph.D. in art. | He has none.
J. K. Rowling wrote it. | George W. Bush read it.
J. A. Smith wrote it.
It was my brother and I. | We left.
She got an A. | Tom got a B. | They left.
It has vitamin C. | Oranges have it too.
He met Sammy Davis Jr. | He wept.
He works at Acme Inc. in town. | She runs Acme Corp. | They met there.
She woke at 5 a.m. and ran.
She woke at 5 a.m. | Tom did not.
At 5 p.m. Tom left. | At around six p.m. I followed.
The bus came at 5 p.m. Friday. | We took it.
He ate eggs, ham, etc. and left. | She ate bread, jam, etc. | They were full.
Some fruits, e.g. Apples, are red. | It was Tom vs. Anna.
No. 5 was alive on Dec. 24. | She said no. | It was Dec. | It snowed.
It cost $3.50. | He paid. | Version 2.0 cost 5. | 3 were sold.
1. Eggs and milk. | 2. Bread.
Wait... what? | Yes.
Wait… what? | Yes.
It was dark... | Nobody came.
She asked why?! | Then left.
He won!!! | She wept.
He won! | she wept. | did he? | yes.
Oh! how he wept. | Alas! the end.
What a day! said Tom. | He left.
He said, "Stop!" and left. | She stayed.
"Stop!" he said. | He left.
"Stop!" Tom said. | He left.
"Stop!" the old man cried. | He left.
"Why?" asked Tom. | "Because." | He left.
"Are you well?" | She nodded.
He yelled "Stop!" | Tom said no.
He said, "I am tired." | She left. | "Go on," he said.
He said “No.” | She left. | ‘Why?’ he cried. | “Go!” she said.
'Stop!' he cried. | She did.
he said "no." | she left. | "yes!" he cried.
Tom said, "I am tired. | I want to sleep." | She agreed.
(He left.) | She ran (far away.) | [The end.]
*He left.* | _She ran._ | They slept.
He cried, hooray! " | She left.
He won. 🙂 | She wept 🙂. | They slept.
It ended.She began. | He said so.
....................
. . . . .
Hm... ... | Well.
"""


@pytest.mark.parametrize("example", EXAMPLES.strip().splitlines())
def test_sentences_end_where_a_reader_ends_them(example):
    if example.startswith("A last piece"):
        example = example.replace(" | ", " ")
    sentences = example.split(" | ")
    assert split_sentences(" ".join(sentences)) == sentences


def test_a_blank_line_ends_a_sentence_and_a_line_break_does_not():
    assert split_sentences("A title\n\nHe left\nhome.  She\tran.\n \n") == [
        "A title",
        "He left home.",
        "She ran.",
    ]


@pytest.mark.parametrize("text", ["", " ", "\n\n\n"])
def test_nothing_has_no_sentences(text):
    assert split_sentences(text) == []
    assert first_sentences(text, 1) == (text, False)


def test_the_text_is_cut_where_one_sentence_more_begins():
    text = " He left.  She ran\n home. They"
    assert first_sentences(text, 1) == (" He left.", True)
    assert first_sentences(text, 2) == (" He left.  She ran\n home.", True)
    assert first_sentences(text, 3) == (text, False)
    assert first_sentences("He left. ", 1) == ("He left. ", False)
    with pytest.raises(ValueError):
        first_sentences(text, 0)


def test_streaming_cuts_once_the_next_word_decides():
    for text, cut in [
        ("He left. S", True),  # whatever begins there
        ('He left. "', False),  # may close a quotation
        ('He left. "S', True),
        ("He left. ..", False),
        ("In the U.S. The", False),  # may become Theodore
        ("In the U.S. The ", True),
        ('"Go!" Tom', False),  # Tom said?
        ('"Go!" Tom ran for home', True),
    ]:
        assert first_sentences(text, 1)[1] is cut, text


AWKWARD = """
he she Tom The I it's said "Go Go!" "Go!" go." "Why?" “No.” ‘no’ Mr. Dr. St. U.S. a.m. p.m. 5 3.5 No. J. A a.
an I. etc. e.g. vs. Jr. home. ran? won! why?! oh... … . ... ! " ' ) (He him.) - — , home.," 🙂 At and left.
Friday 1. Oh! -- *go.* at-risk he'd Dec. end.) z
"""
WORDS = st.sampled_from(AWKWARD.split())
SPACES = st.sampled_from([" ", " ", " ", "  ", "\n", "\n\n"])
TEXTS = st.lists(st.tuples(WORDS, SPACES), max_size=25).map(lambda pairs: "".join(map("".join, pairs)))


@given(TEXTS | st.text(alphabet=' \n.!?…,"”)aAIbS5-🙂', max_size=60) | st.text(max_size=60))
def test_the_sentences_joined_are_the_text(text):
    sentences = split_sentences(text)
    assert " ".join(sentences) == " ".join(text.split())
    assert all(sentences)


@given(TEXTS | st.text(max_size=60), st.integers(1, 5))
def test_what_is_cut_is_the_beginning_of_the_text(text, n):
    cut, was_cut = first_sentences(text, n)
    assert text.startswith(cut)
    assert was_cut == (len(split_sentences(text)) > n)
    if was_cut:
        assert cut == cut.rstrip() and len(cut) < len(text)
        assert first_sentences(cut, n) == (cut, False)


# "3." ends a word until "5" follows, so the decimals stay out.
@given(TEXTS.filter(lambda text: "3.5" not in text), st.integers(1, 4))
def test_what_is_cut_while_streaming_is_cut_there_whatever_follows(text, n):
    cuts = [first_sentences(text[:length], n) for length in range(len(text) + 1)]
    kept = {cut for cut, was_cut in cuts if was_cut}
    assert len(kept) <= 1
    if kept:
        assert cuts[-1] == (kept.pop(), True)


@given(TEXTS.filter(lambda text: "\n\n" not in text), st.integers(1, 4))
def test_the_cut_text_has_the_same_sentences(text, n):
    assert split_sentences(first_sentences(text, n)[0])[:n] == split_sentences(text)[:n]


@pytest.mark.parametrize(
    "text",
    [
        "." * 100_000,
        ". " * 20_000,
        '"' * 50_000,
        "! " * 9_999 + "x",
        "a.b" * 30_000,
        "\n" * 50_000,
        "_" * 50_000,
    ],
)
@pytest.mark.timeout(20)
def test_long_rubbish_takes_no_long_time(text):
    assert " ".join(split_sentences(text)) == " ".join(text.split())


def test_a_sentence_is_finished_by_a_stop():
    for sentence in ("He left.", 'He said "no."', "Why?!", "So…", "(Gone.)", "He left. "):
        assert ends_with_stop(sentence)
    for sentence in ("", "He left", "He left,", '"', "3.5", "He left. She"):
        assert not ends_with_stop(sentence)


@pytest.mark.rocstories
@pytest.mark.parametrize("name", ["test.csv", "valid.csv"])
def test_human_stories_split_into_their_sentences(name, rocstories):
    """At least 98%: the rest has sentences that were written without a stop."""
    with open(rocstories / name, encoding="utf-8-sig", newline="") as file:
        stories = [[" ".join(row[f"sentence{k}"].split()) for k in range(2, 6)] for row in csv.DictReader(file)]
    right = sum(split_sentences(" ".join(sentences)) == sentences for sentences in stories)
    assert right / len(stories) >= 0.98
