"""How checkpoints were trained, read from their folders: the curves, the cost, the stories told on the way.

A checkpoint's `log.jsonl` has a line for some of its steps (loss, learning rate, speed), one for each validation and
one for the story that the model told then. Where a training went on from its own weights and its log was kept, the log
holds several stages, each of which counts its steps from 0 again; here steps, tokens and seconds count on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from storylab.errors import StoryLabError
from storylab.files import read_text
from storylab.training.recipe import Recipe, read_recipe

QUANTITIES = ("loss", "perplexity_per_word", "learning_rate", "tokens_per_second")
"""What a curve may show: figures of `Point`. Losses are in nats a label token, perplexities of validation."""
AXES = ("step", "tokens", "seconds")
"""What a curve may be drawn over."""
LARGEST = 1e15
"""A number of a log above this is a mistake."""
FIGURES = ("loss", "learning_rate", "tokens_per_second", "validation_loss", "perplexity_per_word")

# How storylab/training/card.py words what no other file of a checkpoint says.
_PARAMETERS = re.compile(r"([\d,]+) parameters, trained by StoryLab\.")
_TRAINED = re.compile(r"; ([\d,]+) of them were trained\.")
_HARDWARE = re.compile(r"^[\d,]+ steps, [\d,]+ tokens, .{1,40}? on (.{1,120})\. The weights are those of$", re.M)


@dataclass(frozen=True)
class Point:
    """The figures of one line of a log; None where the line has no such figure."""

    stage: int
    """Counted from 1."""
    step: int
    """Optimizer steps by then, over all stages."""
    tokens: int
    """Tokens put through the model by then; between two lines that tell them, in proportion to the steps."""
    seconds: float
    """Time spent by then."""
    loss: float | None
    """Mean training loss since the line before, in nats a label token."""
    learning_rate: float | None
    """AdamW's; that of Muon follows the same course."""
    tokens_per_second: float | None
    """Speed since the line before."""
    validation_loss: float | None
    """In nats a label token."""
    perplexity_per_word: float | None
    """Of the validation stories; of held-out documents where the training read running text."""


@dataclass(frozen=True)
class Sample:
    """What a model made of its recipe's opening at a validation."""

    stage: int
    step: int
    """Over all stages."""
    perplexity_per_word: float | None
    """Of that validation."""
    text: str


@dataclass(frozen=True)
class Training:
    """The training of one checkpoint."""

    name: str
    """The checkpoint's folder."""
    title: str
    """The recipe's title; empty where it has none."""
    recipe: Recipe | None
    """None where it can't be read."""
    points: tuple[Point, ...]
    samples: tuple[Sample, ...]
    parameters: int | None
    """Numbers in the model. None, as for the next two, where the model card does not say."""
    trained_parameters: int | None
    """Those that training changed or added."""
    hardware: str | None
    """What trained, and in which precision."""

    @property
    def steps(self) -> int:
        """Optimizer steps of all stages."""
        return self.points[-1].step

    @property
    def tokens(self) -> int:
        """Tokens put through the model, over all stages."""
        return self.points[-1].tokens

    @property
    def seconds(self) -> float:
        """Time spent, over all stages."""
        return self.points[-1].seconds

    @property
    def stages(self) -> int:
        """Stages that the log holds."""
        return self.points[-1].stage

    @property
    def best_perplexity(self) -> float | None:
        """The lowest validation perplexity per word of the last stage; None where nothing was validated in it.

        A stage before it may have had another shape, other stories, or weights that were not kept.
        """
        last = (point.perplexity_per_word for point in self.points if point.stage == self.stages)
        return min((value for value in last if value is not None), default=None)

    @property
    def reads_prose(self) -> bool:
        """Whether it learnt running text, so that its validation is no story either."""
        return self.recipe is not None and self.recipe.framing == "text"

    @property
    def goes_on(self) -> bool:
        """Whether its weights start from an earlier state of the same checkpoint, whose cost the log may lack."""
        return self.recipe is not None and Path(self.recipe.init_from).name == self.name

    def curve(self, quantity: str, axis: str = "step") -> list[tuple[float, float]]:
        """The places along an axis of `AXES` and the values there of a quantity of `QUANTITIES`."""
        found = ((getattr(point, axis), getattr(point, quantity)) for point in self.points)
        return [(place, value) for place, value in found if value is not None]

    def to_dict(self) -> dict[str, Any]:
        """What `trainings --json` prints."""
        start = {key: getattr(self.recipe, key, None) for key in ("base", "init_from")}
        cost = ("steps", "tokens", "seconds", "stages", "parameters", "trained_parameters", "hardware")
        return {
            "name": self.name,
            "title": self.title,
            **start,
            **{key: getattr(self, key) for key in cost},
            "best_perplexity_per_word": self.best_perplexity,
            "points": [asdict(point) for point in self.points],
            "samples": [asdict(sample) for sample in self.samples],
        }


