"""Publishes a report: `docs/results.json` as the record, and from it alone every place that shows its figures.

`docs/results.md`, the README's table and a section of each model card are written from the record, so that a test
can tell whether they are in step with it, and the record with the weights (`out_of_step`).
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storylab.errors import StoryLabError
from storylab.evaluation.report import (
    LEGEND,
    Report,
    differences,
    heading,
    leaderboard,
    matrix,
    number,
    ranking,
    stories_read,
)
from storylab.files import write_text
from storylab.markdown import put, table
from storylab.storytellers.catalog import find, listed, state_of
from storylab.storytellers.remote.source import REMOTE
from storylab.storytellers.sources import PROJECT
from storylab.training.base import checkpoint_hashes

if TYPE_CHECKING:
    from storylab.storytellers.storyteller import Storyteller

RECORD = "docs/results.json"
SAMPLE_OPENINGS = (
    "Every weekend the Jefferson's go to the park.",
    "David noticed he had put on a lot of weight recently.",
    "The robot woke up and could not remember its name.",
)
SAMPLE_SEEDS = (1, 2, 3)
SHOWN = ("perplexity_per_word", "bleu_4", "chrf", "distinct_2", "self_bleu", "repetition_4", "four_sentences")
"""The metrics of the README's table and the cards; `docs/results.md` has all of them."""
PUBLISHED = (
    ("Course report, encoder classifier", "BLEU 0.0107", "NLTK's BLEU, smoothing 7, the mean over batches"),
    ("Course report, encoder-decoder", "BLEU 0.0324", "the same; each next token predicted from the human ones"),
    (
        "BART-base (NAACL 2022, “Flashbacks via event temporal prompts”)",
        "BLEU-3 5.13, ROUGE-L 19.29, distinct 3.99%, reference perplexity 27.30",
        "88,344 training stories, its own tokens and splits",
    ),
    (
        "the same with reinforcement learning",
        "BLEU-3 5.20, perplexity 15.45",
        "88,344 training stories, its own tokens and splits",
    ),
    (
        "31.7M decoder from scratch (leahylin/gpt-story-inference)",
        "perplexity 20.44 per token",
        "per token of GPT-2's vocabulary, not per word",
    ),
)
"""Figures of others: who, what, and how they were measured."""


def default_storytellers() -> list[str]:
    """Who is in the published results: every storyteller of the catalogue file that is ready."""
    return [entry.name for entry in listed() if entry.kind != REMOTE and state_of(entry).state == "ready"]


def samples(storytellers: Sequence["Storyteller"]) -> dict[str, dict[str, list[str]]]:
    """What each storyteller tells of some openings, by opening, by name, a story for each of some seeds."""
    return {
        opening: {
            storyteller.name: [storyteller.tell(opening, seed=seed).text for seed in SAMPLE_SEEDS]
            for storyteller in storytellers
        }
        for opening in SAMPLE_OPENINGS
    }


def publish(report: Report, project: Path = PROJECT) -> list[Path]:
    """Write the record and everything that is made from it; returns the files.

    Raises:
        StoryLabError: They can't be written, or a place for them is missing.
    """
    record = json.dumps(report, indent=1, ensure_ascii=False) + "\n"
    files = {project / RECORD: record} | pages(report, project)
    for path, text in files.items():
        write_text(path, text)
    return list(files)


def pages(report: Report, project: Path = PROJECT) -> dict[Path, str]:
    """The text of every file that shows a report's figures, by its path."""
    readme = project / "README.md"
    files = {
        project / "docs" / "results.md": results_page(report),
        readme: put(_read(readme), "results", _summary(report)),
    }
    for name in report["weights"]:
        card = _folder(name, project) / "README.md"
        if card.is_file() and card.is_relative_to(project / "checkpoints"):
            files[card] = put(_read(card), "results", card_section(report, name))
    return files


def read_record(project: Path = PROJECT) -> Report:
    """The published report.

    Raises:
        StoryLabError: There is none, or it can't be read.
    """
    path = project / RECORD
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StoryLabError("there are no results here yet: python -m storylab report --data STORIES.csv") from None
    except (OSError, ValueError) as error:
        raise StoryLabError(f"{RECORD} can't be read: {getattr(error, 'strerror', None) or error}") from None


