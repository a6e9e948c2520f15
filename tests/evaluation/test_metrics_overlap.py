"""BLEU, chrF++ and ROUGE-L by hand and against the packages that others use."""

import math

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from storylab.evaluation.metrics import Bleu, Chrf, RougeL, overlap
from storylab.evaluation.metrics.overlap import common_subsequence
from storylab.stories import read_stories

WORDS = st.sampled_from(["the", "cat", "sat", "on", "a", "mat", "Cat", "don't", "é", "3", "!", "."])
TEXTS = st.lists(WORDS, max_size=12).map(" ".join)
PAIRS = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5)


@pytest.fixture(scope="module")
def pairs(tiny_csv) -> tuple[list[str], list[str]]:
    """Continuations told, each beside that of another story."""
    stories = read_stories(tiny_csv)
    return [story.continuation for story in stories[:-1]], [story.continuation for story in stories[1:]]


def test_bleu_by_hand():
    # Of 6, 5, 4 and 3 n-grams, 5 (the, cat, on, the, mat), 3 (the cat, on the, the mat), 1 (on the mat) and 0 match;
    # 0 of 3 is smoothed to 1/2 of 3. So BLEU-1 is 5/6, BLEU-2 the root of 5/6 x 3/5 = 1/2, BLEU-3 the third root of
    # 1/2 x 1/4 = 1/8, BLEU-4 the fourth root of 1/8 x 1/6. Both have six tokens: no brevity penalty.
    told, human = ["the cat sat on the mat"], ["the cat is on the mat"]
    expected = {1: 500 / 6, 2: 100 * 0.5**0.5, 3: 50.0, 4: 100 * (1 / 48) ** 0.25}
    for order, value in expected.items():
        assert Bleu(order).compute(predictions=told, references=human)[f"bleu_{order}"] == pytest.approx(value)


def test_a_short_story_pays_for_it():
    # All of 2 words match of 6: exp(1 - 6/2).
    found = Bleu(1).compute(predictions=["the cat"], references=["the cat is on the mat"])
    assert found["bleu_1"] == pytest.approx(100 * math.exp(-2))


def test_bleu_is_of_all_stories_together_and_not_a_mean():
    # 1 of 1 and 0 of 3 words match: 1/4 of all, where the mean over stories would be 1/2.
    found = Bleu(1).compute(predictions=["yes", "no no no"], references=["yes", "cats purr loudly"])
    assert found["bleu_1"] == pytest.approx(25.0)


def test_chrf_by_hand():
    # abcd beside abce: 3/4, 2/3, 1/2 and 0/1 of the character n-grams match, 1/2 and 0/1 of the word n-grams.
    # There are no longer ones. P = R = (3/4 + 2/3 + 1/2 + 0 + 1/2 + 0) / 6, and so is F.
    found = Chrf().compute(predictions=["ab cd"], references=["ab ce"])
    assert found["chrf"] == pytest.approx(100 * (3 / 4 + 2 / 3 + 1 / 2 + 1 / 2) / 6)


def test_recall_counts_four_times_in_chrf():
    # a beside abb: P = 1 for characters, R = 1/3; only single characters and single words are in both, and no word
    # matches. P = (1 + 0) / 2, R = (1/3 + 0) / 2, F = 5PR / (4P + R).
    p, r = 1 / 2, 1 / 6
    found = Chrf().compute(predictions=["a"], references=["abb"])
    assert found["chrf"] == pytest.approx(100 * 5 * p * r / (4 * p + r))


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_bleu_is_sacrebleus(pairs, order):
    told, human = pairs
    expected = sacrebleu.metrics.BLEU(max_ngram_order=order).corpus_score(told, [human]).score
    assert Bleu(order).compute(predictions=told, references=human)[f"bleu_{order}"] == expected


def test_the_usual_functions_agree(pairs):
    told, human = pairs
    found = Bleu().compute(predictions=told, references=human)
    assert found["bleu_4"] == sacrebleu.corpus_bleu(told, [human]).score
    found = Chrf().compute(predictions=told, references=human)
    assert found["chrf"] == sacrebleu.corpus_chrf(told, [human], word_order=2).score


@given(PAIRS)
def test_any_texts_score_as_with_sacrebleu(texts):
    told, human = map(list, zip(*texts, strict=True))
    for metric, measure in ((Bleu(3), sacrebleu.metrics.BLEU(max_ngram_order=3, force=True)), (Chrf(), None)):
        measure = measure or sacrebleu.metrics.CHRF(word_order=2)
        total = metric.statistics(predictions=told, references=human).sum(axis=0)
        assert metric.value(total) == measure.corpus_score(told, [human]).score


def test_what_sacrebleu_needs_is_told(pairs):
    found = Bleu(2).compute(predictions=pairs[0], references=pairs[1])
    version = sacrebleu.__version__
    assert found["bleu_2_signature"] == f"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:{version}"
    assert found["bleu_2_max_ngram_order"] == 2  # which the signature does not hold
    assert found["bleu_2_version"] == version
    assert Bleu(4).settings["signature"] == found["bleu_2_signature"]
    assert Chrf().settings["signature"] == f"nrefs:1|case:mixed|eff:yes|nc:6|nw:2|space:no|version:{version}"


@pytest.mark.parametrize(
    ("told", "shared"),
    [("police killed the gunman", 4), ("police kill the gunman", 3), ("the gunman kill police", 2), ("a dog", 0)],
)
def test_rouge_by_hand(told, shared):
    # The examples of Lin 2004: with four words on either side, P = R = F = shared / 4; 0 where nothing is shared.
    found = RougeL().compute(predictions=[told], references=["Police killed the gunman!"])
    assert found == {"rouge_l": shared / 4}


def test_rouge_is_a_mean_over_stories():
    # 2 x 1 / (1 + 3) = 1/2 and 1: their mean is 3/4.
    found = RougeL().compute(predictions=["a", "so be it"], references=["a b c", "so be it"])
    assert found == {"rouge_l": 0.75}


def test_rouge_is_that_of_rouge_score(pairs):
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    expected = [scorer.score(human, told)["rougeL"].fmeasure for told, human in zip(*pairs, strict=True)]
    rows = RougeL().statistics(predictions=pairs[0], references=pairs[1])
    assert rows[:, 0] == pytest.approx(expected, abs=1e-12)


@given(PAIRS)
def test_any_texts_have_rouge_scores_figure(texts):
    told, human = map(list, zip(*texts, strict=True))
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    expected = [scorer.score(b, a)["rougeL"].fmeasure for a, b in texts]
    assert RougeL().statistics(predictions=told, references=human)[:, 0] == pytest.approx(expected, abs=1e-12)


def by_the_table(a: list, b: list) -> int:
    """The longest common subsequence by the textbook's table."""
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, left in enumerate(a):
        for j, right in enumerate(b):
            table[i + 1][j + 1] = table[i][j] + 1 if left == right else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


@given(st.lists(st.sampled_from("abcd"), max_size=80), st.lists(st.sampled_from("abcde"), max_size=80))
def test_common_subsequences_are_those_of_the_table(a, b):
    assert common_subsequence(a, b) == by_the_table(a, b)


@pytest.mark.parametrize("metric", [Bleu(4), Chrf()], ids=["bleu", "chrf"])
def test_how_many_stories_sacrebleu_gets_at_once_changes_nothing(pairs, metric, monkeypatch):
    told, human = pairs
    usual = metric.statistics(predictions=told, references=human)
    monkeypatch.setattr(overlap, "STORIES_A_BLOCK", 10)
    assert (metric.statistics(predictions=told, references=human) == usual).all()
