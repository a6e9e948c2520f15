"""Perplexity per word, against a loop that knows neither batches nor padding nor framings."""

import json
import math

import numpy as np
import pytest
import torch

from storylab.cli import main
from storylab.errors import StoryLabError
from storylab.evaluation import score as module
from storylab.evaluation.score import bootstrap_interval, score, story_losses
from storylab.stories import Story, read_stories
from storylab.tokenizers import encode

KEYS = ["model", "stories", "words", "tokens", "nll", "perplexity_per_token", "perplexity_per_word", "interval"]
SHORT = Story(sentences=("Nora ran.", "It rained a lot.", "She fell.", "Ouch!", "The end came."))


@pytest.fixture(scope="module")
def stories(tiny_csv):
    return read_stories(tiny_csv)


def plain_loss(storyteller, story) -> tuple[float, int]:
    """A story's loss in nats and its labels, one label at a time."""
    model, tokenizer = storyteller.model, storyteller.tokenizer
    known = encode(tokenizer, story.opening)
    whole = encode(tokenizer, " ".join(story.sentences))
    assert whole[: len(known)] == known
    told = [*whole[len(known) :], tokenizer.eos_token_id]
    total = 0.0
    for position, label in enumerate(told):
        with torch.no_grad():
            if model.config.is_encoder_decoder:
                source = torch.tensor([[*known, tokenizer.eos_token_id]])
                target = torch.tensor([[tokenizer.bos_token_id, *told[:position]]])
                logits = model(input_ids=source, decoder_input_ids=target).logits[0, -1]
            else:
                prefix = torch.tensor([[tokenizer.bos_token_id, *known, *told[:position]]])
                logits = model(input_ids=prefix).logits[0, -1]
        total -= float(logits.double().log_softmax(dim=-1)[label])
    return total, len(told)


def test_a_score_is_that_of_a_plain_loop(small, stories):
    chosen = [stories[0], stories[1], SHORT, stories[5]]
    nll, tokens = story_losses(small, chosen)
    expected = [plain_loss(small, story) for story in chosen]
    assert nll == pytest.approx([loss for loss, _ in expected], rel=1e-4)
    assert tokens.tolist() == [labels for _, labels in expected]
    found = score(small, chosen)
    total, labels = sum(loss for loss, _ in expected), sum(labels for _, labels in expected)
    words = sum(len(" ".join(story.sentences[1:]).split()) + 1 for story in chosen)
    assert (found.stories, found.words, found.tokens) == (4, words, labels)
    assert found.nll == pytest.approx(total, rel=1e-4)
    assert found.perplexity_per_token == pytest.approx(math.exp(total / labels), rel=1e-3)
    assert found.perplexity_per_word == pytest.approx(math.exp(total / words), rel=1e-3)


def test_words_and_tokens_by_hand(small):
    # It rained a lot. | She fell. | Ouch! | The end came.  -> 4 + 2 + 1 + 3 words, and the end.
    assert SHORT.scored_words == 11
    found = score(small, [SHORT])
    assert found.words == 11
    after = encode(small.tokenizer, "Nora ran. It rained a lot. She fell. Ouch! The end came.")
    assert found.tokens == len(after) - len(encode(small.tokenizer, "Nora ran.")) + 1


def test_a_score_does_not_hang_on_the_batch(small, stories, monkeypatch):
    some = stories[:6]
    usual, counts = story_losses(small, some)
    for size in (1, 300, 10**6):
        monkeypatch.setattr(module, "TOKENS_A_BATCH", size)
        nll, tokens = story_losses(small, some)
        assert nll == pytest.approx(usual, rel=1e-5)
        assert tokens.tolist() == counts.tolist()


def test_a_score_does_not_hang_on_the_order_or_the_company(small, stories):
    some = stories[:5]
    nll, _ = story_losses(small, some)
    turned, _ = story_losses(small, some[::-1])
    assert turned[::-1] == pytest.approx(nll, rel=1e-5)
    alone, _ = story_losses(small, some[2:3])
    assert alone[0] == pytest.approx(nll[2], rel=1e-5)


def test_a_story_learnt_by_heart_scores_better_than_an_unknown_one(small_seq2seq, small_stories, stories):
    unknown = [story for story in stories if story not in small_stories][:8]
    known = score(small_seq2seq, small_stories)
    assert known.perplexity_per_word < 1.5 < 100 < score(small_seq2seq, unknown).perplexity_per_word


