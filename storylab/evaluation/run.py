"""An evaluation from stories to a report: tell, score, measure, compare, read each other."""

import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import storylab
from storylab.decoding import Settings, check_opening
from storylab.errors import StoryLabError
from storylab.evaluation.baselines import copied_openings, human, random_sentences
from storylab.evaluation.cross_reading import cross_reading, fits
from storylab.evaluation.generation import Kept, tell_stories
from storylab.evaluation.metrics import OfflineMetric, StoryMetric, standard_metrics
from storylab.evaluation.metrics.mauve import Mauve
from storylab.evaluation.report import file_name, json_ready
from storylab.evaluation.score import story_losses
from storylab.evaluation.significance import compare, holm
from storylab.evaluation.told import Column, Told
from storylab.processes import ALONE, Processes, SharedError
from storylab.stories import Story, fingerprint, read_stories
from storylab.training.base import checkpoint_hashes

if TYPE_CHECKING:
    from storylab.storytellers.storyteller import Storyteller

CROSS_READ = 200
"""Stories of each teller that every storyteller reads: the first ones. All would take longer than all else together."""
BAD_ROWS_TOLD = 100
"""Rows left out that a report names; of a file with more, it says how many."""


RESERVED = {"human", "copied-opening", "random-sentences", "openings", "references"}
"""Names that the report gives to others, or to a file."""


class Step(NamedTuple):
    """How far an evaluation is."""

    doing: str
    """What is being done: "gpt2-mini tells", "comparing", ..."""
    done: int
    total: int
    """0 where it isn't known."""


def evaluate(
    storytellers: Sequence["Storyteller"],
    stories: Sequence[Story],
    *,
    settings: Settings | None = None,
    seed: int = 0,
    training: Sequence[Story] = (),
    folder: Path | None = None,
    mauve_reader: "Storyteller | None" = None,
    on_step: Callable[[Step], None] = lambda step: None,
    processes: Processes = ALONE,
) -> tuple[dict[str, Any], list[Column]] | None:
    """Let storytellers tell on from the openings of stories, and measure what they tell.

    Args:
        storytellers: At least one; no two of the same name.
        stories: At least one, each short enough for all storytellers (`split_by_fit`).
        settings: How to decode; None is the default preset.
        seed: Each story's own seed comes from this and the story.
        training: The stories that the storytellers learnt from, for the novelty and the baseline of random
            sentences; without them the report has neither.
        folder: Where stories are kept as they are told, so that an evaluation that was broken off goes on there.
        mauve_reader: Who reads all stories for MAUVE; None leaves it out.
        on_step: Told what is being done.
        processes: Who tells and reads; the main one keeps the stories and measures them.

    Returns:
        The report as JSON-ready data (`storylab.evaluation.report` says what it holds), and the columns of stories
        that it is made of, storytellers first. None in every process but the main one.

    Raises:
        StoryLabError: There are no storytellers or stories, two share a name, a story can't be told on, or MAUVE
            can't be measured.
    """
    _check_names([storyteller.name for storyteller in storytellers])
    if not stories:
        raise StoryLabError("an evaluation needs a story")
    settings = settings or Settings()
    mauve = Mauve(mauve_reader) if mauve_reader else None
    weights = {teller.name: _weights(teller) for teller in storytellers}  # before they can change on disk
    _check_alike(processes, fingerprint(stories), weights, [teller.dtype for teller in storytellers])
    columns = [_column(teller, stories, settings, seed, folder, on_step, processes) for teller in storytellers]
    everyone = [*columns, human(stories), copied_openings(stories)]
    if training:
        everyone.append(random_sentences(stories, training, seed))
    told = {column.name: column.told[:CROSS_READ] for column in everyone if column.kind != "baseline"}
    note = lambda done, total: on_step(Step("reading each other", done, total))  # noqa: E731
    read = cross_reading(storytellers, told, note, processes)
    if not processes.main:
        return None
    metrics = standard_metrics(training=[story.text for story in training] if training else None)
    measured: dict[str, dict[str, Any]] = {column.name: {} for column in everyone}
    comparisons = []
    for number, metric in enumerate(metrics):
        on_step(Step("measuring and comparing", number, len(metrics)))
        rows = {column.name: _rows(column, metric) for column in everyone}
        for column in everyone:
            measured[column.name][metric.key] = _figure(metric, rows[column.name], column)
        comparisons += _comparisons(metric, [(column.name, rows[column.name]) for column in columns])
    if mauve is not None:  # a metric without examples counts as false
        metrics.append(mauve)
        for column in everyone:
            measured[column.name][mauve.key] = _mauve(mauve, column)
    for column in columns:
        measured[column.name]["stories_per_second"] = {"value": _speed(column.told)}
    report = {
        "version": storylab.__version__,
        "stories": {"number": len(stories), "sha256": fingerprint(stories)},
        "training": {"number": len(training), "sha256": fingerprint(training)} if training else None,
        "settings": settings.to_dict(),
        "seed": seed,
        "environment": _environment(storytellers[0]),
        "metrics": {metric.key: _about(metric) for metric in metrics},
        "columns": {column.name: {"title": column.title, "kind": column.kind} for column in everyone},
        "weights": weights,
        "models": measured,
        "comparisons": comparisons,
        "cross_reading": read,
    }
    return json_ready(report), everyone


