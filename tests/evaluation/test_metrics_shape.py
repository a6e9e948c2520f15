"""Sentences, words and perplexity by hand."""

import math

import pytest

from storylab.evaluation.intervals import bootstrap_interval
from storylab.evaluation.metrics import FourSentences, Length, LengthRatio, PerplexityPerWord
from storylab.evaluation.score import bootstrap_interval as score_interval


def test_four_sentences_and_an_end_are_asked_for():
    # Of four, three, five sentences that ended and four that did not, one story is as it should be.
    found = FourSentences().compute(sentences=[4, 3, 5, 4], finished=[True, True, True, False])
    assert found == {"four_sentences": 0.25}


def test_length_by_hand():
    # 3 + 0 + 2 words; a word is what stands between blanks.
    assert Length().compute(predictions=["It's  half-past five.", "", " No way! "]) == {"length": pytest.approx(5 / 3)}


def test_length_ratio_by_hand():
    # 1 + 3 words beside 2 + 6: a half, where the mean of 1/2 and 3/6 over stories is a half by chance; 1/2 and 3/2 not.
    found = LengthRatio().compute(predictions=["One.", "One two three."], references=["One two.", "A b c d e f"])
    assert found == {"length_ratio": 0.5}
    found = LengthRatio().compute(predictions=["One.", "One two three."], references=["One two.", "A b"])
    assert found == {"length_ratio": 1.0}


def test_no_human_words_leave_no_ratio():
    assert math.isnan(LengthRatio().compute(predictions=["One."], references=[""])["length_ratio"])


def test_perplexity_per_word_by_hand():
    # 10 and 50 nats over 5 and 15 words: exp(60 / 20).
    found = PerplexityPerWord().compute(nll=[10.0, 50.0], words=[5, 15])
    assert found == {"perplexity_per_word": pytest.approx(math.exp(3))}


def test_its_interval_is_that_of_score():
    nll, words = [100.0, 130.0, 90.0, 160.0], [30, 41, 28, 44]
    metric = PerplexityPerWord()
    rows = metric.statistics(nll=nll, words=words)
    assert bootstrap_interval(rows, metric.value) == score_interval(rows[:, 0], rows[:, 1])