def test_the_interval_holds_the_value_and_narrows(small, stories):
    found = score(small, stories[:12])
    low, high = found.interval
    assert low < found.perplexity_per_word < high
    assert score(small, stories[:12]).interval == found.interval  # no luck in it
    same = score(small, [stories[0]] * 3)
    assert same.interval == pytest.approx((same.perplexity_per_word,) * 2)


def test_the_bootstrap_is_that_of_the_definition():
    # Per-word losses of a normal distribution: the interval of their mean is 1.96 standard errors either way.
    random = np.random.default_rng(5)
    words = np.full(400, 40)
    nll = 40 * random.normal(4.0, 0.5, size=400)
    low, high = np.log(bootstrap_interval(nll, words))
    error = (nll / 40).std() / 20
    mean = nll.sum() / words.sum()
    assert (low, high) == pytest.approx((mean - 1.96 * error, mean + 1.96 * error), abs=0.3 * error)


def test_stories_weigh_by_their_words():
    low, high = bootstrap_interval(np.array([1.0, 100.0]), np.array([10, 50]))
    assert (low, high) == pytest.approx((math.exp(0.1), math.exp(2.0)))


def test_progress_is_told_to_the_end(small_seq2seq, stories):
    done = []
    story_losses(small_seq2seq, stories[:40], done.append)
    assert sum(done) == 40 and len(done) > 1


def test_no_stories_or_one_too_long_are_refused(small, stories):
    with pytest.raises(StoryLabError, match="no stories"):
        score(small, [])
    endless = Story(sentences=("It rained.", *["It rained and rained and rained. " * 20] * 4))
    with pytest.raises(StoryLabError, match="192 positions"):
        score(small, [stories[0], endless])


def test_the_command_prints_the_contracts_keys(small, small_checkpoints, tiny_csv, stories, capsys):
    folder = str(small_checkpoints / small.name)
    assert main(["score", "--model", folder, "--data", str(tiny_csv), "--limit", "4", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == KEYS
    expected = score(small, stories[:4]).to_dict()
    low, high = found.pop("interval")
    assert (low, high) == pytest.approx(expected.pop("interval"))
    assert low <= found["perplexity_per_word"] <= high
    assert {key: value for key, value in found.items() if key != "model"} == pytest.approx(
        {key: value for key, value in expected.items() if key != "model"}
    )
    assert found["stories"] == 4 and found["model"] == small.name


def test_without_json_it_is_one_line(small_checkpoints, tiny_csv, capsys):
    folder = str(small_checkpoints / "small-seq2seq")
    assert main(["score", "--model", folder, "--data", str(tiny_csv), "--limit", "2"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("small-seq2seq: ") and "per word (95% interval" in printed and "2 stories" in printed
    assert printed.count("\n") == 1


@pytest.mark.parametrize("limit", ["0", "-1", "many"])
def test_a_limit_is_a_number_above_zero(small_checkpoints, tiny_csv, capsys, limit):
    arguments = ["score", "--model", str(small_checkpoints / "small-seq2seq"), "--data", str(tiny_csv)]
    try:
        status = main([*arguments, "--limit", limit])
    except SystemExit as ended:  # argparse
        status = ended.code
    assert status == 2
    assert "limit" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("sentence1,sentence2,sentence3,sentence4\na,b,c,d\n", "sentence5"),
        ("sentence1,sentence2,sentence3,sentence4,sentence5\n", "no stories"),
        ("sentence1,sentence2,sentence3,sentence4,sentence5\na,b,,d,e\n", "sentence3"),
    ],
)
def test_a_bad_file_is_one_line(small_checkpoints, tmp_path, capsys, content, named):
    path = tmp_path / "bad.csv"
    path.write_text(content, encoding="utf-8")
    folder = str(small_checkpoints / "small-seq2seq")
    assert main(["score", "--model", folder, "--data", str(path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1 and "bad.csv" in printed.err and named in printed.err


@pytest.mark.rocstories
def test_what_comes_with_the_project_reaches_its_floor(committed, rocstories):
    # The floors of the project on the whole test file: 60 per word and 120; here its first 30 stories, with room.
    floor = {"seq2seq": 60, "encoder": 120}[committed.model.config.model_type.removeprefix("storylab-")]
    assert score(committed, read_stories(rocstories / "test.csv", limit=30)).perplexity_per_word < 1.2 * floor
