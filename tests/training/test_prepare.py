"""From text files to rows of tokens: nothing lost, nothing moved from one side to the other, nothing half done."""

import gzip
import hashlib
import json
import lzma
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from storylab.errors import StoryLabError
from storylab.tokenizers import load_tokenizer, train_vocabulary, vocabulary_hash
from storylab.training import prepare as prepare_module
from storylab.training.cli import main
from storylab.training.prepare import PrepareRecipe, TextFile, prepare, read_prepare_recipe
from storylab.training.texts import END_OF_DOCUMENT, documents

PACKERS = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}
LIGHTHOUSE = ["The lamp went out at nine.", "Mina climbed the stairs with a candle.", "By ten the ships could see."]
ORCHARD = ["Old Piet owned four pear trees.", "He gave the fruit away."]
NAÏVE = ["Zoë's café opened — “at last!” — in May. 😀"]


def text_of(*found: list[str], end: str = "\n") -> str:
    """A text file of documents, a paragraph a line."""
    return f"{end}{END_OF_DOCUMENT}{end}".join(end.join(paragraphs) for paragraphs in found) + end


@pytest.fixture
def texts(tmp_path):
    """The folder for text files."""
    (tmp_path / "texts").mkdir()
    return tmp_path / "texts"


@pytest.fixture
def make(texts, tmp_path, vocabulary):
    """A function that prepares files of `texts` into the folder `prose`; `changes` are the recipe's."""

    def make(*files: str, target: str = "prose", **changes) -> Path:
        listed = [TextFile(file=file, source="the test", license="CC0") for file in files]
        recipe = PrepareRecipe(**{"vocabulary": str(vocabulary), "validation": 0.5, "texts": listed} | changes)
        return prepare(recipe, str(texts), tmp_path / target)

    return make


def about(folder) -> dict:
    return json.loads((folder / "prose.json").read_text(encoding="utf-8"))


def side(folder, name: str) -> list[list[int]]:
    """The documents of a side as token ids, without their start and end tokens, which must be there."""
    row = np.fromfile(folder / f"{name}.bin", dtype=about(folder)["dtype"]).tolist()
    found, at = [], 0
    while at < len(row):
        end = row.index(2, at)  # </s>
        assert row[at] == 1  # <s>
        found.append(row[at + 1 : end])
        at = end + 1
    assert not {0, 1, 2, 3} & {token for ids in found for token in ids}
    return found


def told(folder, name: str, vocabulary) -> list[list[str]]:
    """The documents of a side as paragraphs; our vocabulary puts a blank before each, as before every word."""
    tokenizer = load_tokenizer(vocabulary)
    return [tokenizer.decode(ids).split("\n ") for ids in side(folder, name)]


def everything(folder, vocabulary) -> list[list[str]]:
    return told(folder, "train", vocabulary) + told(folder, "validation", vocabulary)


# What is read


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "BOM"])
def test_rows_decode_to_the_very_texts(make, texts, vocabulary, packing, end, mark):
    found = [LIGHTHOUSE, ORCHARD, NAÏVE]
    content = mark + text_of(*found, end=end).encode()
    (texts / f"tales.txt{packing}").write_bytes(PACKERS[packing](content))
    folder = make(f"tales.txt{packing}")
    assert sorted(everything(folder, vocabulary)) == sorted(found)
    assert {path.name for path in folder.iterdir()} == {"train.bin", "validation.bin", "prose.json"}


@pytest.mark.parametrize(
    "text",
    [
        text_of([], LIGHTHOUSE, [], [], ORCHARD, []),
        text_of(["", " ", *LIGHTHOUSE, "\t"], ["\u3000", *ORCHARD, ""]),
        text_of(LIGHTHOUSE, ORCHARD).replace(END_OF_DOCUMENT, f"  {END_OF_DOCUMENT} "),
        text_of(LIGHTHOUSE, ORCHARD).replace("\n", "\n\n   "),
        text_of(LIGHTHOUSE, ORCHARD).rstrip("\n"),
    ],
    ids=["empty documents", "blank lines", "blanks around the mark", "wide lines", "no last line break"],
)
def test_documents_without_text_and_blank_lines_are_left_out(make, texts, vocabulary, text):
    (texts / "tales.txt").write_text(text, encoding="utf-8")
    folder = make("tales.txt")
    assert sorted(everything(folder, vocabulary)) == sorted([LIGHTHOUSE, ORCHARD])
    assert [row["documents"] for row in about(folder)["texts"]] == [2]


