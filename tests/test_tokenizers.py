import io
import json
import shutil
from types import SimpleNamespace

import pytest
import sentencepiece
from hypothesis import example, given
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from storylab.errors import StoryLabError
from storylab.stories import read_stories
from storylab.tokenizers import (
    END,
    END_ID,
    PAD,
    PAD_ID,
    START,
    START_ID,
    UNKNOWN,
    UNKNOWN_ID,
    encode,
    load_tokenizer,
    shared_tokenizer,
    start_token,
    train_vocabulary,
)

SIZE = 1000
SPECIAL_IDS = {PAD_ID, START_ID, END_ID, UNKNOWN_ID}
SPECIAL_TEXTS = ["<|endoftext|>", "</s>", "<pad>", "<s>", "<unk>", "<0x0A>"]
# Any text but lone surrogates, which no UTF-8 holds.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
AWKWARD_TEXTS = {
    "empty": "",
    "one blank": " ",
    "blanks around and between": "   two  blanks,\u00a0and   one that doesn't break ",
    "SentencePiece's blank": "\u2581",
    "SentencePiece's blank among others": " \u2581 \u2581\u2581the dog\u2581ran",
    "emoji": "🙂 a 👩‍👩‍👧 family, a 🇩🇪 flag, a 👍🏽 thumb",
    "control characters": "a\tb\r\nc\x07\x1b[0m\x7f\x85",
    "NUL": "\x00in\x00between\x00",
    "right to left": "שלום \u202eabc\u202c مرحبا",
    "combining": "e\u0301 is not \u00e9, o\u0302\u0323",
    "byte order mark": "\ufeffStory",
    "last code point": "\U0010ffff\ufffe\uffff",
    "replacement character": "\ufffd",
    "digits": "In 1984 he ran 3.5 miles, 007.",
}


@pytest.fixture(scope="module")
def texts(tiny_csv) -> list[str]:
    return [story.text for story in read_stories(tiny_csv)]


@pytest.fixture(scope="module")
def fresh(texts) -> PreTrainedTokenizerFast:
    return train_vocabulary(texts, SIZE, threads=1)


@pytest.fixture(scope="module")
def checkpoint(fresh, tmp_path_factory):
    """A checkpoint folder: the tokenizer beside the configuration of a model that transformers doesn't know."""
    folder = tmp_path_factory.mktemp("checkpoint")
    fresh.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "nobody-registered-this"}))
    return folder


@pytest.fixture(scope="module", params=["fresh", "AutoTokenizer", "load_tokenizer"])
def tokenizer(request, fresh, checkpoint):
    """The tokenizer as it was learnt, and as a program with and without StoryLab opens what was saved."""
    if request.param == "fresh":
        return fresh
    return AutoTokenizer.from_pretrained(checkpoint) if request.param == "AutoTokenizer" else load_tokenizer(checkpoint)


