"""Story Cloze: files, losses against a loop that knows no framings, and choices by hand."""

import csv
import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from storylab.errors import StoryLabError
from storylab.evaluation import score as score_module
from storylab.evaluation.cloze import ClozeItem, LastLabels, chose_right, cloze, ending_losses, read_cloze
from storylab.evaluation.score import story_losses
from storylab.framing import IGNORED, encode_stories
from storylab.stories import Story, read_stories
from storylab.storytellers.kinds import CausalKind
from storylab.storytellers.storyteller import Storyteller
from storylab.tokenizers import encode

HEADER = [
    "InputStoryid",
    "InputSentence1",
    "InputSentence2",
    "InputSentence3",
    "InputSentence4",
    "RandomFifthSentenceQuiz1",
    "RandomFifthSentenceQuiz2",
    "AnswerRightEnding",
]
GOAT = ("Ada kept a goat.", "It ate her hat.", "She looked everywhere.", "The goat looked full.")
PIE = ("Ben baked a pie.", "He left it on the sill.", "It smelled sweet.", "A crow came by.")
ROWS = [
    ["g1", *GOAT, "Ada bought a new hat.", "Ada flew to the moon.", "1"],
    ["p1", *PIE, "The pie was made of glass.", "The crow had pie for lunch.", "2"],
]
ITEMS = [
    ClozeItem(GOAT, ("Ada bought a new hat.", "Ada flew to the moon."), 0),
    ClozeItem(PIE, ("The pie was made of glass.", "The crow had pie for lunch."), 1),
]


@pytest.fixture
def write(tmp_path):
    def write(rows, header=HEADER, encoding="utf-8"):
        path = tmp_path / "cloze.csv"
        with open(path, "w", encoding=encoding, newline="") as file:
            csv.writer(file).writerows([header, *rows])
        return path

    return write


def message(source, **options) -> str:
    """The error that reading raises, without the path in front."""
    with pytest.raises(StoryLabError) as caught:
        read_cloze(source, **options)
    text = str(caught.value)
    assert text.startswith(str(source)) and text.isprintable()
    return text.removeprefix(str(source))


# Files


def test_a_file_becomes_items(write):
    assert read_cloze(write(ROWS)) == ITEMS
    assert read_cloze(write(ROWS), limit=1) == ITEMS[:1]


def test_columns_go_by_name(write):
    order = [7, 3, 0, 6, 1, 5, 2, 4]
    turned = [[row[place] for place in order] + ["x"] for row in ROWS]
    header = [HEADER[place].upper() + " " for place in order] + ["Comment"]
    assert read_cloze(write(turned, header, "utf-8-sig")) == ITEMS  # with a BOM


def test_the_hubs_names_are_known(write):
    names = [f"input_sentence_{number}" for number in range(1, 5)]
    header = ["story_id", *names, "sentence_quiz1", "sentence_quiz2", "answer_right_ending"]
    assert read_cloze(write(ROWS, header)) == ITEMS


def test_whitespace_is_put_in_order(write):
    rows = [[f"  {value.replace(' ', '  ')} " for value in row] for row in ROWS]
    assert read_cloze(write(rows)) == ITEMS


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        (3, " ", "InputSentence3: the sentence is empty"),
        (6, "", "RandomFifthSentenceQuiz2: the sentence is empty"),
        (7, "", "AnswerRightEnding: the right ending must be 1 or 2, not ''"),
        (7, "3", "AnswerRightEnding: the right ending must be 1 or 2, not '3'"),
        (7, "first", "AnswerRightEnding: the right ending must be 1 or 2, not 'first'"),
    ],
)
def test_a_bad_row_is_named(write, column, value, problem):
    rows = [ROWS[0], [*ROWS[1][:column], value, *ROWS[1][column + 1 :]]]
    assert message(write(rows)) == f", row 2 (line 3), column {problem}"
    assert read_cloze(write(rows), limit=1) == ITEMS[:1]  # what is not asked for is not looked at


