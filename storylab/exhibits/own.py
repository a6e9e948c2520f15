"""A user's own stories: which of them are used, and how each small storyteller is fine-tuned on them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from storylab.errors import StoryLabError
from storylab.stories import Splits, Story, fingerprint, read_stories, remove_duplicates, split_stories
from storylab.training.recipe import Recipe

MOST_STORIES = 500
"""Stories of a file that are used."""
FEWEST_STORIES = 8
"""Stories without which nothing can be learnt and held against others."""
HELD_OUT = 0.1
"""Expected share of the stories that are not learnt, but measured on."""
MOST_SECONDS = 180
"""What training may take; what has been learnt by then is kept."""
LOOKS = 10
"""Validations in the course of a training."""

_SHARED: dict[str, Any] = {
    "optimizer": "adamw",
    "weight_decay": 0.02,
    "schedule": "wsd",
    "decay": 0.7,
    "warmup": 5,
    "log_every": 1,
    "save_every": 1_000_000,
    "sample": "",
    "keep": "last",
}
_PACKED = _SHARED | {
    "model_type": "causal",
    "framing": "packed",
    "learn_prompt": False,  # so that the loss is the one that the held-out stories are measured by
    "pack_length": 256,  # short passes, so that Stop is heard soon
    "batch_size": 1,
    "accumulation": 2,
}
RECIPES: dict[str, Recipe] = {
    "gpt2-mini-finetuned": Recipe(
        name="yours",
        base="gpt2-mini-finetuned",
        freeze="embeddings and the first 2 layers",
        epochs=3.0,
        learning_rate=3e-4,
        **_PACKED,
    ),
    "gpt2-mini": Recipe(
        name="yours",
        base="gpt2-mini",
        freeze="the first 2 layers",
        epochs=3.0,
        learning_rate=3e-4,
        **_PACKED,
    ),
    "seq2seq": Recipe(
        name="yours",
        model_type="seq2seq",
        framing="prompt-target",
        epochs=3.0,
        batch_size=8,
        learning_rate=3e-4,
        **_SHARED,
    ),
}
"""How each storyteller that can be fine-tuned here is; one that knows such stories already takes small steps."""


def read_own(path: Path) -> tuple[list[Story], int]:
    """The stories of a file that are used, and how many of its rows were none.

    Raises:
        StoryLabError: It can't be read, or has too few stories.
    """
    bad: list[StoryLabError] = []
    stories = remove_duplicates(read_stories(path, limit=MOST_STORIES, on_bad_row=bad.append))
    if len(stories) < FEWEST_STORIES:
        reason = f"; {bad[0]}" if bad else ""
        raise StoryLabError(
            f"{path} has {len(stories)} different stories, at least {FEWEST_STORIES} are needed{reason}"
        )
    return stories, len(bad)


def hold_out(stories: Sequence[Story]) -> Splits:
    """Hold some stories back by their hash, at least one."""
    splits = split_stories(stories, HELD_OUT, test=0.0)
    if splits.validation:
        return splits
    chosen = min(stories, key=lambda story: fingerprint([story]))
    return Splits(train=[story for story in stories if story is not chosen], validation=[chosen])
