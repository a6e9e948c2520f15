"""A small storyteller fine-tuned on somebody's own stories, in memory, while they look on."""

import copy
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from torch import Tensor

from storylab.decoding import Settings
from storylab.errors import StoryLabError
from storylab.evaluation.score import Score, score
from storylab.exhibits.own import LOOKS, MOST_SECONDS, RECIPES, hold_out
from storylab.framing import Framing
from storylab.models.loading import positions_of
from storylab.stories import Splits, Story
from storylab.storytellers.catalog import OWN_NAME
from storylab.storytellers.storyteller import Storyteller
from storylab.training.data import build_framing
from storylab.training.freezing import freeze
from storylab.training.loop import Record, steps_of, train
from storylab.training.optimizers import make_optimizers
from storylab.training.run import prepare_accelerator
from storylab.training.state import Progress
from storylab.training.turn import Stopped, turn

AT_ONCE = 256
"""Tokens that are scored in one pass: few, so that it is soon heard when it should stop."""


@dataclass
class Course:
    """How far a training is."""

    step: int = 0
    steps: int = 0
    seconds: float = 0.0
    losses: list[tuple[int, float]] = field(default_factory=list)
    """(step, loss on the batch before it) in nats a token."""
    held_out: list[tuple[int, float]] = field(default_factory=list)
    """(step, loss on the held-out stories) in nats a token."""
    sample: str = ""
    """What the model makes of the first held-out opening by now."""


@dataclass(frozen=True)
class FineTuned:
    """A storyteller fine-tuned on somebody's stories."""

    storyteller: Storyteller
    before: Score
    """The base's on the held-out stories."""
    after: Score
    splits: Splits
    course: Course
    ended_by: str
    """`end` of the schedule, `stopped`, or `time`."""


class _Enough(Exception):
    """It ends here."""


class _Bounds:
    """What ends a training before the end of its schedule."""

    def __init__(self, should_stop: Callable[[], bool], has_left: Callable[[], bool], seconds: float):
        self.should_stop, self.has_left, self.most = should_stop, has_left, seconds
        self.ended_by, self.began = "end", time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.began

    def check(self, *_: object) -> None:
        """End training where it should stop, or the time is up."""
        if self.should_stop():
            self.ended_by = "stopped"
        elif self.seconds > self.most:
            self.ended_by = "time"
        else:
            return
        raise _Enough

    def check_left(self, *_: object) -> None:
        """End everything where nobody waits for the outcome."""
        if self.has_left():
            self.ended_by = "stopped"
            raise _Enough


def fine_tune(
    base: Storyteller,
    stories: Sequence[Story],
    *,
    name: str = OWN_NAME,
    on_course: Callable[[Course], None] = lambda course: None,
    should_stop: Callable[[], bool] = lambda: False,
    has_left: Callable[[], bool] = lambda: False,
    seconds: float = MOST_SECONDS,
) -> FineTuned:
    """Fine-tune a copy of a storyteller; the storyteller itself stays as it is, and nothing is written.

    It waits until no other training runs in this process.

    Args:
        base: One of `own.RECIPES`.
        stories: Different ones, at least `own.FEWEST_STORIES`; some are held out.
        name: What the new storyteller is called.
        on_course: Told after every step and every look at the held-out stories how far it is.
        should_stop: Asked before every pass; True ends training, and what was learnt is measured and kept.
        has_left: Asked while that is measured; True ends this too, and nothing is kept.
        seconds: What training may take.

    Raises:
        StoryLabError: The storyteller has no recipe here, a story is too long for it, training ended before its
            first step, or nobody waited for the outcome.
    """
    if base.name not in RECIPES:
        raise StoryLabError(f"{base.name} can't be fine-tuned here; {', '.join(RECIPES)} can")
    bounds = _Bounds(should_stop, has_left, seconds)
    course = Course()
    try:
        with turn(should_stop):
            bounds.began = time.perf_counter()
            return _fine_tune(base, hold_out(stories), name, course, on_course, bounds)
    except (_Enough, Stopped):
        if course.losses:
            raise StoryLabError("nobody waited for the end of the training") from None
        reason = "the time was up" if bounds.ended_by == "time" else "training was stopped"
        raise StoryLabError(f"{reason} before its first step") from None


def _fine_tune(
    base: Storyteller,
    splits: Splits,
    name: str,
    course: Course,
    on_course: Callable[[Course], None],
    bounds: _Bounds,
) -> FineTuned:
    bounds.check()
    before = score(base, splits.validation, bounds.check, AT_ONCE)
    course.held_out.append((0, before.nll / before.tokens))
    model = copy.deepcopy(base.model).requires_grad_(True)
    recipe = RECIPES[base.name]
    freeze(model, recipe.freeze)
    sides = (splits.train, splits.validation)
    framing, validation = (
        _Watched(
            build_framing(recipe, side, base.tokenizer, positions_of(model), side is splits.validation), bounds.check
        )
        for side in sides
    )
    course.steps = steps_of(recipe, framing)
    recipe = replace(recipe, evaluate_every=max(1, course.steps // LOOKS))
    bounds.check()
    accelerator = prepare_accelerator(recipe, "cpu")
    optimizers = make_optimizers(model, recipe)
    model = accelerator.prepare(model)
    pupil = Storyteller(name, recipe.title, type(base.kind)(model, base.tokenizer))

    def note(record: Record) -> None:
        if "save" in record:
            return
        course.step, course.seconds = record["step"], bounds.seconds
        if "loss" in record:
            course.losses.append((course.step, record["loss"]))
        if "validation_loss" in record:
            course.held_out.append((course.step, record["validation_loss"]))
            model.eval()
            course.sample = _sample(pupil, splits.validation[0].opening, bounds.check)
            model.train()
        on_course(course)

    try:
        train(model, optimizers, recipe, framing, validation, accelerator, Progress(), [note])
    except _Enough:
        if not course.losses:
            raise
    course.seconds = bounds.seconds
    model = accelerator.unwrap_model(model, keep_fp32_wrapper=False).eval().requires_grad_(False)
    storyteller = Storyteller(name, recipe.title, type(base.kind)(model, base.tokenizer))
    bounds.check_left()
    after = score(storyteller, splits.validation, bounds.check_left, AT_ONCE)
    return FineTuned(storyteller, before, after, splits, course, bounds.ended_by)


def _sample(pupil: Storyteller, opening: str, check: Callable[[], None]) -> str:
    told = ""
    for piece in pupil.stream(opening, Settings(), seed=1):
        check()
        told = piece.text  # the last is the whole telling
    return told


class _Watched(Framing):
    """A framing that asks before every pass whether to go on."""

    def __init__(self, framing: Framing, check: Callable[[], None]):
        self.framing, self.check = framing, check

    def examples(self, epoch: int) -> np.ndarray:
        return self.framing.examples(epoch)

    def lengths(self, examples: np.ndarray) -> np.ndarray:
        return self.framing.lengths(examples)

    def real_tokens(self, examples: np.ndarray) -> int:
        return self.framing.real_tokens(examples)

    def collate(self, examples: Iterable[np.ndarray]) -> dict[str, Tensor]:
        self.check()
        return self.framing.collate(examples)
