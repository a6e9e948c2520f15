"""One story, learnt by heart in seconds: what every training loop should be able to do before anything else."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from storylab.decoding import Settings, split_sentences
from storylab.errors import StoryLabError
from storylab.exhibits.by_heart import MOST_SECONDS, RATE, Retelling, compare
from storylab.exhibits.live import new_model
from storylab.framing import PromptTarget, encode_stories
from storylab.models import Seq2SeqStoryteller
from storylab.stories import Story
from storylab.storytellers.kinds import Seq2SeqKind
from storylab.storytellers.storyteller import Storyteller
from storylab.training.loop import Record, train
from storylab.training.optimizers import make_optimizers
from storylab.training.recipe import Recipe
from storylab.training.run import prepare_accelerator
from storylab.training.state import Progress
from storylab.training.turn import Stopped, turn

RECIPE = Recipe(
    name="overfit",
    title="One story by heart",
    model_type="seq2seq",
    framing="prompt-target",
    model={"width": 64, "heads": 4, "encoder_layers": 1, "decoder_layers": 1, "inner": 256, "dropout": 0.0},
    epochs=300.0,
    batch_size=1,
    optimizer="muon",
    learning_rate=1e-2,
    warmup=10,
    schedule="wsd",
    precision="fp32",
    log_every=5,
    evaluate_every=10_000,
    save_every=10_000,
)
"""A small encoder-decoder, and up to 300 steps on the one story."""
LEARNT = 0.01
"""Nats a token at which each token of the story is all but certain, so that training stops."""
MOST_STEPS = 30_000
"""What the course report needed at its learning rate; the schedule's length, which the time cuts short."""


@dataclass(frozen=True)
class Overfitted:
    """A model that knows one story."""

    storyteller: Storyteller
    losses: list[tuple[int, float]]
    """(step, mean loss in nats a token) in the course of training."""
    steps: int
    seconds: float


def overfit(
    story: Story,
    tokenizer,
    *,
    on_loss: Callable[[int, float], None] = lambda step, loss: None,
    should_stop: Callable[[], bool] = lambda: False,
    seed: int = 0,
) -> Overfitted:
    """Train a new small encoder-decoder on a single story until it knows it by heart.

    Args:
        story: The story.
        tokenizer: Gives the model its vocabulary.
        on_loss: Told the step and the mean loss of the last few steps, in nats a token.
        should_stop: Asked before training and after every step; True ends it early.
        seed: Seed of the weights.

    Raises:
        StoryLabError: The story is too long for the model.
    """
    pupil = _Pupil(story, tokenizer, replace(RECIPE, seed=seed))
    learnt = lambda: bool(pupil.losses) and pupil.losses[-1][1] < LEARNT  # noqa: E731
    return pupil.train(on_loss, lambda: should_stop() or learnt(), should_stop)


def overfit_aloud(
    story: Story,
    tokenizer,
    *,
    on_retelling: Callable[[Retelling], None],
    should_stop: Callable[[], bool] = lambda: False,
    learning_rate: float = RATE,
    seconds: float = MOST_SECONDS,
    seed: int = 0,
) -> Overfitted:
    """The same, while the model retells the story every few steps; it ends once it does so word for word.

    Args:
        story: The story.
        tokenizer: Gives the model its vocabulary.
        on_retelling: Given every retelling; the last one comes from the weights that are returned.
        should_stop: Asked before training and after every step and every token of a retelling; True ends it early.
        learning_rate: Peak of AdamW; Muon's is twice that, as in `RECIPE`.
        seconds: What it may take at most.
        seed: Seed of the weights.

    Raises:
        StoryLabError: The story is too long for the model.
    """
    rates = {"learning_rate": learning_rate, "matrix_learning_rate": 2 * learning_rate}
    pupil = _Pupil(story, tokenizer, replace(RECIPE, epochs=float(MOST_STEPS), seed=seed, **rates))
    over = lambda: should_stop() or pupil.seconds > seconds  # noqa: E731
    told: tuple[int, str] = (0, "")

    def is_done() -> bool:
        # The loop asks this before it logs: the weights that tell the story are the last ones.
        nonlocal told
        step = pupil.progress.step
        if step % RECIPE.log_every == 0 and not over():
            told = (step, pupil.retell(should_stop))
        return told == (step, story.continuation) or over()

    def note(step: int, loss: float) -> None:
        if told[0] == step:
            on_retelling(compare(story, told[1], step, pupil.seconds, loss))

    return pupil.train(note, is_done, should_stop)


class _Pupil:
    """A new model, and the one story that it is to learn."""

    def __init__(self, story: Story, tokenizer, recipe: Recipe):
        self.story, self.recipe = story, recipe
        self.model: Seq2SeqStoryteller = new_model(recipe, tokenizer)
        encoded = encode_stories([story], tokenizer)
        self.framing = PromptTarget(encoded, tokenizer, self.model.config.max_position_embeddings)
        self.storyteller = Storyteller("overfit", RECIPE.title, Seq2SeqKind(self.model, tokenizer))
        # A few tokens more than the story has: enough to see that it goes on where it should end.
        self.aloud = Settings(strategy="greedy", sentences=10, max_new_tokens=len(encoded[0].continuation) + 8)
        told = len(split_sentences(story.continuation))
        if told > self.aloud.sentences:
            raise StoryLabError(f"{told} sentences follow the opening, at most {self.aloud.sentences} are retold")
        self.losses: list[tuple[int, float]] = []
        self.progress, self.began = Progress(), time.perf_counter()

    @property
    def seconds(self) -> float:
        """Since training began."""
        return time.perf_counter() - self.began

    def train(
        self, on_loss: Callable[[int, float], None], is_done: Callable[[], bool], should_stop: Callable[[], bool]
    ) -> Overfitted:
        """Train until it is done; not at all where it should stop before its turn comes."""

        def note(record: Record) -> None:
            if "loss" in record:
                self.losses.append((record["step"], record["loss"]))
                on_loss(*self.losses[-1])

        model, recipe, framing = self.model, self.recipe, self.framing
        try:
            with turn(should_stop):
                self.began = time.perf_counter()
                optimizers, accelerator = make_optimizers(model, recipe), prepare_accelerator(recipe, "cpu")
                train(model, optimizers, recipe, framing, framing, accelerator, self.progress, [note], is_done)
        except Stopped:
            pass
        seconds = self.seconds
        model.eval().requires_grad_(False)
        return Overfitted(self.storyteller, self.losses, self.progress.step, seconds)

    def retell(self, should_stop: Callable[[], bool]) -> str:
        """The story as the model tells it by now; cut short where it should stop."""
        self.model.eval()
        told = ""
        for piece in self.storyteller.stream(self.story.opening, self.aloud, seed=0):
            told = piece.text if hasattr(piece, "story") else told + piece.text
            if should_stop():
                break
        self.model.train()
        return told.strip()
