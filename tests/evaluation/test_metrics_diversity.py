"""Distinct-n, self-BLEU, repetition and novelty: by hand, by the definition, and from sample to sample."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from sacrebleu.metrics import BLEU

from storylab.evaluation.intervals import bootstrap_interval
from storylab.evaluation.metrics import Distinct, Novelty, Repetition, SelfBleu
from storylab.stories import read_stories

TEXTS = st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), max_size=9).map(" ".join)


@pytest.fixture(scope="module")
def texts(tiny_csv) -> list[str]:
    return [story.continuation for story in read_stories(tiny_csv)[:30]]


def result(metric, texts: list[str]) -> float:
    return metric.compute(predictions=texts)[metric.key]


# Distinct-n


def test_distinct_by_hand():
    # a cat and a cat | a dog: 4 different words of 7, 4 different pairs (a cat, cat and, and a, a dog) of 5, and
    # 2 different fours of 2.
    stories = ["A cat and a cat.", "A dog!"]
    assert result(Distinct(1), stories) == pytest.approx(4 / 7)
    assert result(Distinct(2), stories) == pytest.approx(4 / 5)
    assert result(Distinct(4), stories) == pytest.approx(1)


def test_what_distinct_makes_of_a_story_by_hand():
    # V = 4. Only the first story has "cat" and "and", only the second "dog": u = 2 and 1, mean 1.5.
    # V/S + (S-1)/S (u - mean u) = 2 + (2 - 1.5)/2 and 2 + (1 - 1.5)/2.
    rows = Distinct(1).statistics(predictions=["A cat and a cat.", "A dog!"])
    assert rows.tolist() == [[2.25, 5], [1.75, 2]]


def test_distinct_of_stories_too_short_is_no_number():
    assert np.isnan(result(Distinct(4), ["One two three.", ""]))


def without(texts: list[str], number: int) -> list[str]:
    return texts[:number] + texts[number + 1 :]


def left_out(texts: list[str], total) -> list[float]:
    """The jackknife's rows by its definition: the total computed anew without each of the stories."""
    whole, count = total(texts), len(texts)
    losses = np.array([whole - total(without(texts, number)) for number in range(count)])
    return whole / count + (count - 1) / count * (losses - losses.mean())


@given(st.lists(TEXTS, min_size=1, max_size=7))
def test_distinct_is_spread_by_the_jackknife(stories):
    def different(some: list[str]) -> int:
        return len({pair for text in some for pair in zip(text.split(), text.split()[1:], strict=False)})

    rows = Distinct(2).statistics(predictions=stories)
    assert rows[:, 0] == pytest.approx(left_out(stories, different))
    assert rows[:, 0].sum() == pytest.approx(different(stories))


def zipf_stories(random: np.random.Generator, stories: int) -> list[str]:
    """Stories of 20 to 40 words, drawn from 3,000 whose frequencies fall as 1/rank."""
    weights = 1 / np.arange(1, 3001)
    return [
        " ".join(f"w{word}" for word in random.choice(3000, size=length, p=weights / weights.sum()))
        for length in random.integers(20, 41, size=stories)
    ]


def test_the_interval_of_distinct_is_that_of_other_stories():
    # From sample to sample of 200 stories, distinct-2 varies as its interval says; the plain bootstrap, whose
    # resamples hold some 63% of the stories, lies far below it.
    random = np.random.default_rng(1)
    samples = [zipf_stories(random, 200) for _ in range(40)]
    metric = Distinct(2)
    rows = [metric.statistics(predictions=sample) for sample in samples]
    values = np.array([metric.value(row.sum(axis=0)) for row in rows])
    ends = np.array([bootstrap_interval(row, metric.value) for row in rows])
    held = (ends[:, 0] <= values.mean()) & (values.mean() <= ends[:, 1])
    assert held.mean() >= 0.9
    widths = (ends[:, 1] - ends[:, 0]) / (2 * 1.96)
    assert widths.mean() == pytest.approx(values.std(ddof=1), rel=0.4)
    drawn = random.integers(200, size=200)
    assert result(metric, [samples[0][place] for place in drawn]) < ends[0, 0] - 0.05


# Self-BLEU


def naive(texts: list[str]) -> list[float]:
    """sacreBLEU's sentence BLEU of each text with all others as references."""
    bleu = BLEU(effective_order=True)
    return [bleu.sentence_score(text, without(texts, number)).score for number, text in enumerate(texts)]


def test_self_bleu_by_hand():
    # Twins score 100 and the third story, of which nothing is anywhere else, 0.
    assert result(SelfBleu(), ["a b c d", "a b c d", "e f g h"]) == pytest.approx(200 / 3)
    # "a a b" against "a b" and "a c": a counts once, b once, of 3 words; "a b" of 2 pairs; none of 1 triple, which is
    # smoothed to 1/2. The closest length is 2: (2/3 x 1/2 x 1/2) ^ (1/3). "a b": all of 2 words, of 1 pair; the
    # closest length is 2, of "a c": 1. "a c": 1 of 2 words, 0 of 1 pair, smoothed to 1/2: (1/2 x 1/2) ^ (1/2).
    expected = 100 * ((1 / 6) ** (1 / 3) + 1 + 1 / 2) / 3
    assert result(SelfBleu(), ["a a b", "a b", "a c"]) == pytest.approx(expected)


