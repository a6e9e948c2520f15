"""What matters in training: variants of one recipe trained for real, each with one thing changed, and compared.

    python -m benchmarks.ablation --stories TRAIN.csv --validation VALID.csv --test TEST.csv

Writes `docs/ablation.json`, the record, and `docs/ablation.md`, made from it alone. Trainings lie in
`runs/ablation/` and are kept: what was broken off goes on, and what is there as it should be is not trained again.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from storylab.errors import StoryLabError
from storylab.evaluation.report import LEGEND, leaderboard, number, p_value
from storylab.files import write_text
from storylab.markdown import table
from storylab.stories import read_stories
from storylab.storytellers.registry import find_base, load
from storylab.training.checkpoint import without_places
from storylab.training.recipe import Recipe, read_recipe

PROJECT = Path(__file__).resolve().parents[1]
RECORD, PAGE = "docs/ablation.json", "docs/ablation.md"
STORIES = 5000
TOLD = 200
"""Test stories whose openings every variant tells on from; the perplexity is of the same ones."""
COMMON = (f"limit={STORIES}", "epochs=1.0", "warmup=10", "evaluate_every=25", "save_every=25", "patience=0", "sample=")
METRICS = ("perplexity_per_word", "bleu_4", "distinct_2", "repetition_4", "four_sentences")


@dataclass(frozen=True)
class Variant:
    """One training of the ablation."""

    name: str
    question: str
    """What it answers when it is held against the reference."""
    recipe: str
    changes: tuple[str, ...] = ()

    def read(self, options: argparse.Namespace) -> Recipe:
        """Its recipe, on the stories of the command line."""
        recipe = read_recipe(PROJECT / "train" / f"{self.recipe}.toml", (*COMMON, *self.changes))
        places = {part: getattr(options, part) for part in ("stories", "validation", "test")}
        return replace(recipe, name=self.name, title=self.name, **places)


REFERENCE = "reference"
VARIANTS = (
    Variant(REFERENCE, "", "gpt2-mini-finetuned"),
    Variant(
        "not-pretrained",
        "the same shape from random weights, nothing frozen, at the rates of its pre-training",
        "gpt2-mini",
        ("framing=packed", "text=", "pack_length=512", "batch_size=4", "accumulation=2", "decay=0.7"),
    ),
    Variant("full", "all layers learn", "gpt2-mini-full"),
    Variant(
        "partial",
        "embeddings and half of the layers are frozen",
        "gpt2-mini-finetuned",
        ("freeze=embeddings and the first 3 layers",),
    ),
    Variant(
        "lora",
        "low-rank additions of rank 16 learn instead, by AdamW at a rate of 2e-3 (Muon has no use for them)",
        "gpt2-mini-lora",
    ),
    Variant(
        "padded",
        "a story a row, filled up to the longest of its batch, instead of packs",
        "gpt2-mini-prompt",
        ("learn_prompt=true", "freeze=the first 1 layer", "batch_size=77"),
    ),
    Variant("prompt-masked", "sentence 1 is read but not learnt", "gpt2-mini-finetuned", ("learn_prompt=false",)),
    Variant("stories-1000", "1,000 stories, five times", "gpt2-mini-finetuned", ("limit=1000", "epochs=5.0")),
)
BUNDLED = Variant(
    "gpt2-mini-finetuned",
    "every story there is, until validation stops falling: the one that is bundled, with the cost of its last stage",
    "gpt2-mini-finetuned",
)
"""Measured beside the variants, not trained here."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Train what is missing, measure, publish; returns the exit status."""
    parser = argparse.ArgumentParser(prog="benchmarks.ablation", description=__doc__.splitlines()[0])
    for part in ("stories", "validation", "test"):
        parser.add_argument(f"--{part}", required=True, metavar="STORIES.csv")
    parser.add_argument("--device", choices=("auto", "cpu"), default="auto")
    options = parser.parse_args(arguments)
    try:
        recipes = [variant.read(options) for variant in VARIANTS]
        folders = [trained(recipe, PROJECT / "runs" / "ablation", options.device) for recipe in recipes]
        publish(measure([*folders, PROJECT / "checkpoints" / BUNDLED.name], options.test), PROJECT)
    except StoryLabError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    return 0