def test_a_bad_file_is_named(write, tmp_path):
    assert message(write([])) == ": there is a header but no items"
    assert message(write(ROWS, [*HEADER[:7], "Answer"])).startswith(", header (line 1): missing column AnswerRightEnd")
    assert message(write(ROWS, [*HEADER[:7], HEADER[6]])).startswith(", header (line 1): missing column AnswerRight")
    assert message(write([ROWS[0][:7]])).startswith(", row 1 (line 2), column AnswerRightEnding: the row has 7 fields")
    twice = [[*row, "1"] for row in ROWS]
    assert message(write(twice, [*HEADER, "answer_right_ending"])).endswith("there are 2 columns of that name")
    assert message(tmp_path / "none.csv") == ": No such file or directory"
    assert "not UTF-8" in message(write([["g1", "Adé.", *ROWS[0][2:]]], encoding="latin-1"))


def test_a_story_file_is_no_cloze_file(tiny_csv):
    missing = message(tiny_csv)
    assert "missing column InputSentence1, InputSentence2" in missing and "(found: storyid, storytitle" in missing


# Losses


@pytest.fixture(scope="module")
def small_causal(small_seq2seq) -> Storyteller:
    """A causal language model that has learnt nothing, with the vocabulary of the others."""
    torch.manual_seed(0)
    tokenizer = small_seq2seq.tokenizer
    config = GPT2Config(vocab_size=len(tokenizer), n_positions=192, n_embd=32, n_layer=2, n_head=2)
    return Storyteller("small-causal", "small-causal", CausalKind(GPT2LMHeadModel(config).eval(), tokenizer))


@pytest.fixture(params=["seq2seq", "encoder", "causal"])
def reader(request) -> Storyteller:
    """A storyteller of each kind."""
    return request.getfixturevalue(f"small_{request.param}")


def plain_loss(storyteller, story) -> tuple[float, int]:
    """The loss of the last sentence and the end in nats, and their tokens, one label at a time."""
    model, tokenizer = storyteller.model, storyteller.tokenizer
    whole, end = encode(tokenizer, story.text), tokenizer.eos_token_id
    known = len(encode(tokenizer, " ".join(story.sentences[:4])))
    source = encode(tokenizer, story.opening)
    labels = [*whole[known:], end]
    total = 0.0
    for place, label in enumerate(labels, start=known):
        with torch.no_grad():
            if model.config.is_encoder_decoder:
                target = [tokenizer.bos_token_id, *whole[len(source) : place]]
                inputs = {"input_ids": torch.tensor([[*source, end]]), "decoder_input_ids": torch.tensor([target])}
            else:
                inputs = {"input_ids": torch.tensor([[tokenizer.bos_token_id, *whole[:place]]])}
            logits = model(**inputs).logits[0, -1]
        total -= float(logits.double().log_softmax(dim=-1)[label])
    return total, len(labels)


@pytest.fixture(scope="module")
def stories(tiny_csv) -> list[Story]:
    """Six stories, one of them twice, one with a very short ending and one with a long one."""
    six = read_stories(tiny_csv)[:6]
    short, long = (Story((*six[2].sentences[:4], ending)) for ending in ("No.", six[0].continuation))
    return [*six, six[0], short, long]


def test_losses_are_those_of_a_plain_loop(reader, stories):
    nll, tokens = ending_losses(reader, stories)
    expected = [plain_loss(reader, story) for story in stories]
    assert nll == pytest.approx([loss for loss, _ in expected], rel=1e-4)
    assert tokens.tolist() == [labels for _, labels in expected]


def test_tokens_by_hand(reader):
    # One token a word or more; the ending's own and one end.
    story = ITEMS[0].stories[0]
    before = encode(reader.tokenizer, " ".join(GOAT))
    _, tokens = ending_losses(reader, [story])
    assert tokens.tolist() == [len(encode(reader.tokenizer, story.text)) - len(before) + 1]


def test_an_ending_is_the_last_part_of_a_story(reader, stories):
    # log P(2 to 5 | 1) = log P(2 to 4 | 1) + log P(5 | 1 to 4): what is left out here is what is left there.
    framing = reader.kind.scoring(encode_stories(stories, reader.tokenizer))
    whole, labels = story_losses(reader, stories)
    nll, tokens = ending_losses(reader, stories)
    all_of_it, all_tokens = score_module.label_losses(reader, LastLabels(framing, labels), len(stories))
    assert all_of_it == pytest.approx(whole) and (all_tokens == labels).all()
    assert (nll < whole).all() and (tokens < labels).all()


