"""What the Decoding tab shows, as HTML: the strategies' stories, and the next token's probabilities as bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from storylab.decoding import Settings
from storylab.decoding.settings import PRESET_DESCRIPTIONS, option_help
from storylab.evaluation.one_story import story_figures
from storylab.inspection.strategies import STRATEGIES
from storylab.storytellers import Telling
from storylab.ui import cards, panels
from storylab.ui.texts import Say

if TYPE_CHECKING:
    from storylab.inspection.next_token import Stage
    from storylab.inspection.sweep import SweepPoint

MODEL = "model"
"""The name of the first stage of a next token."""


def strategy_title(name: str, say: Say) -> str:
    """A strategy in the visitor's language: its option, and the option's value."""
    option, _, value = name.partition(" ")
    if not value:
        return say(f"decoding_{option}")
    return f"{say(option.replace('-', '_'))} {value}"


def strategies(told: Mapping[str, str | Telling], seed: int | None, busy: bool, say: Say, ahead: int = 0) -> str:
    """A small card for each strategy.

    Args:
        told: What there is of each one's story: a text while it is told, then the telling; none before.
        seed: What all share; None where nothing was asked for yet.
        busy: Whether some are still told.
        say: The language.
        ahead: The visitor's number in the line; 0 where they wait no longer.
    """
    made = "".join(_strategy(name, told.get(name), seed is None, say) for name in STRATEGIES)
    common = "" if seed is None else escape(say("decoding_shared", seed=seed))
    common = escape(say("in_line", number=ahead)) if ahead else common
    return (
        f'<p class="shared" role="status">{common}</p>'
        f'<div class="strategies" aria-busy="{"true" if busy else "false"}">{made}</div>'
    )


def _strategy(name: str, told: str | Telling | None, idle: bool, say: Say) -> str:
    about = escape(_meaning(name, say))
    if idle:
        state, body = "idle", f'<p class="about">{about}</p>'
    elif told is None:
        state, body = "waiting", f'<p class="about">{escape(say("waiting"))}</p>'
    elif isinstance(told, str):
        state, body = "telling", f'<p class="story">{escape(told)}</p>'
    else:
        state, body = "told", _told(told, say)
    title = escape(strategy_title(name, say))
    return (
        f'<section class="strategy {state}" data-strategy="{escape(name)}"><h3>'
        f'<span class="term" tabindex="0" title="{about}">{title}</span></h3>{body}</section>'
    )


def _told(telling: Telling, say: Say) -> str:
    words = telling.text or (say("empty_story") if telling.ended_by != "stopped" else "")
    faults = cards.faults(((fault["code"], fault["message"]) for fault in telling.pathologies), say)
    figures = story_figures(telling.opening, telling.story)
    distinct = say("none") if figures.distinct_2 is None else f"{figures.distinct_2:.0%}"
    shown = (
        ("figure_distinct", say("figure_distinct_about"), distinct),
        ("figure_repeated", say("figure_repeated_about"), str(figures.repeated)),
        ("fact_tokens", "", str(telling.tokens)),
        ("fact_ended", "", say(f"ended_{telling.ended_by}", sentences=len(telling.story))),
    )
    items = "".join(
        f'<div title="{escape(about)}"><dt>{escape(say(key))}</dt><dd>{escape(value)}</dd></div>'
        for key, about, value in shown
    )
    return f'<p class="story">{escape(words)}</p>{faults}<dl>{items}</dl>'


def _meaning(name: str, say: Say) -> str:
    option, _, value = name.partition(" ")
    if not value:
        return say.or_else(f"preset_{option}", PRESET_DESCRIPTIONS[option])
    key = option.replace("-", "_")
    return say.or_else(f"help_{key}", option_help()[key])


def bars(stages: Sequence[Stage], settings: Settings, end: int, say: Say) -> str:
    """The likeliest tokens in a row each, and a column of bars for the model and for each setting that is on.

    Args:
        stages: The same tokens in each.
        settings: Those that made the stages.
        end: The end token, which has a name of its own.
        say: The language.
    """
    heads = "".join(f'<th scope="col">{_stage(stage, settings, say)}</th>' for stage in stages)
    order = sorted(range(len(stages[0].shown)), key=lambda place: -stages[0].shown[place].probability)
    rows = "".join(_row([stage.shown[place] for stage in stages], end, say) for place in order)
    name = escape(say("decoding_bars"))
    return (
        f'<div class="next-scroll" role="region" tabindex="0" aria-label="{name}"><table class="next">'
        f'<thead><tr><th scope="col">{escape(say("decoding_token"))}</th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _stage(stage: Stage, settings: Settings, say: Say) -> str:
    if stage.name == MODEL:
        title, about = say("decoding_model"), say("decoding_model_about")
    else:
        title = f"{say(stage.name)} {getattr(settings, stage.name):g}"
        about = say.or_else(f"help_{stage.name}", option_help()[stage.name])
    facts = say("decoding_kept", kept=stage.kept, entropy=stage.entropy)
    return (
        f'<span class="term" tabindex="0" title="{escape(about)}">{escape(title)}</span>'
        f'<small title="{escape(say("decoding_kept_about"))}">{escape(facts)}</small>'
    )


def _row(places: Sequence, end: int, say: Say) -> str:
    token, text = places[0].token, places[0].text
    name = say("decoding_end") if token == end else text.replace(" ", "␣").replace("\n", "⏎")
    hint = escape(say("decoding_take_hint", token=name))
    cells = "".join(
        f'<td><span class="bar"><i style="width: {100 * place.probability:.2f}%"></i></span>'
        f"<b>{_share(place.probability)}</b></td>"
        for place in places
    )
    button = f'<button type="button" data-token="{token}" title="{hint}" aria-label="{hint}">{escape(name)}</button>'
    return f'<tr><th scope="row">{button}</th>{cells}</tr>'


def _share(probability: float) -> str:
    if probability == 0:
        return "–"
    return f"{probability:.1%}" if probability >= 0.001 else "&lt;0.1%"


def sweep_table(points: Sequence[SweepPoint], say: Say) -> str:
    """The figures of a sweep, to unfold; empty where there are none."""
    if not points:
        return ""
    keys = (
        "temperature",
        "decoding_repeating",
        "figure_distinct",
        "decoding_four",
        "figure_words",
        "decoding_surprise",
    )
    rows = [
        (
            f"{point.temperature:g}",
            f"{point.repetition_4:.0%}",
            f"{point.distinct_2:.0%}",
            f"{point.four_sentences:.0%}",
            f"{point.words:.1f}",
            _rounded(point.perplexity_per_word),
        )
        for point in points
    ]
    name = escape(say("decoding_figures"))
    return (
        f"<details><summary>{name}</summary>"
        f'<div class="next-scroll" role="region" tabindex="0" aria-label="{name}">'
        f"{panels.table([say(key) for key in keys], rows)}</div></details>"
    )


def _rounded(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
