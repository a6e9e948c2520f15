"""A step of the tour as HTML: what the report did, and the failure beside its repair."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from storylab.exhibits import TOUR, Exhibit, Shown
from storylab.exhibits.parts import Doing, Figure, Guess, Side
from storylab.storytellers import describe
from storylab.ui import cards
from storylab.ui.links import write_query
from storylab.ui.plots import Line, lines
from storylab.ui.texts import EXAMPLES, Say

SIDES: tuple[Side, ...] = ("failure", "repair")
TRAINED = ("unigram", "padding", "misaligned")
"""Steps with a curve."""
PLAY: dict[str, tuple[str, dict[str, object]]] = {
    "unigram": ("tokens", {"opening": EXAMPLES["park"], "models": "encoder,seq2seq", "seed": 1}),
    "padding": ("training", {}),
    "repetition": ("decoding", {"opening": EXAMPLES["park"], "models": "gpt2-mini"}),
    "misaligned": ("training", {"first": "train/gpt2-mini-prompt-misaligned", "second": "train/gpt2-mini-prompt"}),
    "packing": ("compare", {"opening": EXAMPLES["park"], "models": "gpt2-mini,gpt2-mini-finetuned", "seed": 1}),
}
"""Where one can go on from each step: a tab, and what its link says."""
RUN_THERE = {"unigram", "padding", "repetition", "packing"}
"""Steps whose link presses the button there."""


def step(name: str, say: Say, exhibit: Exhibit | None = None, doing: Doing | None = None) -> str:
    """One step of the tour.

    Args:
        name: The exhibit's name, one of `TOUR`.
        say: The visitor's language.
        exhibit: What has come of it so far; None before it is run.
        doing: What is under way; None where nothing is.
    """
    number = TOUR.index(name) + 1
    told = [(heading, say(f"tour_{name}_{heading}")) for heading in ("did", "wrong", "look")]
    points = "".join(
        f"<div><dt>{escape(say(f'tour_point_{heading}'))}</dt><dd>{escape(words)}</dd></div>" for heading, words in told
    )
    sides = "".join(_side(side, name, say, exhibit, doing) for side in SIDES)
    title = f"{number}. {say(f'tour_{name}_title')}"
    return (
        f'<article class="tour-step" data-step="{name}" aria-busy="{"true" if doing else "false"}"'
        f' aria-label="{escape(title)}"><h2>{escape(title)}</h2><dl class="points">{points}</dl>'
        f"{_curves(name, say, exhibit)}"
        f'<div class="tour-sides">{sides}</div>{_figures(exhibit.figures if exhibit else [], say)}'
        f"{_after(name, say)}</article>"
    )


def _side(side: Side, name: str, say: Say, exhibit: Exhibit | None, doing: Doing | None) -> str:
    shown = [one for one in exhibit.shown if one.side == side] if exhibit else []
    guesses = [one for one in exhibit.guesses if one.side == side] if exhibit else []
    body = "".join(_guess(one, say) for one in guesses) + _tellings(shown, say)
    if doing and doing.side == side:
        body += f'<p class="doing">{escape(say(f"tour_doing_{doing.key}"))}{_bar(doing)}</p>'
    elif not body:
        body = f'<p class="quiet">{escape(say("tour_nothing" if doing is None else "tour_later"))}</p>'
    return (
        f'<section class="tour-side {side}"><h3>{escape(say(f"tour_side_{side}"))}</h3>'
        f'<p class="way">{escape(say(f"tour_{name}_{side}"))}</p>{body}</section>'
    )


def _bar(doing: Doing) -> str:
    return (
        f' <progress value="{doing.done}" max="{doing.total}"></progress>' if doing.total else " <progress></progress>"
    )


def _tellings(shown: Iterable[Shown], say: Say) -> str:
    rows = {row["name"]: row for row in describe()}
    return "".join(
        f'<div class="told"><h4>{escape(_label(one, rows, say))}</h4>'
        f'<p><span class="given">{escape(one.telling.opening)}</span> {escape(one.telling.text)}'
        f"{_end(one, say)}</p>"
        f"{cards.faults(((fault['code'], fault['message']) for fault in one.telling.pathologies), say)}</div>"
        for one in shown
    )


def _label(one: Shown, rows: Mapping[str, Mapping], say: Say) -> str:
    telling = one.telling
    teller = cards.title(rows[telling.model], say) if telling.model in rows else say("tour_trained_here")
    return say(f"tour_told_{one.key}", teller=teller, seed=telling.seed, temperature=telling.settings["temperature"])


def _end(one: Shown, say: Say) -> str:
    """The mark of a story that the storyteller ended itself."""
    if not one.telling.finished:
        return ""
    return f' <span class="end" title="{escape(say("tour_end_about"))}">{escape(say("tour_end"))}</span>'


def _guess(one: Guess, say: Say) -> str:
    bars = "".join(
        f'<li><code>{escape(token)}</code><i style="width: {100 * probability:.1f}%"></i>'
        f"<span>{_probability(probability)}</span></li>"
        for token, probability in one.tokens
    )
    heading = say(f"tour_guess_{one.key}")
    return (
        f'<div class="guess"><h4>{escape(heading)}</h4><p class="given">{escape(one.after)} …</p><ol>{bars}</ol></div>'
    )


def _probability(value: float) -> str:
    return f"{value:.1%}" if value >= 0.001 else f"{value:.3%}"


def _curves(name: str, say: Say, exhibit: Exhibit | None) -> str:
    if name not in TRAINED:
        return ""
    drawn = []
    if exhibit:
        for side in SIDES:
            points = [(point.step, point.loss) for point in exhibit.losses if point.side == side]
            drawn.append(Line(say(f"tour_side_{side}"), points, f"var(--{side})"))
        if any(line.points for line in drawn):
            drawn += [
                Line(say(f"tour_level_{level.key}"), [(0, level.loss)], "var(--quiet)", dashed=True, level=True)
                for level in exhibit.levels
            ]
    plot = lines(drawn, say("tour_steps"), say("tour_loss"), say("tour_curves_about"))
    return f'<div class="tour-curves">{plot}</div>'


def _figures(figures: Iterable[Figure], say: Say) -> str:
    """The numbers of both sides; what each means shows itself where the pointer rests."""
    by_key: dict[str, dict[str, str]] = {}
    none = say("none")
    for figure in figures:
        by_key.setdefault(figure.key, {})[figure.side] = figure.written
    if not by_key:
        return ""
    rows = "".join(
        f'<tr><th scope="row"><span class="term" tabindex="0" title="{escape(say(f"tour_figure_{key}_about"))}">'
        f"{escape(say(f'tour_figure_{key}'))}</span></th>"
        f"{''.join(f'<td>{escape(values.get(side, none))}</td>' for side in SIDES)}</tr>"
        for key, values in by_key.items()
    )
    head = "".join(f'<th scope="col">{escape(say(f"tour_side_{side}"))}</th>' for side in SIDES)
    return (
        f'<div class="tour-figures" role="region" tabindex="0" aria-label="{escape(say("tour_figures"))}">'
        f'<table class="figures"><thead><tr><th scope="col">{escape(say("tour_figures"))}</th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _after(name: str, say: Say) -> str:
    tab, parts = PLAY[name]
    address = "?" + write_query(tab, run=name in RUN_THERE, lang=say.language, **parts)
    return (
        f'<p class="changed"><b>{escape(say("tour_changed"))}</b> {escape(say(f"tour_{name}_changed"))}</p>'
        f'<p class="play"><a href="{escape(address)}">{escape(say(f"tour_{name}_play"))}</a>'
        f" <code>python -m storylab exhibit {name}</code></p>"
    )
