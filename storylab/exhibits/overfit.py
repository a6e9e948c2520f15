"""One story, learnt by heart in seconds: what every training loop should be able to do before anything else."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from storylab.framing import PromptTarget, encode_stories
from storylab.models import Seq2SeqStoryteller
from storylab.stories import Story
from storylab.storytellers.kinds import Seq2SeqKind
from storylab.storytellers.storyteller import Storyteller
from storylab.training.build import build_model
from storylab.training.loop import Record, train
from storylab.training.optimizers import make_optimizers
from storylab.training.recipe import Recipe
from storylab.training.run import prepare_accelerator
from storylab.training.state import Progress

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
        should_stop: Asked after every step; True ends training early.
        seed: Seed of the weights.

    Raises:
        StoryLabError: The story is too long for the model.
    """
    model: Seq2SeqStoryteller = build_model(replace(RECIPE, seed=seed), tokenizer)
    framing = PromptTarget(encode_stories([story], tokenizer), tokenizer, model.config.max_position_embeddings)
    losses: list[tuple[int, float]] = []

    def note(record: Record) -> None:
        if "loss" in record:
            losses.append((record["step"], record["loss"]))
            on_loss(*losses[-1])

    done = lambda: should_stop() or (bool(losses) and losses[-1][1] < LEARNT)  # noqa: E731
    optimizers, started = make_optimizers(model, RECIPE), time.perf_counter()
    accelerator = prepare_accelerator(RECIPE, "cpu")
    progress = train(model, optimizers, RECIPE, framing, framing, accelerator, Progress(), [note], done)
    seconds = time.perf_counter() - started
    kind = Seq2SeqKind(model.eval().requires_grad_(False), tokenizer)
    return Overfitted(Storyteller("overfit", RECIPE.title, kind), losses, progress.step, seconds)