def out_of_step(project: Path = PROJECT) -> list[str]:
    """What the record and the rest disagree on: weights other than those measured, files other than it would make."""
    report = read_record(project)
    here = {entry.name: project / entry.source for entry in listed() if (project / entry.source).is_dir()}
    found = [f"{name} is not in {RECORD}" for name in here if name not in report["weights"]]
    found += [
        f"{name} has other weights than those that {RECORD} measured"
        for name, hashes in report["weights"].items()
        if name in here and checkpoint_hashes(here[name]) != hashes
    ]
    stale = [path for path, text in pages(report, project).items() if not path.is_file() or _read(path) != text]
    return found + [f"{path.relative_to(project)} is not what {RECORD} makes" for path in stale]


def results_page(report: Report) -> str:
    """`docs/results.md`."""
    decoding = ", ".join(f"{name.replace('_', '-')} {value:g}" for name, value in _decoding(report).items())
    libraries = report["environment"]
    published = "\n".join(f"| {who} | {figure} | {how} |" for who, figure, how in PUBLISHED)
    signatures = "\n".join(
        f"| {name} | `{about['signature'].replace('|', chr(92) + '|')}` | {about.get('max_ngram_order', '')} |"
        for name, about in report["metrics"].items()
        if "signature" in about
    )
    weights = "\n".join(f"| `{name}` | `{hashes['sha256']}` |" for name, hashes in report["weights"].items())
    best = ranking(report)[0]
    unseen = ", none of which is among the training stories," if report["training"] else ""
    return f"""\
# Results

Written by `python -m storylab report` from the checkpoints; the record is [results.json](results.json), with the
intervals and p-values of every metric and every two storytellers.

{report["stories"]["number"]:,} stories (fingerprint `{report["stories"]["sha256"][:16]}`){unseen}
are told on from their first sentences: sampled, {decoding}; each story has a seed of its own, made from the story and
the seed {report["seed"]}, so that the order and the batch don't matter. {libraries["dtype"]} on {libraries["device"]},
torch {libraries["torch"]}, transformers {libraries["transformers"]}. The lowest perplexity is that of `{best}`.

{leaderboard(report)}

{LEGEND} `copied-opening` says the opening four times, `random-sentences` puts sentences of training stories together at
random. What each metric is stands in `storylab/evaluation/metrics/`.

## Who differs from whom

{differences(report, "perplexity_per_word")}

## Who finds whom surprising

{matrix(report)}

Perplexity per word of the reader (row) on the first {stories_read(report)} stories of the writer (column), given their
openings; the intervals are in the record. A story that
was cut off is read with an end behind it as well.

## Beside published figures

| who | figure | how measured |
| --- | --- | --- |
{published}

None of these compares with the table one to one: other training data, other splits, other tokens to count a
perplexity by, other BLEU implementations (sacreBLEU's runs from 0 to 100, NLTK's from 0 to 1), and in the second row a
model that was shown the human story while it was measured.

## Signatures and weights

| metric | sacreBLEU signature | n-gram order |
| --- | --- | --- |
{signatures}

| storyteller | SHA-256 of its weights |
| --- | --- |
{weights}

## Made by

    {report["command"]}
"""


def card_section(report: Report, name: str) -> str:
    """What a model card says of its results."""
    return f"""\
Told from {report["stories"]["number"]:,} test openings; the whole table, with people and baselines, is in
`docs/results.md`.

{leaderboard(report, SHOWN, [name])}"""


def _summary(report: Report) -> str:
    """The README's table: a row a teller."""
    rows = [["", *(heading(report, key) for key in SHOWN)], ["---", *["---:"] * len(SHOWN)]]
    for name in ranking(report):
        figures = [report["models"][name].get(key, {}).get("value") for key in SHOWN]
        rows.append([f"`{name}`", *(number(value, key) for key, value in zip(SHOWN, figures, strict=True))])
    return table(rows)


def _decoding(report: Report) -> dict[str, Any]:
    return {name: report["settings"][name] for name in ("temperature", "top_p")}


def _folder(name: str, project: Path) -> Path:
    entry = find(name)
    if entry.source.startswith("checkpoints/"):
        return project / entry.source
    return entry.folder


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise StoryLabError(f"{path} can't be read: {error.strerror}") from None