def test_losses_do_not_hang_on_the_batch(reader, stories, monkeypatch):
    usual, counts = ending_losses(reader, stories)
    for size in (1, 300, 10**6):
        monkeypatch.setattr(score_module, "TOKENS_A_BATCH", size)
        nll, tokens = ending_losses(reader, stories)
        assert nll == pytest.approx(usual, rel=1e-5)
        assert (tokens == counts).all()


def test_only_the_last_labels_of_a_story_are_left(reader, stories):
    encoded = encode_stories(stories, reader.tokenizer)
    framing = LastLabels(reader.kind.scoring(encoded), np.arange(1, len(stories) + 1))
    found = [[] for _ in stories]
    for example in framing.examples(0):
        labels = framing.collate(example[None])["labels"]
        found[example[0]] += labels[labels != IGNORED].tolist()
    end = reader.tokenizer.eos_token_id
    for number, story in enumerate(encoded):
        assert found[number] == [*story.continuation.tolist(), end][-(number + 1) :]


# Choices


def spoilt(items: list[ClozeItem]) -> list[ClozeItem]:
    """The same items with the other ending called right."""
    return [replace(item, right=1 - item.right) for item in items]


@pytest.fixture(scope="module")
def learnt(small_stories) -> list[ClozeItem]:
    """Stories with their own ending and another story's, the right one first and second in turn."""
    items = []
    for number, story in enumerate(small_stories):
        endings = (story.sentences[4], small_stories[number - 1].sentences[4])
        items.append(ClozeItem(story.sentences[:4], endings[:: 1 if number % 2 else -1], 1 - number % 2))
    return items


def test_stories_learnt_by_heart_are_told_from_others(small_seq2seq, learnt):
    found = cloze(small_seq2seq, learnt)
    assert (found.model, found.items, found.accuracy, found.interval) == (small_seq2seq.name, 8, 1.0, (1.0, 1.0))
    assert cloze(small_seq2seq, spoilt(learnt)).accuracy == 0.0


def test_the_likelier_ending_a_token_is_chosen():
    # 12 nats over 6 tokens beside 10 over 4: the first costs more in all, but 2 a token beside 2.5. Then a tie, of
    # which neither is chosen, and 0.5 beside 3.
    nll, tokens = np.array([12.0, 10.0, 6.0, 4.0, 1.0, 9.0]), np.array([6, 4, 3, 2, 2, 3])
    assert chose_right(nll, tokens, np.array([0, 0, 0])).tolist() == [True, False, True]
    assert chose_right(nll, tokens, np.array([1, 1, 1])).tolist() == [False, False, False]


def test_a_choice_does_not_hang_on_the_place(small, stories):
    items = [ClozeItem(a.sentences[:4], (a.sentences[4], b.sentences[4]), 0) for a, b in pairwise(stories)]
    turned = [ClozeItem(item.context, item.endings[::-1], 1) for item in items]
    assert cloze(small, items) == cloze(small, turned)


def test_a_result_is_json(small_encoder):
    found = json.loads(json.dumps(cloze(small_encoder, ITEMS).to_dict()))
    assert list(found) == ["model", "items", "accuracy", "interval"]
    low, high = found["interval"]
    assert 0 <= low <= found["accuracy"] <= high <= 1


def test_progress_is_told_to_the_end(small_seq2seq):
    done = []
    cloze(small_seq2seq, ITEMS * 20, done.append)
    assert sum(done) == 80


def test_no_items_or_one_too_long_are_refused(small):
    with pytest.raises(StoryLabError, match="no items"):
        cloze(small, [])
    endless = ClozeItem(GOAT, ("She sang.", "She sang and sang. " * 60), 0)
    with pytest.raises(StoryLabError, match="192 positions"):
        cloze(small, [ITEMS[0], endless])