def test_a_file_without_text_adds_nothing(make, texts, vocabulary):
    (texts / "blank.txt").write_text(f"\n{END_OF_DOCUMENT}\n \n", encoding="utf-8")
    (texts / "tales.txt").write_text(text_of(LIGHTHOUSE, ORCHARD), encoding="utf-8")
    folder = make("blank.txt", "tales.txt")
    assert [(row["documents"], row["words"]) for row in about(folder)["texts"]] == [(0, 0), (2, 30)]
    assert sorted(everything(folder, vocabulary)) == sorted([LIGHTHOUSE, ORCHARD])


def test_a_file_ends_its_last_document(make, texts, vocabulary):
    (texts / "a.txt").write_text("\n".join(LIGHTHOUSE), encoding="utf-8")
    (texts / "b.txt").write_text("\n".join(ORCHARD), encoding="utf-8")
    assert sorted(everything(make("a.txt", "b.txt"), vocabulary)) == sorted([LIGHTHOUSE, ORCHARD])


def test_tokens_typed_in_a_text_are_text(make, texts, vocabulary):
    found = [["</s> she typed <s>", "<pad> and <unk>"], [f"not a mark: {END_OF_DOCUMENT} here"]]
    (texts / "tales.txt").write_text(text_of(*found), encoding="utf-8")
    assert sorted(everything(make("tales.txt"), vocabulary)) == sorted(found)


PARAGRAPHS = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), min_size=1, max_size=20)
    .map(str.strip)
    .filter(lambda text: text and text != END_OF_DOCUMENT),
    min_size=1,
    max_size=4,
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PARAGRAPHS, min_size=1, max_size=5))
def test_no_character_is_lost_or_added(make, texts, vocabulary, found):
    (texts / "any.txt").write_bytes(b"\xef\xbb\xbf" + text_of(*found).encode())
    tokenizer = load_tokenizer(vocabulary)
    folder = make("any.txt")
    decoded = [tokenizer.decode(ids) for name in ("train", "validation") for ids in side(folder, name)]
    assert sorted(decoded) == sorted("\n ".join(paragraphs) for paragraphs in found)


def test_gpt2s_vocabulary_gives_the_very_text_between_its_end_tokens(make, texts, gpt2_tokenizer):
    (texts / "tales.txt").write_text(text_of(LIGHTHOUSE, ORCHARD, NAÏVE), encoding="utf-8")
    folder = make("tales.txt", vocabulary=str(gpt2_tokenizer), validation=1e-9)
    row = np.fromfile(folder / "train.bin", dtype=about(folder)["dtype"]).tolist()
    end = 50256  # its only special token begins a document and ends it
    tokenizer = load_tokenizer(gpt2_tokenizer)
    expected = "".join(f"\0{text}\0" for text in map("\n".join, (LIGHTHOUSE, ORCHARD, NAÏVE)))
    runs, text = [[]], ""
    for token in row:
        if token == end:
            text += tokenizer.decode(runs[-1]) + "\0"
            runs.append([])
        else:
            runs[-1].append(token)
    assert text == expected and not runs[-1]


def test_how_many_paragraphs_are_tokenised_at_a_time_changes_nothing(make, texts, monkeypatch):
    found = [[f"Line {line} of tale {tale}." for line in range(1 + tale % 4)] for tale in range(12)]
    (texts / "tales.txt").write_text(text_of(*found), encoding="utf-8")
    whole = make("tales.txt", target="whole")
    for size in (1, 3, 5):
        monkeypatch.setattr(prepare_module, "BATCH", size)
        cut = make("tales.txt", target=f"by-{size}")
        for path in whole.iterdir():
            assert (cut / path.name).read_bytes() == path.read_bytes(), path.name


# What is counted


