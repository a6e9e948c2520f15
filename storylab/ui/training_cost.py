"""What each checkpoint cost and what came of it, as a table; and the stories that it told on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from storylab.errors import StoryLabError
from storylab.evaluation.results import read_record
from storylab.storytellers.catalog import CHECKPOINTS, describe
from storylab.training.base import checkpoint_hashes
from storylab.training.history import Training
from storylab.ui import cards, panels
from storylab.ui.texts import Say
from storylab.ui.trained import Trained, duration

MOST_SAMPLES = 12
"""Stories of one training that are shown; of more, some are left out evenly."""
COLUMNS = ("from", "parameters", "trained", "tokens", "time", "speed", "hardware", "validation", "test")
BARS = ("tokens", "time")
"""Columns whose cells have a bar, as long as their share of the largest."""


def cost_table(known: Sequence[Trained], unsound: dict[str, str], say: Say) -> str:
    """A row a checkpoint; below it what the figures leave out, and whose log is not sound."""
    if not known:
        return cards.problem(say("training_no_log")) + _unsound(unsound)
    heads = "".join(
        f'<th scope="col"><span class="term" tabindex="0" title="{escape(say(f"costs_{key}"))}">'
        f"{escape(say(f'cost_{key}'))}</span></th>"
        for key in COLUMNS
    )
    titles = {row["name"]: cards.title(row, say) for row in describe()}
    most = {"tokens": max(one.training.tokens for one in known), "time": max(one.training.seconds for one in known)}
    tested = _tested(known)
    body = ""
    for one in known:
        training = one.training
        spent = {"tokens": training.tokens, "time": training.seconds}
        shown = {
            "from": _start(training, titles, say),
            "parameters": _millions(training.parameters, say),
            "trained": _millions(training.trained_parameters, say),
            "tokens": _millions(training.tokens, say),
            "time": duration(training.seconds, say),
            "speed": f"{training.tokens / training.seconds:,.0f}" if training.seconds else say("none"),
            "hardware": training.hardware or say("none"),
            "validation": _perplexity(training, say),
            "test": tested[one.name][0] if one.name in tested else say("none"),
        }
        below = {key: _bar(spent[key] / most[key] if most[key] else 0) for key in BARS}
        below["test"] = f"<small>{escape(tested[one.name][1])}</small>" if one.name in tested else ""
        cells = "".join(f"<td>{escape(shown[key])}{below.get(key, '')}</td>" for key in COLUMNS)
        body += f'<tr style="--edge: {one.colour}"><th scope="row">{escape(one.title)}</th>{cells}</tr>'
    head = f'<thead><tr><th scope="col">{escape(say("training_storyteller"))}</th>{heads}</tr></thead>'
    table = panels.region(say("training_cost"), f'<table class="figures cost">{head}<tbody>{body}</tbody></table>')
    return table + "".join(panels.quiet(remark) for remark in _remarks(known, say)) + _unsound(unsound)


def _bar(share: float) -> str:
    return f'<span class="share" style="--share: {100 * share:.0f}%" aria-hidden="true"></span>'


def _start(training: Training, titles: dict[str, str], say: Say) -> str:
    """What its weights start from."""
    recipe = training.recipe
    if recipe is None:
        return say("none")
    base = titles.get(recipe.base, recipe.base)
    if training.goes_on:
        return say("cost_itself_upon", base=base) if base else say("cost_itself")
    return base or recipe.init_from or say("cost_random")


def _millions(count: int | None, say: Say) -> str:
    return say("none") if count is None else say("training_millions", count=count / 1e6)


def _perplexity(training: Training, say: Say) -> str:
    best = training.best_perplexity
    return say("none") if best is None else f"{best:.2f}{' *' if training.reads_prose else ''}"


def _tested(known: Sequence[Trained]) -> dict[str, tuple[str, str]]:
    """The published test figures, with their intervals, of those that still have the weights that were measured."""
    try:
        record = read_record()
        return {
            one.name: (f"{figure['value']:.1f}", f"[{figure['low']:.1f}, {figure['high']:.1f}]")
            for one in known
            if one.name in record["models"] and _same_weights(one.name, record["weights"].get(one.name))
            for figure in [record["models"][one.name]["perplexity_per_word"]]
        }
    except (StoryLabError, KeyError, TypeError, AttributeError):  # no record, or one of another version
        return {}


def _same_weights(name: str, measured: object) -> bool:
    try:
        return checkpoint_hashes(CHECKPOINTS / name) == measured
    except StoryLabError:
        return False


def _remarks(known: Sequence[Trained], say: Say) -> list[str]:
    named: Callable[[list[Trained]], str] = lambda some: " · ".join(one.title for one in some)  # noqa: E731
    remarks = [say("cost_measured")]
    if prose := [one for one in known if one.training.reads_prose]:
        remarks.append("* " + say("training_prose", names=named(prose)))
    if earlier := [one for one in known if one.training.goes_on and one.training.stages == 1]:
        remarks.append(say("cost_earlier", names=named(earlier)))
    return remarks


def _unsound(unsound: dict[str, str]) -> str:
    items = "".join(f"<li><b>{escape(name)}</b> {escape(reason)}</li>" for name, reason in unsound.items())
    return f'<ul class="not-ready">{items}</ul>' if items else ""


def told_on_the_way(known: Sequence[Trained], name: str | None, say: Say) -> str:
    """The stories that a model told of one opening at its validations, the earliest first."""
    training = next((one.training for one in known if one.name == name), None)
    if training is None or not training.samples:
        return panels.quiet(say("told_none"))
    samples, last = training.samples, len(training.samples) - 1
    shown = min(len(samples), MOST_SAMPLES)
    kept = [samples[round(number * last / max(shown - 1, 1))] for number in range(shown)]
    items = ""
    for sample in kept:
        figure = ""
        if sample.perplexity_per_word is not None:
            figure = " · " + say("told_figure", value=sample.perplexity_per_word)
        when = f"<b>{escape(say('told_step', step=sample.step))}</b>{escape(figure)}"
        items += f"<li><p>{when}</p><p lang='en'>{escape(sample.text.strip()) or escape(say('none'))}</p></li>"
    opening = training.recipe.sample if training.recipe else ""
    return f'<p class="given" lang="en">{escape(opening)}</p><ol class="on-the-way">{items}</ol>'
