"""The commands that measure: `python -m storylab score | cloze | evaluate | report`."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storylab.decoding import check_seed
from storylab.engines.names import FP32
from storylab.files import only_one, written
from storylab.processes import ALONE, Processes, join
from storylab.shell import Arguments, add_device, add_json, add_model, print_json, where
from storylab.stories import Splits, read_stories, refuse_leakage
from storylab.storytellers import load

if TYPE_CHECKING:
    from tqdm import tqdm

    from storylab.evaluation.run import Step
    from storylab.storytellers.storyteller import Storyteller


def add_commands(commands: Any) -> None:
    """Put the commands among the others of an `argparse` parser."""
    score = commands.add_parser("score", help="measure perplexity per word on stories")
    add_model(score)
    score.add_argument("--data", required=True, metavar="STORIES.csv", help="a CSV, or hub:OWNER/NAME")
    score.add_argument("--limit", type=int, help="the first so many stories only")
    add_json(score)
    score.set_defaults(command=_score, dtype=FP32)

    cloze = commands.add_parser("cloze", help="choose between two endings of each story")
    add_model(cloze)
    cloze.add_argument("--data", required=True, metavar="CLOZE.csv", help="a Story Cloze file, or hub:OWNER/NAME")
    cloze.add_argument("--limit", type=int, help="the first so many items only")
    add_json(cloze)
    cloze.set_defaults(command=_cloze, dtype=FP32)

    evaluate = commands.add_parser("evaluate", help="tell stories and measure them beside people's")
    evaluate.add_argument("--models", required=True, metavar="A,B,...", help="storytellers, as --model takes them")
    add_evaluation(evaluate)
    evaluate.add_argument("--mauve", metavar="NAME", help="measure MAUVE too, as this storyteller reads the stories")
    evaluate.add_argument("--out", type=Path, metavar="REPORT.json", help="where the report and the stories go")
    evaluate.set_defaults(command=_evaluate, several=True)

    report = commands.add_parser("report", help="evaluate all storytellers here and publish the results in docs/")
    report.add_argument("--models", metavar="A,B,...", help="default: those of the project, and SmolLM2 where it is")
    add_evaluation(report)
    report.set_defaults(command=_report, limit=500, several=True)


def add_evaluation(parser: argparse.ArgumentParser) -> None:
    """Let a command ask what to evaluate on."""
    parser.add_argument("--data", required=True, metavar="STORIES.csv", help="a CSV, or hub:OWNER/NAME")
    parser.add_argument("--training", metavar="STORIES.csv", help="what was learnt from, to measure novelty against")
    parser.add_argument("--limit", type=int, help="the first so many stories only")
    parser.add_argument("--seed", type=int, default=0, help="0 to 4294967295 (default: 0)")
    add_device(parser)
    parser.set_defaults(dtype=FP32)  # figures are of fp32 unless somebody asks


def _score(options: Arguments) -> None:
    stories = read_stories(options.data, split="test", limit=options.limit)
    storyteller = load(options.model, **where(options))
    from storylab.evaluation.score import score  # imports torch, after what can fail quickly

    result = score(storyteller, stories)
    if options.json:
        return print_json(result.to_dict())
    low, high = result.interval
    print(
        f"{result.model}: {result.perplexity_per_word:.2f} per word (95% interval {low:.2f} to {high:.2f}), "
        f"{result.perplexity_per_token:.2f} per token, {result.stories} stories"
    )


def _cloze(options: Arguments) -> None:
    from storylab.evaluation.cloze import cloze, read_cloze

    items = read_cloze(options.data, limit=options.limit)
    result = cloze(load(options.model, **where(options)), items)
    if options.json:
        return print_json(result.to_dict())
    low, high = result.interval
    print(
        f"{result.model}: {100 * result.accuracy:.1f}% right (95% interval {100 * low:.1f}% to {100 * high:.1f}%), "
        f"{result.items} items"
    )


def _evaluate(options: Arguments) -> None:
    from storylab.evaluation.report import check_path, to_markdown

    processes = join("storylab evaluate")
    with processes.agreeing():
        out = options.out and check_path(options.out)
        storytellers = _load(options, processes)
    report = evaluate_files("evaluate", options, storytellers, out, processes)
    if report is None:
        return
    if out:
        print(f"{out} has the report")
    else:
        print(to_markdown(report), end="")


def _report(options: Arguments) -> None:
    from storylab.evaluation.results import default_storytellers, publish, samples
    from storylab.storytellers.catalog import find
    from storylab.storytellers.sources import PROJECT

    processes = join("storylab report")
    with processes.agreeing():
        options.models = options.models or ",".join(default_storytellers())
        for name in _names(options):
            find(name)  # what nobody else has is not published
        storytellers = _load(options, processes)
    report = evaluate_files("report", options, storytellers, PROJECT / "runs" / "results.json", processes)
    if report is None:
        return
    report["samples"] = samples(storytellers)
    for path in publish(report):
        print(path.relative_to(PROJECT))


def _names(options: Arguments) -> list[str]:
    return [name.strip() for name in options.models.split(",")]


def _load(options: Arguments, processes: Processes) -> list["Storyteller"]:
    """The storytellers of a command line, once its files are found to be there; each process has its own."""
    read_stories(options.data, split="test", limit=1, on_bad_row=lambda error: None)
    computes = where(options) | {"device": processes.device(options.device)}
    return [load(name, **computes) for name in _names(options)]


def evaluate_files(
    command: str,
    options: Arguments,
    storytellers: Sequence["Storyteller"],
    out: Path | None,
    processes: Processes = ALONE,
) -> dict[str, Any] | None:
    """Evaluate storytellers on the files that a command line names; with `out`, the report is written there.

    Returns:
        The report; None in every process but the main one, which alone writes.

    Raises:
        StoryLabError: A file can't be read or written, a story is in both files, or none is left.
    """
    from storylab.evaluation.report import stories_folder, write_report
    from storylab.evaluation.run import evaluate, part_file, read_for

    with processes.agreeing():
        seed = check_seed(options.seed)
        mauve = getattr(options, "mauve", None)
        reader = load(mauve, **where(options)) if mauve and processes.main else None
        training = read_stories(options.training) if options.training else []
        stories, bad_rows = read_for(storytellers, options.data, options.limit)
        refuse_leakage(Splits(train=training, test=stories))
    if bad_rows and processes.main:
        print(f"left out: {len(bad_rows)}, the first because {bad_rows[0]}", file=sys.stderr)
    folder = stories_folder(out) if out else None
    with ExitStack() as working:
        with processes.agreeing():
            if folder and processes.main:
                working.enter_context(only_one(folder, "an evaluation"))
        with _Bars() as bars:
            evaluated = evaluate(
                storytellers,
                stories,
                seed=seed,
                training=training,
                folder=folder,
                mauve_reader=reader,
                on_step=bars.show if processes.main else lambda step: None,
                processes=processes,
            )
        if evaluated is None:
            return None
        report, columns = evaluated
        report["bad_rows"] = bad_rows
        report["command"] = _command(command, options, [storyteller.name for storyteller in storytellers])
        if out:
            write_report(report, columns, out)
            for storyteller in storytellers:  # whole now; another run begins anew
                part = part_file(folder, storyteller.name)
                part.replace(part.with_name(part.name.replace(".part.", ".")))
    return report


def _command(command: str, options: Arguments, names: list[str]) -> str:
    """What makes the same report, with the files' names alone: where they lie differs."""
    parts = ["--models", ",".join(names)]
    for name in ("data", "training"):
        if value := getattr(options, name):
            parts += [f"--{name}", written(value if value.startswith("hub:") else Path(value).name)]
    if options.limit:
        parts += ["--limit", str(options.limit)]
    if mauve := getattr(options, "mauve", None):
        parts += ["--mauve", mauve]
    for name, usual in (("device", "cpu"), ("dtype", FP32), ("engine", None)):
        if getattr(options, name) != usual:
            parts += [f"--{name}", getattr(options, name)]
    return shlex.join(["python", "-m", "storylab", command, *parts, "--seed", str(options.seed)])


class _Bars:
    """A progress bar with the time left for each thing that is done."""

    doing: str = ""
    bar: "tqdm | None" = None

    def __enter__(self) -> "_Bars":
        return self

    def show(self, step: "Step") -> None:
        """Show how far it is."""
        from tqdm import tqdm

        if self.doing != step.doing:
            self._close()
            begun = step.done if step.done > 1 else 0  # what was done before an interruption took no time
            self.doing, self.bar = step.doing, tqdm(desc=step.doing, total=step.total or None, initial=begun)
        self.bar.update(step.done - self.bar.n)

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()

    def __exit__(self, *_: object) -> None:
        self._close()