def test_counts_are_those_of_the_texts_and_of_the_rows(make, texts, vocabulary):
    tales = [[f"Tale {number} begins.", *["It goes on and on."] * (number % 3)] for number in range(20)]
    (texts / "a.txt").write_text(text_of(*tales[:5]), encoding="utf-8")
    (texts / "b.txt.xz").write_bytes(lzma.compress(text_of(*tales[5:]).encode()))
    folder = make("a.txt", "b.txt.xz")
    saved = about(folder)
    words = lambda found: sum(len(paragraph.split()) for paragraphs in found for paragraph in paragraphs)  # noqa: E731
    rows = [{key: row[key] for key in ("file", "documents", "words")} for row in saved["texts"]]
    assert rows == [
        {"file": "a.txt", "documents": 5, "words": words(tales[:5])},
        {"file": "b.txt.xz", "documents": 15, "words": words(tales[5:])},
    ]
    assert all(row["source"] == "the test" and row["license"] == "CC0" for row in saved["texts"])
    for name in ("train", "validation"):
        found, content = told(folder, name, vocabulary), (folder / f"{name}.bin").read_bytes()
        assert saved[name] == {
            "documents": len(found),
            "words": words(found) + len(found),  # an end counts as a word, as in the measure per word
            "tokens": len(content) // 2,
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        assert len(found) > 3
    assert saved["vocabulary"] == vocabulary_hash(load_tokenizer(vocabulary))
    assert saved["dtype"] == "<u2"  # 8,000 pieces fit


def test_a_vocabulary_is_known_by_its_pieces(vocabulary):
    ours = load_tokenizer(vocabulary)
    other = train_vocabulary(["another text with other words"] * 3, 300, threads=1)
    assert vocabulary_hash(ours) == vocabulary_hash(load_tokenizer(vocabulary)) != vocabulary_hash(other)
    other.add_tokens(["storyland"])
    assert vocabulary_hash(other) != vocabulary_hash(train_vocabulary(["another text with other words"] * 3, 300))


def test_a_vocabulary_too_large_for_two_bytes_a_token_takes_four(make, texts, tmp_path):
    words = ["<s>", "</s>", *(f"w{number}" for number in range(70_000))]
    model = models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="w0")
    large = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(model), bos_token="<s>", eos_token="</s>")
    large.save_pretrained(tmp_path / "large")
    (texts / "tales.txt").write_text("w69999\n", encoding="utf-8")
    folder = make("tales.txt", vocabulary=str(tmp_path / "large"), validation=1e-9)
    assert about(folder)["dtype"] == "<u4"
    assert np.fromfile(folder / "train.bin", dtype="<u4").tolist() == [0, 70_001, 1]


# Which side a document is on


@pytest.fixture(scope="module")
def tales():
    return [[f"Tale {number} is about a {thing}."] for number in range(100) for thing in ("fox", "drum", "well")]


def held_out(folder, vocabulary) -> set[str]:
    return {paragraphs[0] for paragraphs in told(folder, "validation", vocabulary)}


def test_the_side_of_a_document_hangs_on_its_beginning_alone(make, texts, vocabulary, tales):
    (texts / "all.txt").write_text(text_of(*tales), encoding="utf-8")
    (texts / "turned.txt").write_text(text_of(*reversed(tales)), encoding="utf-8")
    (texts / "a.txt.gz").write_bytes(gzip.compress(text_of(*tales[:50]).encode()))
    (texts / "b.txt").write_text(text_of(*([*tale, "And so on."] for tale in tales[50:])), encoding="utf-8", newline="")
    sides = [
        held_out(make("all.txt"), vocabulary),
        held_out(make("turned.txt"), vocabulary),
        held_out(make("a.txt.gz", "b.txt"), vocabulary),
        held_out(make("b.txt", "a.txt.gz"), vocabulary),
    ]
    assert all(found == sides[0] for found in sides)
    first = held_out(make("a.txt.gz"), vocabulary)
    assert first == sides[0] & {tale[0] for tale in tales[:50]}


def test_documents_that_begin_alike_are_on_one_side(make, texts, vocabulary):
    found = [[f"Fable {number % 10}", f"Told for the {number}th time."] for number in range(60)]
    (texts / "fables.txt").write_text(text_of(*found), encoding="utf-8")
    folder = make("fables.txt")
    sides = [{paragraphs[0] for paragraphs in told(folder, name, vocabulary)} for name in ("train", "validation")]
    assert len(sides[0]) + len(sides[1]) == 10 and not sides[0] & sides[1]


def test_the_share_held_out_is_about_what_was_asked_for(make, texts, vocabulary, tales):
    (texts / "all.txt").write_text(text_of(*tales), encoding="utf-8")
    before: set[str] = set()
    for share in (0.02, 0.1, 0.3, 0.7):
        found = held_out(make("all.txt", validation=share), vocabulary)
        # Four standard deviations of a binomial of 300; always the same documents, so this never flickers.
        assert abs(len(found) - 300 * share) < 4 * (300 * share * (1 - share)) ** 0.5
        assert before <= found  # a larger share holds a smaller one
        before = found


# What is refused


