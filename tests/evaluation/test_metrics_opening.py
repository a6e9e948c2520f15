"""Names and nouns of an opening, and how many of them come back."""

import math

import pytest

from storylab.evaluation.english import lemmas, names_and_nouns
from storylab.evaluation.metrics import OpeningCarriedOn


@pytest.mark.parametrize(
    ("opening", "expected"),
    [
        ("Every weekend the Jefferson's go to the park.", "weekend jefferson park"),
        ("David noticed he had put on a lot of weight recently.", "david weight"),
        ("My dog ran away during the storm.", "dog storm"),
        ("Yesterday Ann and two men bought old bikes from Mr. Hill.", "ann man bike hill"),
        ("I really didn't want to walk there again!", ""),
        ("She went for a walk on Monday.", "walk monday"),  # a verb's form behind an article is a noun
        ("We were swimming at the 5th Street pool.", "street pool"),
        ("The family saw a red butterfly.", "family butterfly"),
        ("“Hello,” said Mia’s teacher.", "hello mia teacher"),
        ("", ""),
    ],
)
def test_names_and_nouns_by_hand(opening, expected):
    assert names_and_nouns(opening) == set(expected.split())


def test_what_rules_cannot_know():
    # Rare verbs pass for nouns, and a name that is also a word of grammar is none: the price of having no tagger.
    assert "whittle" in names_and_nouns("They whittle spoons.")
    assert "will" not in names_and_nouns("Will slept.")


def test_forms_of_a_word_are_one():
    assert lemmas("Dogs dog's dogs’ DOG") == {"dog"}
    assert lemmas("parties, boxes, dishes, classes, wives") == {"party", "box", "dish", "class", "wife"}
    assert lemmas("bus glass tennis gas") == {"bus", "glass", "tennis", "gas"}  # an s of their own


def test_opening_carried_on_by_hand():
    # dog and storm: dog comes back. ann, man, bike: none does, "she" is no name. So 1 of 5.
    openings = ["My dog ran away during the storm.", "Ann and two men bought bikes."]
    told = ["I looked for him. The dogs next door barked.", "She was happy."]
    metric = OpeningCarriedOn()
    assert metric.statistics(predictions=told, openings=openings).tolist() == [[1, 2], [0, 3]]
    assert metric.compute(predictions=told, openings=openings) == {"opening_carried_on": 0.2}


def test_a_copy_carries_on_everything():
    opening = "Every weekend the Jefferson's go to the park."
    assert OpeningCarriedOn().compute(predictions=[opening], openings=[opening]) == {"opening_carried_on": 1.0}


def test_an_opening_without_names_and_nouns_does_not_count():
    rows = OpeningCarriedOn().statistics(predictions=["He ran.", "The dog ran."], openings=["He ran.", "A dog ran."])
    assert rows.tolist() == [[0, 0], [1, 1]]
    assert math.isnan(OpeningCarriedOn().compute(predictions=["A."], openings=["He ran."])["opening_carried_on"])