def trained(recipe: Recipe, root: Path, device: str) -> Path:
    """The checkpoint of a recipe: the one that is there where the recipe made it, else a new one.

    Other stories or another base need another `root`, or an empty one: only the recipe is compared.
    """
    folder = root / "checkpoints" / recipe.name
    if (folder / "recipe.toml").is_file() and read_recipe(folder / "recipe.toml") == without_places(recipe):
        return folder
    from storylab.training.run import run  # imports torch

    state = root / recipe.name / "state.pt"
    return run(
        recipe,
        checkpoints=root / "checkpoints",
        runs=root,
        resume=state.is_file() and not folder.is_dir(),
        device=device,
        find_base=find_base,
    )


def measure(folders: Sequence[Path], test: str) -> dict[str, Any]:
    """The record: what each training cost, and an evaluation of all of them."""
    from storylab.evaluation.run import evaluate

    stories = read_stories(test, limit=TOLD)
    report, _ = evaluate([load(str(folder), dtype="fp32") for folder in folders], stories)
    kept = ("version", "stories", "settings", "seed", "environment", "metrics", "weights", "models", "comparisons")
    record = {key: report[key] for key in kept}
    record["comparisons"] = [found for found in record["comparisons"] if REFERENCE in (found["first"], found["second"])]
    record["variants"] = {
        variant.name: {"question": variant.question, "recipe": variant.recipe, "changes": list(variant.changes)}
        for variant in (*VARIANTS, BUNDLED)
    }
    record["training"] = {folder.name: cost(folder) for folder in folders}
    return record


def cost(folder: Path) -> dict[str, Any]:
    """What a checkpoint's log says of its training: steps, tokens, seconds, the validation curve."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    last = next(line for line in reversed(lines) if "tokens" in line)
    validation = [[line["step"], line["perplexity_per_word"]] for line in lines if "perplexity_per_word" in line]
    return {key: last[key] for key in ("steps", "tokens", "seconds")} | {"validation": validation}


def publish(record: dict[str, Any], project: Path) -> None:
    """Write the record and the page made from it."""
    write_text(project / RECORD, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    write_text(project / PAGE, page(record))
    print(f"{RECORD} and {PAGE} are written")


def page(record: dict[str, Any]) -> str:
    """`docs/ablation.md`."""
    names = list(record["variants"])
    rows = [
        ["variant", "what is changed", "minutes", "tokens", "perplexity per word", "less the reference", "p"],
        ["---", "---", "---:", "---:", "---:", "---:", "---:"],
        *(_row(record, name) for name in names),
    ]
    libraries = record["environment"]
    settings = [
        f"- `{name}`: `{' '.join(['python -m train', about['recipe'], *_sets(about['changes'])])}`"
        for name, about in record["variants"].items()
        if name != BUNDLED.name
    ]
    return f"""\
# What matters in training

Written by `python -m benchmarks.ablation` from trainings that it made; the record with the curves and every p-value is
[ablation.json](ablation.json).

The reference fine-tunes `gpt2-mini` by the recipe of `gpt2-mini-finetuned` on {STORIES:,} stories. Each variant
changes what the table names and leaves the rest. {record["stories"]["number"]} test stories (fingerprint
`{record["stories"]["sha256"][:16]}`), seed {record["seed"]}, {libraries["dtype"]} on {libraries["device"]}, torch
{libraries["torch"]}. Minutes are those of this machine and shared ones at that; compare them with one another only.

{table(rows)}

p-values by paired approximate randomisation over stories, corrected after Holm over all pairs.

## What they tell

{leaderboard(record, METRICS, [*names, "human"])}

{LEGEND}

## The settings of each

{chr(10).join(settings)}

each with `{" ".join(_sets(COMMON))}` before it.
"""


def _sets(changes: Sequence[str]) -> Iterator[str]:
    return (f"--set {shlex.quote(change)}" for change in changes)


def _row(record: dict[str, Any], name: str) -> list[str]:
    spent = record["training"][name]
    perplexity = number(record["models"][name]["perplexity_per_word"]["value"], "perplexity_per_word")
    difference, p = _against_reference(record, name)
    return [
        f"`{name}`",
        record["variants"][name]["question"] or "nothing",
        f"{spent['seconds'] / 60:.1f}",
        f"{spent['tokens']:,}",
        perplexity,
        difference,
        p,
    ]


def _against_reference(record: dict[str, Any], name: str) -> tuple[str, str]:
    """How much higher a variant's perplexity is than the reference's, with the p-value."""
    for found in record["comparisons"]:
        if found["metric"] == "perplexity_per_word" and {found["first"], found["second"]} == {name, REFERENCE}:
            sign = 1 if found["first"] == name else -1
            return f"{sign * found['difference']:+.2f}", p_value(found["p_corrected"])
    return "", ""


if __name__ == "__main__":
    sys.exit(main())
