"""The report of an evaluation: JSON for scripts, Markdown for people, plain text for other programs.

| key | what it holds |
| --- | --- |
| `version`, `environment` | of StoryLab, and what else the stories depend on |
| `stories`, `training` | how many, and their fingerprint (`storylab.stories.fingerprint`) |
| `settings`, `seed` | how the stories were decoded |
| `metrics` | by metric: `better` (higher, lower, neither), `about`, signature and version where it has them |
| `columns` | by name: `title` and `kind` (`storyteller`, `human`, `baseline`) |
| `weights` | by storyteller: SHA-256 of its weights, and of its base's |
| `models` | by name, by metric: `value`, `low`, `high` (95% bootstrap interval); a `note` where there is no value |
| `comparisons` | of every two storytellers on each metric: `difference` with `low` and `high`, `p`, `p_corrected` |
| `cross_reading` | by reader, by writer: perplexity per word, `value`, `low`, `high`, `stories` |
| `bad_rows` | the errors of rows that were left out |
| `command` | what makes the same report |

Only `stories_per_second` depends on how fast the machine is.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from storylab.errors import StoryLabError
from storylab.evaluation.told import Column
from storylab.files import write_text
from storylab.markdown import escaped, table

Report = dict[str, Any]

HEADINGS = {
    "perplexity_per_word": "perplexity per word",
    "bleu_1": "BLEU-1",
    "bleu_2": "BLEU-2",
    "bleu_3": "BLEU-3",
    "bleu_4": "BLEU-4",
    "chrf": "chrF++",
    "rouge_l": "ROUGE-L",
    "distinct_1": "distinct-1",
    "distinct_2": "distinct-2",
    "distinct_4": "distinct-4",
    "self_bleu": "self-BLEU",
    "repetition_4": "repetition-4",
    "four_sentences": "four sentences, then the end",
    "length": "length in words",
    "length_ratio": "length ratio",
    "opening_carried_on": "opening carried on",
    "novelty_8": "novelty-8",
    "mauve": "MAUVE",
    "stories_per_second": "stories per second",
}
"""What people call the metrics, in the order of a report."""
SHARES = {
    "rouge_l",
    "distinct_1",
    "distinct_2",
    "distinct_4",
    "repetition_4",
    "four_sentences",
    "opening_carried_on",
    "novelty_8",
}
"""The metrics from 0 to 1, which are shown in percent."""
ARROWS = {"higher": "↑", "lower": "↓", "neither": ""}


def json_ready(value: Any) -> Any:
    """Data without the numbers that JSON lacks: what is not a number, or infinite, becomes None."""
    if isinstance(value, Mapping):
        return {key: json_ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_ready(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_report(report: Report, columns: Sequence[Column], path: Path) -> None:
    """Write a report as JSON, beside it the same as Markdown, and the stories as plain text.

    Next to `NAME.json` come `NAME.md` and a folder `NAME.stories` with `openings.txt`, `references.txt` and a file
    for each column, all with one story a line in the same order: what sacreBLEU's command line takes.

    Raises:
        StoryLabError: They can't be written.
    """
    folder = stories_folder(path)
    for stale in folder.glob("*.txt"):  # of another evaluation, whose openings need not be these
        stale.unlink()
    write_text(path, json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    write_text(path.with_suffix(".md"), to_markdown(report))
    write_text(folder / "openings.txt", _lines([told.opening for told in columns[0].told]))
    write_text(folder / "references.txt", _lines(columns[0].references or []))
    for column in columns:
        write_text(folder / f"{file_name(column.name)}.txt", _lines([told.continuation for told in column.told]))


def check_path(path: Path) -> Path:
    """Where a report may be written.

    Raises:
        StoryLabError: It is no file whose name ends in .json.
    """
    if path.suffix != ".json" or path.is_dir():
        raise StoryLabError(f"a report is a file whose name ends in .json, not {path}")
    return path


def stories_folder(path: Path) -> Path:
    """The folder of the stories of a report."""
    return path.with_suffix(".stories")


def file_name(name: str) -> str:
    """A storyteller's name as a file may have it: `hub:OWNER/NAME` has a slash."""
    return name.replace("/", "--").replace(":", "-")


def _lines(texts: Sequence[str]) -> str:
    return "".join(f"{text}\n" for text in texts)


