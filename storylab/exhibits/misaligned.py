"""Fine-tuning with labels that stand under nothing that leads to them: "the the the"."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

from storylab.exhibits.live import learn, nearest, new_model, refuse_elsewhere, tell
from storylab.exhibits.openings import PARK
from storylab.exhibits.parts import Part
from storylab.inspection.corpus import small_corpus
from storylab.storytellers import load
from storylab.storytellers.kinds import CausalKind
from storylab.storytellers.sources import PROJECT
from storylab.storytellers.storyteller import Storyteller
from storylab.training.data import build_framing
from storylab.training.recipe import read_recipe

STORIES = 64
SHORT = (
    "batch_size=8",
    "epochs=2",
    'optimizer="adamw"',
    "learning_rate=1e-3",
    "weight_decay=0.02",
    "warmup=4",
    'freeze="the first 3 layers"',
    f"limit={STORIES}",
    "log_every=2",
    "evaluate_every=10000",
    "save_every=10000",
    "patience=0",
    'keep="last"',
)
"""What is changed of the named recipes, so that they end in seconds and differ in their labels alone."""
GREEDY = {"strategy": "greedy"}


def misaligned(stop: threading.Event, computes: Mapping[str, Any]) -> Iterator[Part]:
    """The same base fine-tuned on the same stories by the two recipes of the report's first method."""
    refuse_elsewhere(computes)
    base = load(nearest(["gpt2-mini"]))
    stories = small_corpus().stories[:STORIES]
    for side, name in (("failure", "gpt2-mini-prompt-misaligned"), ("repair", "gpt2-mini-prompt")):
        recipe = read_recipe(PROJECT / "train" / f"{name}.toml", SHORT)
        model = new_model(recipe, base.tokenizer, base.folder)
        positions = model.config.max_position_embeddings
        framing = build_framing(recipe, stories, base.tokenizer, positions, validating=False)
        few = build_framing(recipe, stories[:4], base.tokenizer, positions, validating=False)
        model = yield from learn(side, model, recipe, framing, few, stop)
        learner = Storyteller(name, recipe.title, CausalKind(model, base.tokenizer))
        settings = {"max_new_tokens": 80}
        yield from tell(side, "greedy", f"{name}, greedy", learner, PARK, settings | GREEDY, 1, stop)
        yield from tell(side, "sampled", f"{name}, sampled, seed 1", learner, PARK, settings, 1, stop)
