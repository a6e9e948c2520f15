"""A recipe: everything that decides a checkpoint but the stories, as typed data that refuses nonsense early."""

import math
import tomllib
import typing
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

import tomli_w
from pydantic import ConfigDict, TypeAdapter, ValidationError

from storylab.errors import StoryLabError
from storylab.files import read_text
from storylab.rows import shortened

MOST_BYTES = 1_000_000
"""Of a recipe's file."""
CAUSAL_FRAMINGS = {"autoregressive", "packed", "prompt-misaligned", "text"}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a checkpoint is trained. Read from TOML by `read_recipe`; every field is a key there."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    """The checkpoint's name: its folder under `checkpoints/` and the storyteller's name."""
    title: str = ""
    """What the page calls it."""
    note: str = ""
    """A sentence or two for the model card: why the recipe is as it is."""
    takes: str = ""
    """How long it takes, in words; the page says it of a storyteller that is not trained yet."""
    model_type: Literal["encoder", "seq2seq", "gpt2", "causal"]
    """Which architecture is built, or loaded from `init_from`; `causal`: whatever `base` is."""
    model: dict[str, int | float | bool] = field(default_factory=dict)
    """The architecture's shape: fields of its config (`width`, `heads`, `layers`, ...)."""
    framing: Literal["next-token", "prompt-target", "autoregressive", "packed", "prompt-misaligned", "text"]
    """How stories become examples (storylab/framing.py); `text`: windows of running text, for pre-training."""
    init_from: str = ""
    """A checkpoint folder whose weights the training starts from; empty: random weights."""
    base: str = ""
    """Model type `causal`: the pre-trained model to fine-tune, a storyteller's name, a folder or hub:OWNER/NAME."""
    freeze: str = ""
    """What of it is not trained: "embeddings and the first N layers", or one of the two."""
    lora_rank: int = 0
    """Train low-rank additions of this rank to the layers' matrices instead (Hu et al. 2021); 0: the weights."""
    vocabulary: str = ""
    """A folder with the tokenizer; empty: a vocabulary of `vocabulary_size` is learnt from the stories."""
    vocabulary_size: int = 8000
    """Pieces of a vocabulary learnt from the stories."""

    stories: str = ""
    """Training stories, a CSV or hub:OWNER/NAME; usually left to the command line."""
    validation: str = ""
    """Validation stories; empty: split off by a hash of each story."""
    test: str = ""
    """Test stories; empty: split off by a hash of each story."""
    limit: int = 0
    """Use only so many training stories, or windows of text; 0: all."""
    text: str = ""
    """Framing `text`: the folder that `python -m train prepare` wrote."""

    prefixes: int = 10
    """Framing `next-token`: prefixes of a story an epoch; 0: every one."""
    validation_prefixes: int = 4
    """Framing `next-token`: prefixes of a validation story, always the same ones; 0: every one."""
    learn_prompt: bool = True
    """Framings `autoregressive` and `packed`: whether the first sentence is learnt too."""
    pack_length: int = 512
    """Framings `packed` and `text`: tokens a pack or window."""
    validation_windows: int = 160
    """Framing `text`: windows that a validation during training reads, always the same; 0: all."""

    epochs: float = 1.0
    """Passes through the stories; the schedule's length."""
    batch_size: int = 64
    """Examples a forward pass, over all processes together."""
    accumulation: int = 1
    """Forward passes whose gradients make one step."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """`muon`: Muon for the layers' matrices (Jordan et al. 2024), AdamW for the rest."""
    learning_rate: float = 1e-3
    """Peak learning rate of AdamW."""
    matrix_learning_rate: float = 0.02
    """Peak learning rate of Muon."""
    momentum: float = 0.95
    """Muon's momentum."""
    weight_decay: float = 0.01
    """Decoupled weight decay of all matrices but embeddings."""
    warmup: int = 100
    """Steps over which the learning rate rises from zero."""
    schedule: Literal["cosine", "wsd"] = "cosine"
    """After warm-up: a half cosine to zero, or stable and then a linear decay (warm-up-stable-decay)."""
    decay: float = 0.5
    """Schedule `wsd`: the share of the steps, at the end, over which the rate falls to zero."""
    clip: float = 1.0
    """Largest norm of the gradient; 0: not clipped."""
    label_smoothing: float = 0.0
    """Share of the label's probability spread over the vocabulary, in training only (Szegedy et al. 2016)."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """`auto`: bf16 autocast where the device computes in bf16."""
    seed: int = 0
    """Seed of the weights, the order and the dropout."""

    log_every: int = 20
    """Steps a line of the log."""
    evaluate_every: int = 500
    """Steps between validations; the best weights so far are kept."""
    save_every: int = 500
    """Steps between states that `--resume` can go on from."""
    sample: str = "Every weekend the Jefferson's go to the park."
    """An opening that the model continues after each validation, for the log; empty: none."""
    keep: Literal["best", "last"] = "best"
    """Which weights become the checkpoint: those of the lowest validation loss, or those of the last step."""
    patience: int = 0
    """Validations in a row without a better loss after which training stops; 0: never."""

    def __post_init__(self) -> None:
        for key, value in vars(self).items():
            self._need(not isinstance(value, float) or math.isfinite(value), key, "must be a finite number")
        positive: tuple[str, ...] = (
            "vocabulary_size",
            "batch_size",
            "accumulation",
            "epochs",
            "learning_rate",
            "pack_length",
        )
        positive += ("matrix_learning_rate", "log_every", "evaluate_every", "save_every")
        for key in positive:
            self._need(getattr(self, key) > 0, key, "must be above 0")
        not_negative = (
            "lora_rank",
            "limit",
            "prefixes",
            "validation_prefixes",
            "validation_windows",
            "warmup",
            "clip",
            "weight_decay",
            "patience",
        )
        for key in (*not_negative, "seed"):
            self._need(getattr(self, key) >= 0, key, "must not be negative")
        self._need(self.seed < 2**32, "seed", "must be below 2**32")
        for key in ("momentum", "label_smoothing"):
            self._need(0 <= getattr(self, key) < 1, key, "must be from 0 to below 1")
        self._need(0 <= self.decay <= 1, "decay", "must be from 0 to 1")
        named = len(self.name) <= 100 and self.name.replace("-", "").replace("_", "").isalnum()
        self._need(named, "name", "must be letters, digits, - and _, at most 100 of them")
        causal = bool(self.model.get("causal", False))
        fitting = {
            "encoder": {"autoregressive"} if causal else {"next-token"},
            "seq2seq": {"prompt-target"},
            "gpt2": CAUSAL_FRAMINGS,
            "causal": CAUSAL_FRAMINGS,
        }
        if self.framing not in fitting[self.model_type]:
            needed = " or ".join(sorted(fitting[self.model_type]))
            kind = f"{'causal ' if causal else ''}{self.model_type}"
            raise StoryLabError(
                f"recipe {self.name}: framing {self.framing} clashes with model_type {kind}: use {needed}"
            )

        self._check_base()

    def _check_base(self) -> None:
        """A fine-tuned model has its base's shape and vocabulary; any other has none to freeze."""
        if (self.model_type == "causal") != bool(self.base):
            raise StoryLabError(
                f"recipe {self.name}: base clashes with model_type: causal models have one, others none"
            )
        for key in ("freeze", "lora_rank"):
            self._need(bool(self.base) or not getattr(self, key), key, "needs a base")
        for key in ("model", "vocabulary"):
            self._need(not self.base or not getattr(self, key), key, "is the base's")
        self._need(not (self.freeze and self.lora_rank), "freeze", "clashes with lora_rank, which freezes all weights")

    def _need(self, holds: bool, key: str, what: str) -> None:
        if not holds:
            raise StoryLabError(f"recipe {shortened(self.name)}: {key} {what}, not {_told(getattr(self, key))}")

    def to_toml(self) -> str:
        """The recipe as TOML that `read_recipe` reads back to an equal recipe."""
        return tomli_w.dumps(asdict(self))