def to_markdown(report: Report) -> str:
    """The report for people: who is how good, who differs from whom, who finds whom surprising."""
    decoding = ", ".join(f"{name} {value}" for name, value in report["settings"].items())
    parts = [
        "# Evaluation",
        f"{report['stories']['number']:,} stories (SHA-256 `{report['stories']['sha256'][:16]}`), seed "
        f"{report['seed']}, {report['environment']['dtype']} on {report['environment']['device']}. "
        f"Decoding: {decoding}.",
        leaderboard(report),
        LEGEND,
        "## Differences",
        differences(report, "perplexity_per_word"),
        "## Who finds whom surprising",
        matrix(report),
    ]
    if report.get("bad_rows"):
        parts += ["## Rows left out", "\n".join(f"- {escaped(error)}" for error in report["bad_rows"])]
    if report.get("command"):
        parts += ["## Made by", f"    {report['command']}"]
    return "\n\n".join(parts) + "\n"


LEGEND = (
    "In brackets the 95% bootstrap interval over stories. ↑ higher is better, ↓ lower is better; where there is no "
    "arrow, people's figure is the measure. People's own stories are the references, so what needs a reference has "
    "no value for them, and a perplexity belongs to a model."
)


def leaderboard(report: Report, metrics: Sequence[str] = (), names: Sequence[str] = ()) -> str:
    """A row for each metric (all of them), a column for each teller (all, storytellers by their perplexity)."""
    names = names or ranking(report)
    keys = metrics or [key for key in HEADINGS if any(key in report["models"][name] for name in names)]
    rows = [["metric", *(f"`{name}`" for name in names)], ["---", *["---:"] * len(names)]]
    rows += [[heading(report, key), *(_cell(report["models"][name].get(key), key) for name in names)] for key in keys]
    return table(rows)


def heading(report: Report, metric: str) -> str:
    """What people call a metric, with an arrow that says which way is better."""
    better = report["metrics"].get(metric, {"better": "higher"})["better"]
    return f"{HEADINGS[metric]} {ARROWS[better]}".rstrip()


def ranking(report: Report) -> list[str]:
    """The columns' names: storytellers from the lowest perplexity per word up, then the others as they stand."""
    perplexity = lambda name: report["models"][name].get("perplexity_per_word", {}).get("value")  # noqa: E731
    ranked = sorted((name for name in report["models"] if perplexity(name) is not None), key=perplexity)
    return ranked + [name for name in report["models"] if name not in ranked]


def differences(report: Report, metric: str) -> str:
    """Every two storytellers on a metric, with the interval of the difference and the corrected p-value."""
    rows = [["", "difference in " + HEADINGS[metric], "p"], ["---", "---:", "---:"]]
    for found in report["comparisons"]:
        if found["metric"] == metric:
            pair = f"`{found['first']}` less `{found['second']}`"
            rows.append([pair, _cell(found | {"value": found["difference"]}, metric), p_value(found["p_corrected"])])
    return (
        f"{table(rows)}\n\nIntervals by paired bootstrap, p-values by paired approximate randomisation, corrected "
        "after Holm over the pairs of a metric. The other metrics' differences are in the JSON."
    )


def stories_read(report: Report) -> int:
    """How many stories of each teller were read by the others, at most."""
    return max(figure["stories"] for by_writer in report["cross_reading"].values() for figure in by_writer.values())


def matrix(report: Report) -> str:
    """The perplexity per word of each reader (a row) on each teller's stories (a column)."""
    readers = report["cross_reading"]
    writers = list(next(iter(readers.values())))
    rows = [["reads \\ wrote", *(f"`{name}`" for name in writers)], ["---", *["---:"] * len(writers)]]
    rows += [
        [f"`{reader}`", *(number(by_writer[name]["value"], "perplexity_per_word") for name in writers)]
        for reader, by_writer in readers.items()
    ]
    return table(rows)


def number(value: float | None, metric: str) -> str:
    """A value as people read it: shares in percent, others with as many digits as say something."""
    if value is None:
        return "–"
    if metric in SHARES:
        return f"{100 * value:.1f}%"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.2f}"


def _cell(figure: Mapping[str, Any] | None, metric: str) -> str:
    if figure is None or figure["value"] is None:
        return "–"
    text = number(figure["value"], metric)
    if figure.get("low") is None:
        return text
    return f"{text} [{number(figure['low'], metric)}, {number(figure['high'], metric)}]"


def p_value(value: float | None) -> str:
    """A p-value as people read it."""
    if value is None:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