def contents(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def damaged(how: str) -> tuple[str, bytes]:
    """A file's name, and content that can't be read to its end."""
    whole = text_of(*([f"Tale {number} is about {number * 7919} foxes."] for number in range(200))).encode()
    suffix = {"gz": ".gz", "xz": ".xz"}.get(how.split()[0], "")
    content = bytearray(PACKERS[suffix](whole))
    middle = len(content) // 2
    if how.endswith("cut short"):
        content = content[:middle]
    elif how.endswith("bits flipped"):
        content[middle : middle + 40] = bytes(byte ^ 0x5A for byte in content[middle : middle + 40])
    elif how.endswith("another end"):
        content[-6:] = bytes(6)
    elif how.endswith("plain"):
        content = whole
    else:
        content[middle] = 0xFF
    return f"tales.txt{suffix}", bytes(content)


@pytest.mark.parametrize("older", [False, True], ids=["anew", "in place of an older one"])
@pytest.mark.parametrize(
    "how",
    [
        "gz cut short", "gz bits flipped", "gz another end", "gz plain",
        "xz cut short", "xz bits flipped", "xz another end", "xz plain",
        "not UTF-8",
    ],
)  # fmt: skip
def test_a_damaged_file_is_named_and_nothing_is_left_half_done(make, texts, tmp_path, how, older):
    (texts / "whole.txt").write_text(text_of(LIGHTHOUSE, ORCHARD), encoding="utf-8")
    if older:
        make("whole.txt")
    name, content = damaged(how)
    (texts / name).write_bytes(content)
    before = contents(tmp_path)
    with pytest.raises(StoryLabError) as refused:
        make("whole.txt", name)
    message = str(refused.value)
    assert message.startswith(f"{texts / name} can't be read") and "\n" not in message
    assert contents(tmp_path) == before
    assert {path.name for path in tmp_path.iterdir()} == {"texts"} | ({"prose"} if older else set())


@pytest.mark.parametrize("which", ["text", "credits", "folder", "none"])
def test_what_is_not_there_is_refused_before_any_work(make, texts, tmp_path, vocabulary, which):
    (texts / "tales.txt").write_text(text_of(LIGHTHOUSE), encoding="utf-8")
    listed = [
        TextFile(file="tales.txt", source="", license="", credits="thanks.tsv" if which == "credits" else ""),
        TextFile(file="gone.txt.xz" if which == "text" else "tales.txt", source="", license=""),
    ]
    recipe = PrepareRecipe(vocabulary=str(vocabulary), texts=listed)
    folder = {"folder": str(tmp_path / "nowhere"), "none": None}.get(which, str(texts))
    named = {"text": "gone.txt.xz", "credits": "thanks.tsv", "folder": "nowhere", "none": "--texts"}[which]
    with pytest.raises(StoryLabError, match=named):
        prepare(recipe, folder, tmp_path / "runs" / "prose")
    assert not (tmp_path / "runs").exists()


def test_a_folder_without_a_vocabulary_is_refused(make, texts, tmp_path):
    (texts / "tales.txt").write_text(text_of(LIGHTHOUSE), encoding="utf-8")
    with pytest.raises(StoryLabError, match="no readable tokenizer"):
        make("tales.txt", vocabulary=str(texts))
    assert not (tmp_path / "prose").exists()


def test_an_older_folder_is_replaced_whole(make, texts, tmp_path, vocabulary):
    (texts / "a.txt").write_text(text_of(LIGHTHOUSE), encoding="utf-8")
    (texts / "b.txt").write_text(text_of(ORCHARD), encoding="utf-8")
    folder = make("a.txt")
    (folder / "CREDITS.tsv").write_text("of other texts", encoding="utf-8")
    assert everything(make("b.txt"), vocabulary) == [ORCHARD]
    assert {path.name for path in folder.iterdir()} == {"train.bin", "validation.bin", "prose.json"}
    assert {path.name for path in tmp_path.iterdir()} == {"texts", "prose"}


# Credits

THANKS = "file\ttitle\tcredits\n"


@pytest.fixture
def credited(texts, make):
    """A function that prepares two texts, the second packed, credited by a TSV of so much content."""

    def prepare_credited(content: bytes) -> Path:
        (texts / "a.txt").write_text(text_of(LIGHTHOUSE), encoding="utf-8")
        (texts / "b.txt.xz").write_bytes(lzma.compress(text_of(ORCHARD).encode()))
        (texts / "thanks.tsv").write_bytes(content)
        listed = [
            TextFile(file=file, source="", license="CC BY", credits="thanks.tsv") for file in ("a.txt", "b.txt.xz")
        ]
        return make(texts=listed)

    return prepare_credited


def test_authors_are_credited_of_the_files_that_were_used(credited):
    rows = ['a.txt\tThe "Lamp"\tText: Ada\n', "c.txt\tUnused\tText: Nobody\n", "b.txt\tPears\tText: Bo; Art: Çelik\n"]
    folder = credited((THANKS + "".join(rows)).encode())
    assert (folder / "CREDITS.tsv").read_text(encoding="utf-8") == THANKS + rows[0] + rows[2]


def test_a_packed_file_is_credited_by_its_own_name_too(credited):
    # What the recipe says: "rows with this file's name in the column `file`".
    content = f"{THANKS}a.txt\tThe Lamp\tText: Ada\nb.txt.xz\tPears\tText: Bo\n"
    assert (credited(content.encode()) / "CREDITS.tsv").read_text(encoding="utf-8") == content


def test_a_recipe_that_names_no_credits_writes_none(make, texts):
    (texts / "a.txt").write_text(text_of(LIGHTHOUSE), encoding="utf-8")
    assert not (make("a.txt") / "CREDITS.tsv").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"name\tthanks\na.txt\tAda\n",
        b"file\ttitle\na.txt\tThe Lamp\n",
        f"{THANKS}a.txt\tThe Lamp\n".encode(),
        f"{THANKS}a.txt\tThe Lamp\tText: Zoë\n".encode("latin-1"),
    ],
    ids=["empty", "other columns", "a column less", "a short row", "not UTF-8"],
)
def test_credits_that_can_not_be_read_are_refused_by_name(credited, tmp_path, content):
    with pytest.raises(StoryLabError, match=r"thanks\.tsv") as refused:
        credited(content)
    assert "\n" not in str(refused.value)
    assert {path.name for path in tmp_path.iterdir()} == {"texts"}