def read_recipe(path: str | Path, changes: Iterable[str] = ()) -> Recipe:
    """Read a recipe from a TOML file and change some of its values.

    Args:
        path: The TOML file; its name is the recipe's where the recipe has none.
        changes: `key=value` each, the value in TOML's notation (quotes may be left out); `model.width=64`
            reaches into the shape.

    Raises:
        StoryLabError: No such file, not TOML, an unknown key, a wrong type, or values that clash.
    """
    return read_typed(Recipe, path, changes, name=Path(path).stem)


T = TypeVar("T")


def read_typed(kind: type[T], path: str | Path, changes: Iterable[str] = (), **defaults: Any) -> T:
    """Read a dataclass from a TOML file: defaults, then the file, then changes.

    Raises:
        StoryLabError: As for `read_recipe`.
    """
    place = shortened(str(path), 300)
    try:
        data = defaults | tomllib.loads(read_text(Path(path), MOST_BYTES))
    except OSError as error:
        raise StoryLabError(f"{place}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, or a number of thousands of digits
        raise StoryLabError(f"{place}: not TOML: {shortened(str(error), 200)}") from None
    for change in changes:
        _apply(data, change)
    known = {f.name for f in fields(kind)}
    if unknown := sorted(set(data) - known):
        raise StoryLabError(f"{place}: unknown key {_told(unknown[0])}; the keys are {', '.join(sorted(known))}")
    hints = typing.get_type_hints(kind)
    for key, value in data.items():
        if isinstance(value, bool) and hints[key] is not bool:  # pydantic would take true for 1
            raise StoryLabError(f"{place}: {key} must not be {str(value).lower()}")
    try:
        return TypeAdapter(kind).validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = shortened(".".join(str(part) for part in first["loc"]) or "recipe")
        raise StoryLabError(f"{place}: {key}: {first['msg']}, not {_told(first.get('input'))}") from None


def _apply(data: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    *tables, last = key.strip().split(".")
    if not equals or not last:
        raise StoryLabError(f"--set takes key=value, not {_told(change)}")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        value = text
    for table in tables:
        data = data.setdefault(table, {})
        if not isinstance(data, dict):
            raise StoryLabError(f"--set {shortened(change)}: {shortened(table)} is not a table")
    data[last] = value


def _told(value: Any) -> str:
    """A value as it may stand in a message: one line, not too long."""
    try:
        return shortened(repr(value), 60)
    except (ValueError, RecursionError):  # Python prints no number of thousands of digits
        return f"a value of type {type(value).__name__}"
