"""The beam search by itself: which candidates it takes, when it ends, what it refuses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from storylab.decoding import Settings
from storylab.decoding.beams import RUNS, BeamSearch, greatest_places
from storylab.errors import StoryLabError

END = 2


def logits_of(*rows: dict[int, float]) -> np.ndarray:
    """Logits whose probabilities are those named, the rest spread over all other tokens."""
    logits = np.empty((len(rows), 50), np.float32)
    for row, named in zip(logits, rows, strict=True):
        row[:] = np.log((1 - sum(named.values())) / (len(row) - len(named)))
        row[list(named)] = np.log(list(named.values()))
    return logits


def search(**changes) -> BeamSearch:
    settings = {"strategy": "beam", "num_beams": 2, "max_new_tokens": 5} | changes
    return BeamSearch(Settings(**settings), [1, 4], END, [0], settings["max_new_tokens"])


@given(some.integers(0, 2**32 - 1), some.integers(1, 40), some.integers(1, 3000), some.booleans())
def test_the_greatest_places_are_those_of_a_sort(seed, wanted, size, coarse):
    random = np.random.default_rng(seed)
    scores = random.normal(size=size).astype(np.float32)
    scores = scores.round(1) if coarse else scores  # many equal ones
    scores[random.random(size) < 0.1] = -np.inf
    wanted = min(wanted, size)
    assert greatest_places(scores, wanted).tolist() == np.argsort(-scores, kind="stable")[:wanted].tolist()


def test_the_greatest_may_stand_in_one_column_or_behind_all():
    scores = np.zeros(RUNS * 100 + 7, np.float32)
    scores[::100] = 1  # one column holds the greatest, but for those behind the last whole one
    scores[-3:] = 2
    expected = np.argsort(-scores, kind="stable")[:20]
    assert greatest_places(scores, 20).tolist() == expected.tolist()


def test_a_beam_may_have_two_children_and_another_none():
    beams = search()
    first = beams.step(logits_of({7: 0.5, 8: 0.4}))
    assert first == ([0, 0], [7, 8])
    second = beams.step(logits_of({5: 0.2, 6: 0.1}, {9: 0.5, 10: 0.4}))
    assert second == ([1, 1], [9, 10])


def test_the_likeliest_text_a_token_wins_and_not_the_likeliest_first_token():
    beams = search()
    beams.step(logits_of({7: 0.5, 8: 0.4}))
    beams.step(logits_of({END: 0.3, 5: 0.1}, {END: 0.2, 9: 0.7}))
    beams.step(logits_of({END: 0.9}, {END: 0.1, 7: 0.2}))
    assert [choice.token for choice in beams.found] == [8, 9, END]
    assert beams.score == pytest.approx(np.log(0.4 * 0.7 * 0.9) / 3, abs=1e-6)
    assert [choice.log_probability for choice in beams.found] == pytest.approx(np.log([0.4, 0.7, 0.9]), abs=1e-6)


def test_an_end_that_is_not_among_the_first_beams_finishes_nothing():
    beams = search(max_new_tokens=2)
    beams.step(logits_of({7: 0.5, 8: 0.3, END: 0.1}))  # third of them
    assert beams.step(logits_of({5: 0.9}, {5: 0.9})) is None
    assert [choice.token for choice in beams.found] == [7, 5]


def test_the_search_is_over_when_no_beam_can_be_better_than_the_finished():
    beams = search(max_new_tokens=50)
    assert beams.step(logits_of({END: 0.9, 7: 0.05})) is not None  # one of two is finished
    assert beams.step(logits_of({END: 0.9}, {END: 0.9})) is None
    assert [choice.token for choice in beams.found] == [END]


def test_mute_tokens_are_not_told_however_likely():
    beams = search()
    assert beams.step(logits_of({0: 0.9, 7: 0.05, 8: 0.04})).tokens == [7, 8]


def test_repeated_runs_are_not_told():
    beams = search(no_repeat_ngram_size=1)
    assert beams.step(logits_of({4: 0.9, 7: 0.05, 8: 0.04})).tokens == [7, 8]  # 4 is in the prompt
    assert beams.step(logits_of({7: 0.9, 9: 0.09}, {8: 0.9, 7: 0.09})).tokens == [9, 7]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_that_are_no_numbers_are_refused(value):
    logits = logits_of({7: 0.5})
    logits[0, 3] = value
    with pytest.raises(StoryLabError, match="not all numbers"):
        search().step(logits)
