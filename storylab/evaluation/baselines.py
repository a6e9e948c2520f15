"""What storytellers are held against: people's own stories, and two tellers that know nothing."""

import random
from collections.abc import Sequence

from storylab.evaluation.generation import seed_of
from storylab.evaluation.told import Column, Told
from storylab.stories import SENTENCES, Story


def human(stories: Sequence[Story]) -> Column:
    """People's stories. They are the references, so nothing that needs one is measured of them."""
    told = [Told(story.opening, story.continuation) for story in stories]
    return Column("human", "People", "human", told, None)


def copied_openings(stories: Sequence[Story]) -> Column:
    """The opening said again, four times: what overlap with the reference is worth without a story."""
    told = [Told(story.opening, " ".join([story.opening] * (SENTENCES - 1))) for story in stories]
    return Column("copied-opening", "The opening, four times over", "baseline", told, _references(stories))


def random_sentences(stories: Sequence[Story], training: Sequence[Story], seed: int) -> Column:
    """Sentences of people's without a story: the second to fifth of four training stories, drawn for each opening."""

    def draw(story: Story) -> str:
        luck = random.Random(seed_of(story, seed))
        return " ".join(luck.choice(training).sentences[place] for place in range(1, SENTENCES))

    told = [Told(story.opening, draw(story)) for story in stories]
    return Column("random-sentences", "Random training sentences", "baseline", told, _references(stories))


def _references(stories: Sequence[Story]) -> list[str]:
    return [story.continuation for story in stories]