def read_trainings(checkpoints: Path) -> tuple[list[Training], dict[str, str]]:
    """The trainings of all checkpoint folders in a folder, in the order of their names.

    Returns:
        Those whose log is sound, and of each other folder why its log is not, by the folder's name.
    """
    found, unsound = [], {}
    folders = sorted(checkpoints.iterdir()) if checkpoints.is_dir() else []
    for folder in folders:
        if folder.name.startswith(".") or not folder.is_dir():
            continue
        try:
            found.append(read_training(folder))
        except StoryLabError as error:
            unsound[folder.name] = str(error)
    return found, unsound


def read_training(folder: Path) -> Training:
    """The training of one checkpoint folder; recipe and card may be missing.

    Raises:
        StoryLabError: Its log is missing, can't be read, or has no figure in it.
    """
    try:
        recipe = read_recipe(folder / "recipe.toml")
    except StoryLabError:
        recipe = None
    points, samples = _follow(_records(folder / "log.jsonl"))
    if not points:
        raise StoryLabError(f"{folder.name}/log.jsonl has no line of a training")
    parameters, trained, hardware = _card(folder / "README.md")
    if recipe and not recipe.base:
        trained = parameters
    title = recipe.title if recipe else ""
    return Training(folder.name, title, recipe, tuple(points), tuple(samples), parameters, trained, hardware)


def _records(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a log that are records; one cut short, or by another program, is passed over."""
    try:
        lines = read_text(path, errors="replace").splitlines()
    except OSError as error:
        raise StoryLabError(f"{path.parent.name}/{path.name} can't be read: {error.strerror}") from None
    for line in lines:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if not isinstance(record, dict) or (step := _number(record, "step")) is None:
            continue
        figures = {key: _number(record, key) for key in (*FIGURES, "tokens", "seconds")}
        kept = {key: value for key, value in figures.items() if value is not None}
        if isinstance(text := record.get("sample"), str):
            kept["sample"] = text
        if kept.keys() & {"loss", "validation_loss", "sample"}:
            yield {"step": int(step), **kept}


def _number(record: Mapping[str, Any], key: str) -> float | None:
    value = record.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= LARGEST:  # nor NaN
        return None
    return value


def _follow(records: Iterator[dict[str, Any]]) -> tuple[list[Point], list[Sample]]:
    """Points and samples of a log, its stages one after the other."""
    points: list[Point] = []
    samples: list[Sample] = []
    for number, stage in enumerate(_stages(records), start=1):
        before = {axis: getattr(points[-1], axis) if points else 0 for axis in AXES}
        tokens, seconds = (_course(stage, key) for key in ("tokens", "seconds"))
        validated = None
        for record in stage:
            step = before["step"] + record["step"]
            validated = record.get("perplexity_per_word", validated)
            if "sample" in record:
                samples.append(Sample(number, step, validated, record["sample"]))
                continue
            place = record["step"]
            spent = (round(before["tokens"] + tokens(place)), before["seconds"] + seconds(place))
            points.append(Point(number, step, *spent, **{key: record.get(key) for key in FIGURES}))
    return points, samples


def _stages(records: Iterator[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """A log's records by stage: one begins where the steps or the seconds fall."""
    stages: list[list[dict[str, Any]]] = []
    step, seconds = 0, 0.0
    for record in records:
        falls = record["step"] < step or record.get("seconds", seconds) < seconds
        if falls or not stages:
            stages.append([])
            seconds = 0.0
        stages[-1].append(record)
        step, seconds = record["step"], record.get("seconds", seconds)
    return stages


def _course(stage: list[dict[str, Any]], key: str) -> Any:
    """How much of something was spent by a step of a stage: what the log tells, and straight lines in between."""
    import numpy as np

    told = {0: 0} | {record["step"]: record[key] for record in stage if key in record}
    steps, values = list(told), list(told.values())
    return lambda step: float(np.interp(step, steps, values))


def _card(path: Path) -> tuple[int | None, int | None, str | None]:
    """Parameters, trained parameters and hardware, as a model card tells them."""
    try:
        card = read_text(path, errors="replace")
    except OSError:
        return None, None, None
    parameters, trained = (
        int(found[1].replace(",", "")) if (found := pattern.search(card)) else None
        for pattern in (_PARAMETERS, _TRAINED)
    )
    hardware = _HARDWARE.search(card)
    return parameters, trained, hardware[1] if hardware else None
