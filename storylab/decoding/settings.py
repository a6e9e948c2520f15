"""The settings of a telling, their limits, and the presets.

Every option is described once, as a field of `Settings`: its default and limits in the field, its meaning,
unit and range in the docstring below it. The command line, the page's sliders and the validation read the
same description through `OPTIONS` and `option_help`.
"""

from __future__ import annotations

import dataclasses
import secrets
import unicodedata
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from storylab.docstrings import field_help
from storylab.errors import StoryLabError

STRATEGIES = ("greedy", "beam", "sample")
MAX_OPENING_CHARACTERS = 300
MAX_SEED = 2**32 - 1


def shown(value: Any) -> str:
    """A value as a message names it: always one short line, whatever was typed."""
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else value[:37] + "...")
    if value is None or isinstance(value, bool):
        return str(value)
    if isinstance(value, Integral) and abs(value) >= 10**20:
        return "a number of more than 20 digits"  # Python refuses to print thousands of them
    if isinstance(value, Real):
        return str(value)
    return f"a value of type {type(value).__name__}"


@dataclass(frozen=True, slots=True)
class Option:
    """What values an option takes, and which strategies heed it."""

    name: str
    """The field of `Settings`; the command line writes it with dashes."""
    kind: type
    """`float`, `int` or `str`."""
    default: float | int | str
    """The value of a `Settings()`."""
    low: float = 0
    """The smallest number; itself not allowed where `above` is true."""
    high: float = 0
    """The largest number, itself allowed."""
    above: bool = False
    """Whether a number must be greater than `low`, as a probability mass must be greater than 0."""
    step: float = 1
    """The step of a slider; other values between the limits are as good."""
    choices: tuple[str, ...] = ()
    """The words to choose from; empty for a number."""
    strategies: tuple[str, ...] = STRATEGIES
    """The strategies that heed the option; the others ignore it."""

    @property
    def limits(self) -> str:
        """What is allowed, as the end of "temperature must be ..."."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        noun = "a whole number" if self.kind is int else "a number"
        if self.above:
            return f"{noun} above {self.low:g} and up to {self.high:g}"
        return f"{noun} from {self.low:g} to {self.high:g}"

    def check(self, value: Any) -> float | int | str:
        """Returns the value in the option's own kind.

        Args:
            value: An int is accepted for a float, and a whole float (JSON's `4.0`) for an int.

        Raises:
            StoryLabError: The value is of another type, not finite, or outside the limits.
        """
        refusal = StoryLabError(f"{self.name} must be {self.limits}, not {shown(value)}")
        if self.choices:
            if not isinstance(value, str) or value not in self.choices:
                raise refusal
            return str(value)
        # The comparison comes before any conversion: it is false for NaN and safe for an int of any size.
        if isinstance(value, bool) or not isinstance(value, Real) or not self.low <= value <= self.high:
            raise refusal
        if (self.above and value == self.low) or (self.kind is int and value != int(value)):
            raise refusal
        return self.kind(value)


def _option(default: float | int | str, **description: Any) -> Any:
    """A dataclass field that carries its `Option` (without the name, which the class gives)."""
    return dataclasses.field(
        default=default, metadata={"option": {"kind": type(default), "default": default, **description}}
    )


_SAMPLE = ("sample",)


@dataclass(frozen=True, slots=True)
class Settings:
    """How a story is decoded. Options that the strategy does not heed are ignored, not refused.

    Only `sample` heeds the temperature and the cuts (top-k, top-p, min-p, typical-p), only `beam` the number
    of beams; the repetition settings, the sentences and the token limit hold for all three. Numbers may be
    given as ints or as whole floats where the other is meant.

    Raises:
        StoryLabError: A value is of the wrong type, not finite, or outside its range.
    """

    strategy: str = _option("sample", choices=STRATEGIES)
    """How a token is chosen: greedy (the likeliest), beam (the likeliest whole text that a beam search finds)
    or sample (drawn at random by its probability)."""

    temperature: float = _option(0.8, low=0.05, high=5, step=0.05, strategies=_SAMPLE)
    """What the logits are divided by before a draw, 0.05 to 5: below 1 likely tokens become likelier still,
    above 1 all become more alike."""

    top_k: int = _option(0, low=0, high=1000, strategies=_SAMPLE)
    """How many of the likeliest tokens stay in the draw, 0 to 1000 tokens; 0 keeps all."""

    top_p: float = _option(0.9, low=0, high=1, above=True, step=0.01, strategies=_SAMPLE)
    """The probability that the kept tokens must reach together (nucleus sampling, Holtzman et al. 2020),
    above 0 and up to 1; 1 keeps all."""

    min_p: float = _option(0.0, low=0, high=1, step=0.01, strategies=_SAMPLE)
    """The least probability of a kept token, as a share of the likeliest token's (Nguyen et al. 2024), 0 to
    1; 0 keeps all, 1 only the likeliest."""

    typical_p: float = _option(1.0, low=0, high=1, above=True, step=0.01, strategies=_SAMPLE)
    """The probability that the tokens of nearly average surprise must reach together (locally typical
    sampling, Meister et al. 2023), above 0 and up to 1; 1 keeps all."""

    num_beams: int = _option(5, low=1, high=16, strategies=("beam",))
    """How many texts a beam search follows at once, 1 to 16 beams; 1 is greedy."""

    repetition_penalty: float = _option(1.0, low=0.5, high=5, step=0.05)
    """How much less likely a token becomes once it stands in the text (Keskar et al. 2019): positive logits
    are divided by it, negative ones multiplied, 0.5 to 5; 1 is off, below 1 invites repetition."""

    no_repeat_ngram_size: int = _option(0, low=0, high=20)
    """The length of a run of tokens that may not come twice, 0 to 20 tokens; 0 is off."""

    sentences: int = _option(4, low=1, high=10)
    """How many sentences are told at most, 1 to 10; the text is cut where one more begins."""

    max_new_tokens: int = _option(160, low=1, high=512)
    """How many tokens are told at most, 1 to 512."""

    def __post_init__(self) -> None:
        for name, option in OPTIONS.items():
            object.__setattr__(self, name, option.check(getattr(self, name)))

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], preset: str = "default") -> Settings:
        """Settings from a preset and what a person changed in it.

        Args:
            mapping: Options by name, for instance a JSON object; `{}` leaves the preset as it is. A "preset"
                among them names the preset, as `--preset` does beside the other options of a shell.
            preset: The preset where the mapping names none.

        Raises:
            StoryLabError: The mapping is none, holds an unknown option or a value out of range, or the preset
                is unknown.
        """
        if not isinstance(mapping, Mapping):
            raise StoryLabError(f"settings must be an object of options and values, not {shown(mapping)}")
        changes = dict(mapping)
        preset = changes.pop("preset", preset)
        if not isinstance(preset, str) or preset not in PRESETS:
            raise StoryLabError(f"preset must be one of {', '.join(PRESETS)}, not {shown(preset)}")
        for name in changes:
            if name not in OPTIONS:
                raise StoryLabError(f"unknown setting {shown(name)}; the settings are {', '.join(OPTIONS)}")
        return dataclasses.replace(PRESETS[preset], **changes)

    def to_dict(self) -> dict[str, float | int | str]:
        """The options by name, as `tell --json` prints them and as `from_mapping` reads them."""
        return dataclasses.asdict(self)


OPTIONS: dict[str, Option] = {
    field.name: Option(name=field.name, **field.metadata["option"]) for field in dataclasses.fields(Settings)
}
"""Every option of `Settings` by name, in the order of the class."""


def option_help() -> dict[str, str]:
    """The docstring of every option by name, on one line: its meaning, unit and range."""
    return field_help(Settings)


PRESETS: dict[str, Settings] = {
    "default": Settings(),
    "careful": Settings(temperature=0.6, top_p=0.8),
    "wild": Settings(temperature=1.3, top_p=1.0, min_p=0.02),
    "pure": Settings(temperature=1.0, top_p=1.0),
    "typical": Settings(temperature=1.0, top_p=1.0, typical_p=0.9),
    "fresh": Settings(repetition_penalty=1.15, no_repeat_ngram_size=4),
    "greedy": Settings(strategy="greedy"),
    "beam": Settings(strategy="beam", num_beams=5),
}
"""Settings by the name of their preset."""

PRESET_DESCRIPTIONS: dict[str, str] = {
    "default": "Draws among the likely tokens: lively, and mostly on the subject.",
    "careful": "Draws among the likeliest tokens only: fewer slips, fewer surprises.",
    "wild": "Flattens the probabilities and drops only what is hopeless: bold, and often astray.",
    "pure": "Draws from the model's own probabilities, untouched.",
    "typical": "Draws tokens about as surprising as the model expects, neither the dullest nor the oddest.",
    "fresh": "The default, with repeated words made unlikely and repeated runs of four tokens forbidden.",
    "greedy": "Takes the likeliest token every time: always the same text, and prone to loops.",
    "beam": "Searches for the likeliest whole text with five beams: always the same text, safe and plain.",
}
"""One line on each preset."""


def check_opening(opening: Any) -> str:
    """Returns an opening line with its whitespace put in order: stripped, and each run of it one space.

    Args:
        opening: 1 to 300 characters (after that), with at least one letter or digit.

    Raises:
        StoryLabError: The opening is no text, empty, too long, without a letter or digit, or holds control
            characters (other than whitespace) or lone surrogates, which no tokenizer can read.
    """
    if not isinstance(opening, str):
        raise StoryLabError(f"the opening must be text, not {shown(opening)}")
    opening = " ".join(opening.split())
    if not opening:
        raise StoryLabError("the opening is empty; write the first sentence of a story")
    if len(opening) > MAX_OPENING_CHARACTERS:
        raise StoryLabError(f"the opening has {len(opening)} characters, at most {MAX_OPENING_CHARACTERS} are allowed")
    for position, character in enumerate(opening, 1):
        if unicodedata.category(character) in ("Cc", "Cs"):  # control, surrogate
            raise StoryLabError(
                f"character {position} of the opening (U+{ord(character):04X}) is not a character of a text"
            )
    if not any(character.isalnum() for character in opening):
        raise StoryLabError("the opening has no letter or digit; write the first sentence of a story")
    return opening


def check_seed(seed: Any = None) -> int:
    """Returns the seed of a telling, a fresh one where none is given.

    Args:
        seed: A whole number from 0 to 4294967295, or None.

    Raises:
        StoryLabError: The seed is anything else.
    """
    if seed is None:
        return secrets.randbelow(MAX_SEED + 1)
    number = isinstance(seed, Real) and not isinstance(seed, bool)
    if not number or not 0 <= seed <= MAX_SEED or seed != int(seed):
        raise StoryLabError(f"seed must be a whole number from 0 to {MAX_SEED}, not {shown(seed)}")
    return int(seed)


def own_seed(seed: int, name: str) -> int:
    """The seed of a storyteller that is to have random numbers of its own: another for each name, the same each time.

    Args:
        seed: The seed that all of them were given.
        name: The storyteller's name.
    """
    return (seed + zlib.crc32(name.encode())) % (MAX_SEED + 1)
