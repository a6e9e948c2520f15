"""What the course report found, shown again by the storytellers that are ready."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from storylab.errors import StoryLabError
from storylab.stories import Story
from storylab.storytellers import Telling, describe, load
from storylab.storytellers.catalog import PROJECT

PARK = "Every weekend the Jefferson's go to the park."
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


@dataclass(frozen=True)
class Shown:
    """A telling of an exhibit, and what to look at in it."""

    label: str
    telling: Telling


@dataclass(frozen=True)
class Exhibit:
    """A finding and the tellings that show it."""

    name: str
    title: str
    finding: str
    """What is to be seen, in a sentence or two."""
    shown: list[Shown]

    def to_dict(self) -> dict[str, Any]:
        """The exhibit as JSON-ready data."""
        return asdict(self)


def show(name: str) -> Exhibit:
    """Run an exhibit.

    Args:
        name: One of `EXHIBITS`.

    Raises:
        StoryLabError: There is no such exhibit, or no storyteller that it needs is ready.
    """
    if name not in EXHIBITS:
        raise StoryLabError(f"there is no exhibit {name[:60]!r}; there are {', '.join(EXHIBITS)}")
    return EXHIBITS[name]()


def _nearest(names: Sequence[str]) -> str:
    """The first of some storytellers that is ready."""
    states = {row["name"]: row["state"] for row in describe()}
    for name in names:
        if states.get(name) == "ready":
            return name
    raise StoryLabError(f"this exhibit needs one of {', '.join(names)}, and none is ready")


def _repetition() -> Exhibit:
    name = _nearest(["gpt2", "gpt2-mini", "smollm2"])
    beams = {"strategy": "beam", "num_beams": 5, "max_new_tokens": 120, "sentences": 10}
    storyteller = load(name)
    return Exhibit(
        "repetition",
        "Zero-shot, the likeliest text repeats itself",
        "Beam search looks for the text that the model finds most probable. For a model that was never shown where a "
        "story ends, that is the same words over and over; drawing tokens at random keeps it moving.",
        [
            Shown(f"{name}, beam search", storyteller.tell(PARK, beams, seed=0)),
            Shown(f"{name}, sampled", storyteller.tell(PARK, seed=0)),
        ],
    )


def _finetuned() -> Exhibit:
    name = _nearest(["gpt2-finetuned", "gpt2-mini-finetuned", "smollm2-finetuned"])
    return Exhibit(
        "finetuned",
        "Fine-tuned, four different sentences and the end",
        "The same architecture after it has read five-sentence stories: as a rule four sentences, none like another, "
        "and then its own end token.",
        [Shown(f"{name}, seed {seed}", load(name).tell(PARK, seed=seed)) for seed in (1, 2, 3)],
    )


def _temperature() -> Exhibit:
    name = _nearest(["seq2seq", "gpt2-mini-finetuned"])
    return Exhibit(
        "temperature",
        "Temperature 0.1 against 1.0",
        "At 0.1 every seed tells nearly the same cautious story; at 1.0 each tells its own, and more of them go "
        "astray.",
        [
            Shown(
                f"{name}, temperature {temperature}, seed {seed}",
                load(name).tell(WEIGHT, {"temperature": temperature, "top_p": 1.0}, seed=seed),
            )
            for temperature in (0.1, 1.0)
            for seed in (1, 2, 3)
        ],
    )


def _overfit() -> Exhibit:
    from storylab.exhibits.overfit import overfit  # imports accelerate and the training loop
    from storylab.tokenizers import load_tokenizer

    learnt = overfit(KITE, load_tokenizer(PROJECT / "train" / "vocabulary"))
    tell = lambda opening: learnt.storyteller.tell(opening, {"strategy": "greedy"}, seed=0)  # noqa: E731
    return Exhibit(
        "overfit",
        "One story learnt by heart",
        f"After {learnt.steps} steps and {learnt.seconds:.1f} seconds on a single story a new model repeats it word "
        "for word. Asked for another opening it tells the same story: it has learnt no language, only this text.",
        [
            Shown("the opening that it learnt", tell(KITE.opening)),
            Shown("the opening slightly changed", tell(NEARLY)),
        ],
    )


EXHIBITS: dict[str, Callable[[], Exhibit]] = {
    "repetition": _repetition,
    "finetuned": _finetuned,
    "temperature": _temperature,
    "overfit": _overfit,
}
"""The exhibits by name."""
