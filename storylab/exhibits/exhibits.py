"""What the course report found, shown again by the storytellers that are here and by some trained on the spot."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from storylab.errors import StoryLabError
from storylab.exhibits.parts import Exhibit, Part
from storylab.storytellers.registry import LOADING


@dataclass(frozen=True)
class Experiment:
    """What can be shown, and what shows it."""

    title: str
    finding: str
    """What is to be seen, in a sentence or two."""
    place: str
    """`module:function`, in this package; torch and the training loop are imported when it runs."""
    trains: bool = False
    """Whether it trains models of its own."""

    def parts(self, stop: threading.Event, computes: Mapping[str, Any]) -> Iterator[Part]:
        """Run it; `computes` says where and in what the storytellers at hand compute, as `load` takes it."""
        module, name = self.place.split(":")
        function: Callable[[threading.Event, Mapping[str, Any]], Iterator[Part]]
        with LOADING:  # another thread may be importing transformers
            function = getattr(import_module(f"storylab.exhibits.{module}"), name)
        return function(stop, computes)


EXHIBITS: dict[str, Experiment] = {
    "repetition": Experiment(
        "Zero-shot, the likeliest text repeats itself",
        "Beam search looks for the text that the model finds most probable. For a model that was never shown where a "
        "story ends, that is the same words over and over; drawing tokens at random keeps it moving, and so does "
        "forbidding what was said before.",
        "told:repetition",
    ),
    "finetuned": Experiment(
        "Fine-tuned, four different sentences and the end",
        "The same architecture after it has read five-sentence stories: as a rule four sentences, none like another, "
        "and then its own end token.",
        "told:finetuned",
    ),
    "temperature": Experiment(
        "Temperature 0.1 against 1.0",
        "At 0.1 every seed tells nearly the same cautious story; at 1.0 each tells its own, and more of them go "
        "astray.",
        "told:temperature",
    ),
    "overfit": Experiment(
        "One story learnt by heart",
        "After some hundred steps on a single story a new model repeats it word for word. Asked for another opening "
        "it tells the same story: it has learnt no language, only this text.",
        "told:by_heart",
        trains=True,
    ),
    "unigram": Experiment(
        "An encoder that never learns",
        "The report's encoder ended where knowing the words' frequencies puts it. Here two encoders differ in their "
        "rate alone: at 1e-7 the loss has not even come there from where guessing blindly puts it; at a rate that fits "
        "it falls below. Padding that is averaged into the vector changes what a model expects; masked, it changes "
        "nothing.",
        "unigram:unigram",
        trains=True,
    ),
    "padding": Experiment(
        "An accuracy made of padding",
        "With padding among the labels the accuracy looks high, because padding is easy to guess; on the words alone "
        "it is low. A model that learnt padding and no end token goes on in padding where its story is over; one that "
        "learnt the end token chooses it.",
        "padding:padding",
        trains=True,
    ),
    "misaligned": Experiment(
        "Labels that don't follow their inputs",
        "Where the label under a token is not the token after it, a model learns only which tokens are common, and "
        "repeats them. With labels shifted by one and the prompt left out of the loss it goes on with the story.",
        "misaligned:misaligned",
        trains=True,
    ),
    "packing": Experiment(
        "Fine-tuned, and still going in circles",
        "Beam search makes even a fine-tuned storyteller repeat itself; sampled, it tells four different sentences "
        "and ends. The report's packs dropped stories and let them read each other; with a mask that keeps them "
        "apart nothing is lost, and each is read as if it stood alone.",
        "packing:packing",
    ),
}
"""The exhibits by name."""

TOUR = ("unigram", "padding", "repetition", "misaligned", "packing")
"""Those of the guided tour, in the report's order."""


def watch(name: str, stop: threading.Event, computes: Mapping[str, Any] | None = None) -> Iterator[Part]:
    """Run an exhibit and look on: its parts as they come.

    Args:
        name: One of `EXHIBITS`.
        stop: Ends it when set, at the next step or token.
        computes: Where and in what the storytellers at hand compute, as `load` takes it; what is trained here is
            small, and trained and told on the processor.

    Raises:
        StoryLabError: There is no such exhibit, no storyteller that it needs is ready, or the device isn't there.
    """
    if name not in EXHIBITS:
        raise StoryLabError(f"there is no exhibit {name[:60]!r}; there are {', '.join(EXHIBITS)}")
    for part in EXHIBITS[name].parts(stop, computes or {}):
        yield part
        if stop.is_set():
            return


def begin(name: str) -> Exhibit:
    """An exhibit that shows nothing yet, to add the parts to."""
    return Exhibit(name, EXHIBITS[name].title, EXHIBITS[name].finding)
