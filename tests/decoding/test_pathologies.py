"""Pathologies: each is named where it is, and nowhere else."""

import pytest

from storylab.decoding.pathologies import copies_opening, find_pathologies, repeated_words

OPENING = "Every weekend the Jefferson's go to the park."
STORY = [
    "The children run straight to the swings.",
    "Last Sunday it began to rain before lunch.",
    "Their father held a blanket over them like a tent.",
    "They ate their sandwiches under it and laughed.",
]


def codes(story, ended_by="end", opening=OPENING, **options):
    return [pathology.code for pathology in find_pathologies(opening, story, ended_by, **options)]


@pytest.mark.parametrize("ended_by", ["end", "sentences", "stopped", None])
def test_a_sound_story_has_none(ended_by):
    assert codes(STORY, ended_by) == []


def test_a_loop_is_four_words_in_a_row_that_come_twice():
    story = [*STORY[:2], "They play a lot of games.", "They play a lot of games."]
    assert codes(story) == ["loop"]
    (pathology,) = find_pathologies(OPENING, story, "end")
    assert '"they play a lot" comes 2 times' in pathology.message
    assert "repetition penalty" in pathology.message


def test_a_loop_counts_across_sentences_case_and_punctuation_and_overlaps():
    assert repeated_words(["He ran to the", "shop.", "And he RAN, to the park."]) == ("he ran to the", 2)
    assert repeated_words(["no no no no no no"]) == ("no no no no", 3)
    assert repeated_words(["He ran to a shop.", "He ran to the park."]) is None
    assert repeated_words([]) is None


@pytest.mark.parametrize(
    "sentence",
    [
        OPENING,
        "every weekend the Jefferson's go to the park",
        "Every weekend the Jefferson's go to the park and they go to the park to play all day.",
        "They go to the park.",
    ],
)
def test_a_copy_says_the_opening_again(sentence):
    assert copies_opening(OPENING, sentence)
    assert "copies_opening" in codes([sentence, *STORY[1:]])


@pytest.mark.parametrize("sentence", ["The park was closed.", "Every weekend it rains.", "...", ""])
def test_words_in_common_are_no_copy(sentence):
    assert not copies_opening(OPENING, sentence)


def test_each_sentence_of_a_long_opening_counts():
    assert copies_opening("It rained. Tom went home early that day.", "Tom went home early that day!")
    assert copies_opening("It rained. Tom slept.", "It rained.")


@pytest.mark.parametrize("sentence", ["....................", "!", "A.", "42.", '" "'])
def test_a_sentence_without_letters_is_punctuation(sentence):
    assert codes([*STORY[:3], sentence]) == ["punctuation"]


def test_short_words_are_no_punctuation():
    assert codes([*STORY[:3], "No."]) == []


def test_cut_off_by_the_token_limit_or_in_the_middle_of_a_sentence():
    assert codes([*STORY[:2], "Their father"], "tokens") == ["cut_off"]
    assert codes([], "tokens") == ["cut_off"]
    assert codes([*STORY[:2], "Their father"], "stopped") == ["cut_off"]
    assert codes(STORY[:2], "stopped") == []
    assert codes([], "stopped") == []
    assert codes([*STORY[:2], "Their father"], None) == []  # it is still told


def test_too_few_sentences_where_the_model_itself_ended():
    assert codes(STORY[:3]) == ["too_few_sentences"]
    assert codes([]) == ["too_few_sentences"]
    assert codes(STORY[:2], sentences=2) == []
    assert "3 of 4 sentences" in find_pathologies(OPENING, STORY[:3], "end")[0].message


def test_the_failures_of_the_original_report_are_named():
    assert codes(["."], "tokens") == ["punctuation", "cut_off"]
    park = "They go to the park and they go to the park and they go to the park and"
    assert codes([park], "tokens") == ["loop", "cut_off"]
    games = ["They go to the park to play.", *["They play a lot of games."] * 3]
    assert codes(games) == ["loop"]


def test_every_message_is_one_sentence_with_a_reason():
    story = [OPENING, OPENING, "."]
    for ended_by in ("end", "tokens", "stopped"):
        for pathology in find_pathologies(OPENING, story, ended_by):
            assert pathology.message.endswith(".") and "because" in pathology.message
            assert pathology.message.isprintable() and len(pathology.message) < 250