def _check_alike(processes: Processes, *known: Any) -> None:
    if any(other != known for other in processes.gather(known)):
        raise SharedError("the processes have other stories, weights or settings: give every machine the same files")


def _check_names(names: Sequence[str]) -> None:
    if not names:
        raise StoryLabError("an evaluation needs a storyteller")
    if len(set(names)) < len(names):
        raise StoryLabError(f"two storytellers have the same name: {', '.join(names)}")
    if taken := set(names) & RESERVED:
        raise StoryLabError(f"a storyteller can't be called {', '.join(sorted(taken))} in a report")


def read_for(
    storytellers: Sequence["Storyteller"], source: str | Path, limit: int | None = None
) -> tuple[list[Story], list[str]]:
    """The stories of a file that every storyteller can tell on and read, and what was wrong with the other rows.

    Args:
        storytellers: For whom.
        source: As for `read_stories`.
        limit: Read only the first `limit` stories.

    Raises:
        StoryLabError: The file can't be read, or no story is left.
    """
    errors: list[StoryLabError] = []
    try:
        stories = read_stories(source, split="test", limit=limit, on_bad_row=errors.append)
    except StoryLabError as error:
        raise errors[0] if errors else error from None  # where no row is good, the first one says why
    stories, others = split_by_fit(storytellers, stories)
    bad_rows = [str(error).replace(str(source), Path(source).name) for error in errors]
    bad_rows += [f"{Path(source).name}, good row {number}: {reason}" for number, reason in others]
    if not stories:
        raise StoryLabError(f"{source} has no story to tell on; the first of what was left out: {bad_rows[0]}")
    if len(bad_rows) > BAD_ROWS_TOLD:
        bad_rows[BAD_ROWS_TOLD:] = [f"and {len(bad_rows) - BAD_ROWS_TOLD:,} more"]
    return stories, bad_rows


def split_by_fit(
    storytellers: Sequence["Storyteller"], stories: Sequence[Story]
) -> tuple[list[Story], list[tuple[int, str]]]:
    """The stories that every storyteller can tell on and read; of the others the number, from 1, and the reason."""
    fitting, others = [], []
    allowed = {teller.name: fits(teller, stories) for teller in storytellers}
    for number, story in enumerate(stories):
        too_long = [name for name, fit in allowed.items() if not fit[number]]
        reason = f"it is too long for {', '.join(too_long)}" if too_long else _unfit_opening(story)
        if reason:
            others.append((number + 1, reason))
        else:
            fitting.append(story)
    return fitting, others


def _unfit_opening(story: Story) -> str:
    try:
        check_opening(story.opening)
    except StoryLabError as error:
        return str(error)
    return ""