# The recipe and the command


def test_the_projects_recipe_names_a_source_and_a_licence_of_each_text(root):
    recipe = read_prepare_recipe(root / "train" / "prepare.toml")
    assert len(recipe.texts) >= 5 and 0 < recipe.validation <= 0.05
    assert all(text.source and text.license for text in recipe.texts)
    assert all(text.credits for text in recipe.texts if text.license.startswith("CC BY"))
    assert (root / recipe.vocabulary / "tokenizer.json").is_file()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("validation=0", "validation"),
        ("validation=1", "validation"),
        ("validation=-0.1", "validation"),
        ("validation=nan", "validation"),
        ("validation=some", "validation"),
        ("validation=true", "validation"),
        ("texts=[]", "no texts"),
        ("texts=5", "texts"),
        ('texts=[{file="a.txt"}]', "texts"),
        ('texts=[{file="a.txt", source="s", license="l", author="a"}]', "author"),
        ('texts=[{file=5, source="s", license="l"}]', "texts"),
        ("text=a.txt", "'text'"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(root, change, named):
    with pytest.raises(StoryLabError) as refused:
        read_prepare_recipe(root / "train" / "prepare.toml", [change])
    assert named in str(refused.value) and "\n" not in str(refused.value)


def test_the_command_prepares_into_runs(root, texts, tmp_path, vocabulary, monkeypatch, capsys):
    (tmp_path / "train").mkdir()
    shutil.copyfile(root / "train" / "prepare.toml", tmp_path / "train" / "prepare.toml")
    (texts / "tales.txt").write_text(text_of(LIGHTHOUSE, ORCHARD), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    listed = 'texts=[{file="tales.txt", source="the test", license="CC0"}]'
    changes = ["--set", f"vocabulary={vocabulary}", "--set", listed]
    assert main(["prepare", "--texts", "texts", *changes], tmp_path / "train") == 0
    folder = tmp_path / "runs" / "prose"
    assert capsys.readouterr().out == f"{folder}\n"
    assert sorted(everything(folder, vocabulary)) == sorted([LIGHTHOUSE, ORCHARD])

    assert main(["prepare", *changes], tmp_path / "train") == 2
    assert capsys.readouterr().err == "train: prepare reads text files: add --texts FOLDER\n"


# One line at a time


def test_documents_are_read_one_paragraph_at_a_time(texts):
    """A damaged end shows only when it is reached: nothing reads a file whole."""
    name, content = damaged("xz cut short")
    (texts / name).write_bytes(content)
    found = documents(texts / name)
    assert next(found) == (True, "Tale 0 is about 0 foxes.")
    with pytest.raises(StoryLabError):
        list(found)
