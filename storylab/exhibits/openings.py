"""What the exhibits let their storytellers go on from."""

from storylab.stories import Story

PARK = "Every weekend the Jefferson's go to the park."
"""The report's own, as is the next."""
WEIGHT = "David noticed he had put on a lot of weight recently."
KITE = Story(
    (
        "Nora found an old blue kite behind her grandmother's couch.",
        "She carried it up the windy hill after lunch.",
        "The kite rose quickly and then sank into a tall oak.",
        "Her grandmother laughed and shook the branch with a broom.",
        "They flew the kite together until the sky turned orange.",
    )
)
"""A story written for the project."""
NEARLY = "Nora found an old red kite behind her grandmother's couch."
