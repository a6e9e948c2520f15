"""The measures of one story, on cases worked out by hand and against the metrics of many."""

import math

import pytest

from storylab.evaluation.metrics import Distinct, OpeningCarriedOn, Repetition
from storylab.evaluation.one_story import story_figures

OPENING = "Tom lost his red hat."
STORY = ["Tom went to the shop.", "He went to the shop."]


def test_a_story_by_hand():
    figures = story_figures(OPENING, STORY, log_probability=-10 * math.log(3))
    assert figures.words == 10
    # tom went, went to, to the, the shop, shop he, he went, then three again
    assert figures.distinct_2 == pytest.approx(6 / 9)
    assert figures.repeated == 1  # "went to the shop"
    assert figures.carried_on == pytest.approx(1 / 2)  # Tom, not the hat
    assert figures.perplexity_per_word == pytest.approx(3)


def test_a_story_alone_is_measured_as_among_many():
    figures, text = story_figures(OPENING, STORY), " ".join(STORY)
    assert (
        figures.carried_on == OpeningCarriedOn().compute(predictions=[text], openings=[OPENING])["opening_carried_on"]
    )
    assert (figures.repeated > 0) == bool(Repetition().compute(predictions=[text])["repetition_4"])
    assert figures.distinct_2 == pytest.approx(Distinct(2).compute(predictions=[text])["distinct_2"])


def test_where_there_is_nothing_to_count():
    figures = story_figures("It rained.", ["Oh."], log_probability=-1e6)
    assert (figures.distinct_2, figures.repeated) == (None, 0)
    assert math.isfinite(figures.perplexity_per_word)
    assert story_figures("It rained.", [], log_probability=0.0).perplexity_per_word is None
    assert story_figures("It rained.", ["Oh."]).perplexity_per_word is None