def test_self_bleu_is_sacrebleus_sentence_bleu_against_the_others(texts):
    stories = [*texts, texts[3], texts[4][:40], "", "No."]  # twins, a part, nothing, next to nothing
    assert result(SelfBleu(), stories) == pytest.approx(np.mean(naive(stories)))


@given(st.lists(TEXTS, min_size=2, max_size=6))
def test_any_stories_have_the_self_bleu_of_the_definition(stories):
    assert result(SelfBleu(), stories) == pytest.approx(np.mean(naive(stories)))


def test_self_bleu_is_nltks_where_every_order_has_a_match(texts):
    # Zhu et al. take NLTK's sentence BLEU, smoothed by its method 1, which only differs where an order has none.
    stories = [f"{text} {texts[number - 1]}" for number, text in enumerate(texts)]  # each shares half with two
    tokens = [SelfBleu().bleu.tokenizer(text).split() for text in stories]
    smooth = SmoothingFunction().method1
    scores = [sentence_bleu(without(tokens, n), story, smoothing_function=smooth) for n, story in enumerate(tokens)]
    assert result(SelfBleu(), stories) == pytest.approx(100 * np.mean(scores))


@given(st.lists(TEXTS, min_size=3, max_size=6))
def test_self_bleu_is_spread_by_the_jackknife(stories):
    rows = SelfBleu().statistics(predictions=stories)
    assert rows[:, 0] == pytest.approx(left_out(stories, lambda some: sum(naive(some))), abs=1e-9)
    assert (rows[:, 1] == 1).all()


def test_the_jackknife_of_self_bleu_on_stories(texts):
    stories = [*texts[:15], texts[3], texts[4][:40], ""]
    rows = SelfBleu().statistics(predictions=stories)
    assert rows[:, 0] == pytest.approx(left_out(stories, lambda some: sum(naive(some))))


def test_a_single_story_is_like_no_other():
    assert np.isnan(result(SelfBleu(), ["All alone."]))


def test_self_bleu_tells_its_variant():
    settings = SelfBleu().settings
    assert settings["signature"].startswith("nrefs:var|case:mixed|eff:yes|tok:13a|smooth:exp|version:")
    assert settings["max_ngram_order"] == 4


# Repetition


@pytest.mark.parametrize(
    ("text", "repeats"),
    [
        ("They go to the park. They go to the park and play.", True),
        ("They go to the. Park they go to the end.", True),  # across a full stop and capitals
        ("No, no, no, no, no!", True),  # two fours that overlap
        ("No, no, no, no!", False),
        ("I didn't see it. I didn't.", False),  # i didn t see | i didn t
        ("I didn't go, for I didn't go.", True),  # i didn t go
        ("", False),
    ],
)
def test_repetition_by_hand(text, repeats):
    assert result(Repetition(4), [text]) == float(repeats)


@given(st.lists(TEXTS, min_size=1, max_size=6))
def test_repetition_is_a_share_of_stories(stories):
    def repeats(text: str) -> bool:
        words = re.findall(r"\w+", text.lower())
        fours = list(zip(*(words[i:] for i in range(4)), strict=False))
        return len(set(fours)) < len(fours)

    assert result(Repetition(4), stories) == pytest.approx(sum(map(repeats, stories)) / len(stories))


# Novelty


def test_novelty_by_hand():
    # Eight of nine words stand in training as they are: of the 2 eights one is known. The second text is known whole,
    # its capitals and stops aside, the third has no eight: 1 of 3.
    training = ["One two three four five six seven eight.", "Eight birds sat in a row. And then flew."]
    told = ["one two three four five six seven eight nine", "eight birds sat, in a row, and then!", "one two"]
    metric = Novelty(training)
    assert metric.statistics(predictions=told).tolist() == [[1, 2], [0, 1], [0, 0]]
    assert result(metric, told) == pytest.approx(1 / 3)


def test_training_eights_do_not_cross_stories():
    assert result(Novelty(["one two three four", "five six seven eight"]), ["one two three four five six seven eight"])


def test_novelty_without_training_stories_or_eights():
    eight = "one two three four five six seven eight"
    assert result(Novelty([]), [eight, eight]) == 1
    assert np.isnan(result(Novelty([eight]), ["Too short.", ""]))


@given(st.lists(TEXTS, max_size=5), st.lists(TEXTS, min_size=1, max_size=5))
def test_novelty_is_that_of_sets(training, told):
    threes = [list(zip(*(text.split()[i:] for i in range(3)), strict=False)) for text in told]
    known = {three for text in training for three in zip(*(text.split()[i:] for i in range(3)), strict=False)}
    expected = [[sum(three not in known for three in story), len(story)] for story in threes]
    assert Novelty(training, 3).statistics(predictions=told).tolist() == expected