def _column(
    storyteller: "Storyteller",
    stories: Sequence[Story],
    settings: Settings,
    seed: int,
    folder: Path | None,
    on_step: Callable[[Step], None],
    processes: Processes,
) -> Column:
    kept = None
    with processes.agreeing():  # on what only one of them finds out
        conditions = {"weights": _weights(storyteller), "settings": settings.to_dict()} | _environment(storyteller)
        if folder and processes.main:
            kept = Kept(part_file(folder, storyteller.name), conditions)
    _check_alike(processes, conditions)  # by now engines have started, or one has fallen back to torch
    tells, reads = f"{storyteller.name} tells", f"{storyteller.name} reads people's stories"
    told = tell_stories(
        storyteller,
        stories,
        settings,
        seed,
        kept=kept,
        on_told=lambda done: on_step(Step(tells, done, len(stories))),
        processes=processes,
    )
    nll, _ = story_losses(storyteller, stories, lambda examples: on_step(Step(reads, 0, 0)), processes=processes)
    return Column(
        storyteller.name,
        storyteller.title,
        "storyteller",
        told,
        references=[story.continuation for story in stories],
        nll=nll,
        words=np.array([story.scored_words for story in stories]),
    )


def part_file(folder: Path, name: str) -> Path:
    """Where a storyteller's stories are kept while an evaluation is under way."""
    return folder / f"{file_name(name)}.part.jsonl"


def _rows(column: Column, metric: StoryMetric) -> np.ndarray | None:
    """The metric's statistics of a column; None where the column lacks what the metric reads."""
    inputs = column.inputs()
    return metric.statistics(**inputs) if set(metric.inputs) <= inputs.keys() else None


def _figure(metric: StoryMetric, rows: np.ndarray | None, column: Column) -> dict[str, Any]:
    """A metric's value, 95% interval and settings; where there is no value, a note says why."""
    if rows is None:
        reason = "people's stories are the references" if column.kind == "human" else "it is no model"
        return {"value": None, "low": None, "high": None, "note": reason}
    value, (low, high) = float(metric.value(rows.sum(axis=0))), metric.interval(rows)
    note = {"note": "too little was told to measure it"} if np.isnan(value) else {}
    return {"value": value, "low": low, "high": high} | metric.settings | note


def _mauve(metric: Mauve, column: Column) -> dict[str, Any]:
    """The figure of a metric of all stories together, which has no interval."""
    if not column.references:
        return {"value": None, "low": None, "high": None, "note": "people's stories are the references"}
    inputs = column.inputs()
    value = metric.compute(**{name: inputs[name] for name in metric.inputs})[metric.key]
    return {"value": value, "low": None, "high": None} | metric.settings


def _speed(told: Sequence[Told]) -> float:
    seconds = sum(story.seconds for story in told)
    return round(len(told) / seconds, 2) if seconds else 0.0


def _comparisons(metric: StoryMetric, rows: Sequence[tuple[str, np.ndarray]]) -> list[dict[str, Any]]:
    """Every two storytellers on a metric; the p-values are corrected over the pairs."""
    pairs = list(combinations(rows, 2))
    differences = [compare(one, other, metric.value) for (_, one), (_, other) in pairs]
    corrected = holm([difference.p for difference in differences])
    return [
        {"metric": metric.key, "first": first, "second": second} | asdict(difference) | {"p_corrected": p}
        for ((first, _), (second, _)), difference, p in zip(pairs, differences, corrected, strict=True)
    ]


def _about(metric: OfflineMetric) -> dict[str, Any]:
    return {"better": metric.better, "about": metric.description} | metric.settings


def _weights(storyteller: "Storyteller") -> dict[str, str]:
    return checkpoint_hashes(storyteller.folder) if storyteller.folder else {}


def _environment(storyteller: "Storyteller") -> dict[str, str]:
    """What else a story depends on: the libraries' versions, where and in what the model computes."""
    import torch
    import transformers

    engine = storyteller.started_engine()
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "device": storyteller.kind.device.type,
        "dtype": storyteller.dtype,
        "engine": engine.version if engine else "torch",
    }
