"""Words that differ between two tellings."""

from hypothesis import given
from hypothesis import strategies as st

from storylab.inspection.differences import Stretch, differences, differing_words


def test_only_what_is_new_is_marked_and_sentences_stay_apart():
    marked = differences("He ran home. She slept.", ["He ran away.", "She slept."])
    assert marked == [[Stretch("He ran", False), Stretch("away.", True)], [Stretch("She slept.", False)]]
    assert differing_words(marked) == 1


def test_the_same_story_has_nothing_marked_and_another_everything():
    story = ["He ran.", "She slept."]
    assert differing_words(differences(" ".join(story), story)) == 0
    assert differing_words(differences("Nothing alike", story)) == 4


@given(st.text(alphabet="ab .", max_size=40), st.lists(st.text(alphabet="ab .", max_size=20), max_size=4))
def test_the_stretches_of_a_sentence_are_its_words(before, sentences):
    marked = differences(before, sentences)
    assert [" ".join(stretch.text for stretch in line) for line in marked] == [" ".join(s.split()) for s in sentences]