@pytest.fixture(scope="module")
def gpt2(gpt2_tokenizer, tmp_path_factory):
    """GPT-2's tokenizer, in a folder that says whose it is, as on the Hub."""
    folder = tmp_path_factory.mktemp("gpt2")
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(gpt2_tokenizer / name, folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    return load_tokenizer(folder)


@pytest.fixture(scope="module")
def shipped(root):
    """The vocabulary that the project's models share."""
    return load_tokenizer(root / "train" / "vocabulary")


@pytest.fixture(scope="module")
def peer(texts) -> sentencepiece.SentencePieceProcessor:
    """SentencePiece's own model of the corpus, with the options that the vocabulary is described by."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=model,
        model_type="bpe",
        vocab_size=SIZE,
        byte_fallback=True,
        character_coverage=0.9999,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        split_digits=True,
        num_threads=1,
        pad_id=0,
        bos_id=1,
        eos_id=2,
        unk_id=3,
        minloglevel=2,
    )
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


def check_round_trip(tokenizer, text: str) -> None:
    ids = encode(tokenizer, text)
    assert tokenizer.decode(ids) == text
    assert not SPECIAL_IDS & set(ids)


# The vocabulary


def test_the_vocabulary_has_the_size_asked_for_and_a_piece_for_every_byte(fresh):
    vocabulary = fresh.get_vocab()
    assert len(fresh) == len(vocabulary) == SIZE
    assert sorted(vocabulary.values()) == list(range(SIZE))
    assert all(f"<0x{byte:02X}>" in vocabulary for byte in range(256))


def test_special_tokens_have_their_ids(tokenizer):
    assert [tokenizer.pad_token_id, tokenizer.bos_token_id] == [0, 1]
    assert [tokenizer.eos_token_id, tokenizer.unk_token_id] == [2, 3]
    assert tokenizer.convert_tokens_to_ids([PAD, START, END, UNKNOWN]) == [0, 1, 2, 3]


@pytest.mark.parametrize("size", [20_000, 4_500])
def test_a_vocabulary_too_large_for_the_texts_is_one_clear_error(texts, size):
    with pytest.raises(StoryLabError) as error:
        train_vocabulary(texts, size, threads=1)
    message = str(error.value)
    assert "\n" not in message
    assert str(size) in message
    most = int(message.rsplit(" ", 1)[-1])  # "... these texts carry at most 4429"
    assert SIZE < most < size
    assert len(train_vocabulary(texts, most, threads=1)) == most


# The same pieces as SentencePiece


def test_pieces_are_those_of_sentencepiece(fresh, peer, texts):
    spelt = [piece.replace("\u2581", " ") for piece in map(peer.id_to_piece, range(SIZE))]
    assert fresh.convert_ids_to_tokens(list(range(SIZE))) == spelt
    for text in texts:
        assert encode(fresh, text) == peer.encode(text), text


@given(st.data())
def test_pieces_of_new_sentences_are_those_of_sentencepiece(fresh, peer, texts, data):
    """Cuts of the corpus, in new company, digits, blanks and unseen characters among them."""
    corpus = "\n".join(texts)
    at = st.integers(0, len(corpus) - 40)
    cuts = st.tuples(at, st.integers(1, 40)).map(lambda cut: corpus[cut[0] : cut[0] + cut[1]])
    parts = data.draw(st.lists(cuts | st.sampled_from(["  ", "é", "🙂", "1984", "?!", "zq", "A", "\t"]), max_size=8))
    text = "".join(parts)
    assert encode(fresh, text) == peer.encode(text)


@pytest.mark.rocstories
def test_pieces_of_rocstories_are_those_of_sentencepiece(fresh, peer, rocstories):
    for story in read_stories(rocstories / "test.csv"):
        assert encode(fresh, story.text) == peer.encode(story.text), story.id


# Round trip


@given(TEXTS)
@example("\u2581")
@example("\x00")
@example("  a  ")
def test_any_text_comes_back_exactly(tokenizer, text):
    check_round_trip(tokenizer, text)


@given(st.text("ab \u2581\u3000\n<>/s|0xAé\u0301🙂", max_size=30))
def test_text_of_awkward_characters_comes_back_exactly(tokenizer, text):
    check_round_trip(tokenizer, text)


@pytest.mark.parametrize("text", AWKWARD_TEXTS.values(), ids=AWKWARD_TEXTS.keys())
def test_awkward_text_comes_back_exactly(tokenizer, text):
    check_round_trip(tokenizer, text)


def test_every_text_of_the_corpus_comes_back_exactly(tokenizer, texts):
    assert tokenizer.batch_decode(tokenizer(texts, add_special_tokens=False)["input_ids"]) == texts


@given(TEXTS)
def test_what_was_saved_gives_the_ids_of_what_was_learnt(fresh, tokenizer, text):
    assert tokenizer.encode(text, add_special_tokens=False) == encode(fresh, text)


@given(TEXTS.filter(bool), TEXTS.filter(bool))
def test_a_blank_cuts_text_into_parts_with_the_same_ids_alone(fresh, left, right):
    """Why an opening has the same ids with and without its continuation."""
    assert encode(fresh, f"{left} {right}") == encode(fresh, left) + encode(fresh, right)


# Text that spells a special token


@pytest.mark.parametrize("special", SPECIAL_TEXTS)
@pytest.mark.parametrize("form", ["{}", " {} ", "The end.{}", "The end. {} Not yet.", "{0}{0}", "a{}b"])
def test_special_token_text_stays_text(tokenizer, special, form):
    text = form.format(special)
    ids = encode(tokenizer, text)
    assert tokenizer.encode(text, add_special_tokens=False) == ids
    assert tokenizer(text, add_special_tokens=False)["input_ids"] == ids
    assert tokenizer([text, text], add_special_tokens=False)["input_ids"] == [ids, ids]
    check_round_trip(tokenizer, text)
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


@pytest.mark.parametrize("special", SPECIAL_TEXTS)
def test_a_vocabulary_learnt_from_special_token_text_keeps_it_text(texts, special):
    learnt = train_vocabulary([f"{special} {text} {special}{special}" for text in texts], SIZE, threads=1)
    assert learnt.convert_tokens_to_ids([PAD, START, END, UNKNOWN]) == [0, 1, 2, 3]
    assert len(learnt.get_vocab()) == SIZE
    for text in [special, f"a {special}", special * 3]:
        check_round_trip(learnt, text)


def test_special_tokens_are_what_the_model_writes_not_what_is_read(tokenizer):
    """Decoding shows them or leaves them out, as it is told."""
    ids = [START_ID, *encode(tokenizer, "The end."), END_ID, PAD_ID]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "The end."
    assert END in tokenizer.decode(ids)


# Opening a folder


def test_a_saved_tokenizer_opens_as_a_fast_one(checkpoint):
    opened = AutoTokenizer.from_pretrained(checkpoint, trust_remote_code=False)
    assert opened.is_fast
    assert not list(checkpoint.glob("*.py"))


def test_a_folder_without_a_tokenizer_is_one_clear_error(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(StoryLabError) as error:
            load_tokenizer(folder)
        assert str(folder) in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"version": "1.0"}', "\x00"])
def test_a_damaged_tokenizer_is_one_clear_error(fresh, tmp_path, damage):
    fresh.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text(damage)
    with pytest.raises(StoryLabError) as error:
        load_tokenizer(tmp_path)
    assert str(tmp_path) in str(error.value)
    assert "\n" not in str(error.value)


def test_text_begins_with_the_start_token_or_where_there_is_none_the_end_token(fresh):
    assert start_token(fresh) == START_ID
    assert start_token(SimpleNamespace(bos_token_id=0, eos_token_id=7)) == 0
    assert start_token(SimpleNamespace(bos_token_id=None, eos_token_id=7)) == 7


# The vocabulary that comes with the project


def test_the_shipped_vocabulary_is_of_the_described_kind(shipped):
    assert 7_500 <= len(shipped) == len(shipped.get_vocab()) <= 8_500
    assert shipped.convert_tokens_to_ids([PAD, START, END, UNKNOWN]) == [0, 1, 2, 3]
    assert start_token(shipped) == START_ID


@given(TEXTS | st.sampled_from([*AWKWARD_TEXTS.values(), *SPECIAL_TEXTS]))
def test_the_shipped_vocabulary_gives_any_text_back_exactly(shipped, text):
    check_round_trip(shipped, text)


# GPT-2's BPE beside it


def test_gpt2_opens_from_its_two_files_alone(gpt2_tokenizer):
    assert encode(load_tokenizer(gpt2_tokenizer), "Hello world!") == [15496, 995, 0]


def test_gpt2_has_its_pieces(gpt2):
    """Ids from OpenAI's vocab.json: `Hello`, ` world`, `!`."""
    assert encode(gpt2, "Hello world!") == [15496, 995, 0]
    assert len(gpt2) == 50_257
    assert start_token(gpt2) == gpt2.eos_token_id == 50_256


@pytest.fixture(scope="module", params=["as opened", "load_tokenizer", "AutoTokenizer"])
def saved_gpt2(request, gpt2, tmp_path_factory):
    """GPT-2's tokenizer, and what is opened of a checkpoint that it was saved in."""
    if request.param == "as opened":
        return gpt2
    folder = tmp_path_factory.mktemp("checkpoint")
    gpt2.save_pretrained(folder)
    return load_tokenizer(folder) if request.param == "load_tokenizer" else AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("form", ["{}", "The end.{}", "a {} b", "{0}{0}"])
def test_gpt2_keeps_special_token_text_as_text(saved_gpt2, form):
    text = form.format("<|endoftext|>")
    ids = encode(saved_gpt2, text)
    assert saved_gpt2.eos_token_id not in ids
    assert saved_gpt2.decode(ids) == text
    assert saved_gpt2.encode(text, add_special_tokens=False) == ids
    assert saved_gpt2(text, add_special_tokens=False)["input_ids"] == ids


@given(TEXTS)
def test_gpt2_gives_any_text_back_exactly(gpt2, text):
    assert gpt2.decode(encode(gpt2, text)) == text


def test_folders_with_the_same_files_share_a_tokenizer(fresh, tmp_path):
    for name in ("one", "same", "other"):
        fresh.save_pretrained(tmp_path / name)
    about = tmp_path / "other" / "tokenizer_config.json"
    about.write_text(about.read_text().replace("{", '{"model_max_length": 77,', 1))
    one, same, other = (shared_tokenizer(tmp_path / name) for name in ("one", "same", "other"))
    assert one is same and one is not other
    assert one.get_vocab() == load_tokenizer(tmp_path / "one").get_vocab() == other.get_vocab()
    with pytest.raises(StoryLabError, match="has no readable tokenizer"):
        shared_tokenizer(tmp_path / "nowhere")
