"""The commands that train while one looks on: `overfit` one story, and `finetune` on one's own stories, in memory."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from storylab.decoding import check_opening, check_seed
from storylab.exhibits.by_heart import MOST_CHARACTERS, MOST_SECONDS, RATE, Retelling
from storylab.exhibits.openings import KITE
from storylab.exhibits.own import RECIPES, read_own
from storylab.inspection.corpus import typed_story
from storylab.shell import Arguments, add_json, print_json
from storylab.storytellers import load
from storylab.storytellers.sources import PROJECT

if TYPE_CHECKING:
    from storylab.exhibits.finetune import Course


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add them to the command line."""
    overfit = commands.add_parser("overfit", help="train a new model on one story until it retells it word for word")
    overfit.add_argument("story", nargs="?", default=KITE.text, help="five sentences; a story of the project else")
    overfit.add_argument("--learning-rate", type=float, default=RATE, metavar="R", help=f"default: {RATE:g}")
    overfit.add_argument("--seed", type=int, default=0, help="of the weights (default: 0)")
    add_json(overfit)
    overfit.set_defaults(command=_overfit)

    finetune = commands.add_parser("finetune", help="fine-tune a small storyteller on a CSV in memory, and measure it")
    finetune.add_argument("stories", metavar="CSV", help="with sentence1 to sentence5")
    finetune.add_argument("--model", default=next(iter(RECIPES)), choices=RECIPES, help="the one to begin with")
    finetune.add_argument("--opening", help="what both tell on from; the first held-out opening else")
    finetune.add_argument("--seed", type=int, default=0, help="of the tellings (default: 0)")
    add_json(finetune)
    finetune.set_defaults(command=_finetune)


def _overfit(options: Arguments) -> None:
    from storylab.exhibits.overfit import overfit_aloud
    from storylab.tokenizers import load_tokenizer
    from storylab.training.processors import use_one_processor

    use_one_processor()  # a model so small gains nothing from a second
    story, seed = typed_story(options.story, MOST_CHARACTERS), check_seed(options.seed)
    heard: list[Retelling] = []

    def hear(retelling: Retelling) -> None:
        heard.append(retelling)
        if not options.json:
            print(f"step {retelling.step:>5}  loss {retelling.loss:7.3f}  {retelling.right:4.0%}  {retelling.text}")

    learnt = overfit_aloud(
        story,
        load_tokenizer(PROJECT / "train" / "vocabulary"),
        on_retelling=hear,
        learning_rate=options.learning_rate,
        seed=seed,
    )
    exact = bool(heard) and heard[-1].exact
    if options.json:
        course = [{"step": one.step, "loss": one.loss, "right": one.right, "text": one.text} for one in heard]
        return print_json({"exact": exact, "steps": learnt.steps, "seconds": learnt.seconds, "retellings": course})
    how = "word for word" if exact else f"not yet word for word, the {MOST_SECONDS} seconds are up"
    print(f"{how}, {learnt.steps} steps in {learnt.seconds:.1f} s")


def _finetune(options: Arguments) -> None:
    from storylab.exhibits.finetune import fine_tune

    seed = check_seed(options.seed)
    opening = check_opening(options.opening) if options.opening else None
    stories, bad = read_own(Path(options.stories))

    def note(course: "Course") -> None:
        if not options.json and course.held_out[-1][0] == course.step:
            figures = f"loss {course.losses[-1][1]:.3f}  held out {course.held_out[-1][1]:.3f}"
            print(f"step {course.step:>4} of {course.steps}  {figures}", flush=True)

    base = load(options.model)
    tuned = fine_tune(base, stories, on_course=note)
    opening = opening or tuned.splits.validation[0].opening
    tellings = [storyteller.tell(opening, seed=seed) for storyteller in (tuned.storyteller, base)]
    scores = {"before": tuned.before, "after": tuned.after}
    if options.json:
        counts = {"learnt": len(tuned.splits.train), "held_out": len(tuned.splits.validation), "bad_rows": bad}
        told = {"tellings": [telling.to_dict() for telling in tellings]}
        measured = {when: score.to_dict() for when, score in scores.items()}
        return print_json({"ended_by": tuned.ended_by, **counts, **measured, **told})
    for when, score in scores.items():
        low, high = score.interval
        print(f"{when:<7}{score.perplexity_per_word:7.1f} per word [{low:.1f}, {high:.1f}], {score.stories} held out")
    for telling in tellings:
        print(f"\n[{telling.model}, seed {seed}]\n{telling.opening} {telling.text}")
