"""Readings as HTML: every token with its numbers, coloured by one of them, and what the browser needs to show more.

The browser colours by the attribute `data-colour`, which it sets as the field says, and shows a token's alternatives
from the section's `data-tokens`; see scripts/tokens.js. Whatever a model or a visitor wrote is escaped before
it gets in.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storylab.ui import panels
from storylab.ui.cards import EDGES
from storylab.ui.texts import Say
from storylab.ui.token_chart import Row, chart

if TYPE_CHECKING:
    from storylab.inspection.tokens import Reading, ReadToken

COLOURS = ("probability", "rank", "entropy")
"""What tokens can be coloured by."""
LEVELS: Mapping[str, Sequence[str]] = {
    "probability": ("≥ 50%", "10–50%", "1–10%", "0.1–1%", "< 0.1%"),
    "rank": ("1", "2–10", "11–100", "101–1000", "> 1000"),
    "entropy": ("< 1", "1–2", "2–4", "4–6", "≥ 6"),
}
"""The steps of each colouring, from what was expected to what was not; those of the rank are GLTR's, and a first one
for the likeliest token."""
SCRIPT = (Path(__file__).with_name("scripts") / "tokens.js").read_text(encoding="utf-8")
"""How tokens are selected in the browser."""
_WORDS = (
    "probability",
    "surprise",
    "rank",
    "entropy",
    "bits",
    "likeliest",
    "others",
    "elsewhere",
    "branch",
    "branch_about",
    "branch_with",
)
"""What the script says, by the key without its beginning."""
_LEFT_OPEN = {name: f"{{{name}}}" for name in ("token", "probability", "rank", "guess", "share")}
"""What the script fills in."""
_TERMS = ("probability", "surprise", "rank", "entropy")


def edges(names: Sequence[str]) -> dict[str, str]:
    """The colours of storytellers by name: of their places in the catalogue, as on the cards."""
    return {name: EDGES[number % len(EDGES)] for number, name in enumerate(names)}


def readings(rows: Sequence[Row], run: str, say: Say) -> str:
    """Readings under one another, with the legends, room for what a selected token shows, and the chart.

    Args:
        rows: One for each storyteller.
        run: What tells these readings from others; with another one the browser selects anew.
        say: The language.
    """
    words = {name: say(f"tokens_{name}", **_LEFT_OPEN) for name in _WORDS}
    words |= {f"{name}_about": say(f"tokens_{name}_about") for name in _TERMS}
    sections = "".join(_section(row, say) for row in rows)
    drawn = chart(rows, say)
    plot = panels.section(say("tokens_plot"), say("tokens_plot_about")) + drawn if drawn else ""
    return (
        f'<div class="readings" data-run="{escape(run)}" data-words="{_json(words)}">'
        f"{''.join(_legend(name, say) for name in COLOURS)}"
        f'<div class="rows">{sections}</div>'
        f'<aside class="detail" aria-live="polite" aria-label="{escape(say("tokens_detail"))}"></aside>'
        f'<figure class="surprises">{plot}</figure></div>'
    )


def level(colour: str, token: ReadToken) -> int:
    """The step of a colouring that a token is on, from 0."""
    if colour == "probability":
        return bisect_right((-0.5, -0.1, -0.01, -0.001), -math.exp(token.log_probability) - 1e-12)
    if colour == "rank":
        return bisect_right((2, 11, 101, 1001), token.rank)
    return bisect_right((1, 2, 4, 6), token.entropy)


def share(probability: float) -> str:
    """A probability as people read it: two digits that count."""
    if probability >= 0.995:
        return "100%"
    if probability < 1e-6:
        return "<0.0001%"
    return f"{float(f'{100 * probability:.2g}'):f}".rstrip("0").rstrip(".") + "%"


def _legend(colour: str, say: Say) -> str:
    steps = "".join(
        f'<span class="level" data-level="{number}">{escape(words)}</span>'
        for number, words in enumerate(LEVELS[colour])
    )
    return f'<p class="legend" data-of="{colour}"><b>{escape(say(f"tokens_legend_{colour}"))}</b> {steps}</p>'


def _section(row: Row, say: Say) -> str:
    head = f'style="--edge: {row.edge}" data-reader="{escape(row.name)}" aria-label="{escape(row.title)}"'
    title = f"<h3>{escape(row.title)}</h3>"
    if row.reading is None:
        problem = f'<p class="problem">{escape(row.problem)}</p>'
        return f'<section class="reading" {head}><header>{title}</header>{problem}</section>'
    reading = row.reading
    perplexity = say("none") if reading.perplexity_per_word is None else f"{reading.perplexity_per_word:.4g}"
    facts = (
        f'<p><span class="term" tabindex="0" title="{escape(say("tokens_perplexity_about"))}">'
        f"{escape(say('tokens_perplexity'))}</span> <b>{perplexity}</b> · "
        f"{escape(say('tokens_count', tokens=len(reading.tokens), words=reading.words))}</p>"
    )
    words = "".join(
        f'<span class="word">{"".join(_button(reading, number, say) for number in word)}</span>'
        for word in _by_word(reading.tokens)
    )
    return (
        f'<section class="reading" {head} data-tokens="{_json([_data(token) for token in reading.tokens])}">'
        f"<header>{title}{facts}</header>"
        f'<div class="tokens" role="toolbar" aria-label="{escape(say("tokens_of", title=row.title))}">'
        f'<span class="before">{escape(reading.opening)}</span>{words}</div></section>'
    )


def _by_word(tokens: Sequence[ReadToken]) -> Iterator[list[int]]:
    """The numbers of the tokens that make each word; the end stands by itself."""
    word: list[int] = []
    for number, token in enumerate(tokens):
        if word and (token.text.startswith(" ") or number == len(tokens) - 1):
            yield word
            word = []
        word.append(number)
    if word:
        yield word


def _button(reading: Reading, number: int, say: Say) -> str:
    token = reading.tokens[number]
    shown = {
        "probability": share(math.exp(token.log_probability)),
        "rank": str(token.rank),
        "entropy": f"{token.entropy:.1f}",
    }
    levels = "".join(f' data-{name[0]}="{level(name, token)}" data-{name}="{shown[name]}"' for name in COLOURS)
    text = token.text or token.piece
    spoken = say("tokens_spoken", token=text.strip() or text, probability=shown["probability"], rank=token.rank)
    return (
        f'<button type="button" class="token" tabindex="-1" data-number="{number}"{levels}'
        f' aria-label="{escape(spoken)}">{escape(text)}</button>'
    )


def _data(token: ReadToken) -> dict[str, Any]:
    """What the browser shows of a selected token."""
    return {
        "id": token.token,
        "text": token.text or token.piece,
        "start": token.start,
        "probability": math.exp(token.log_probability),
        "surprise": round(token.surprise, 3),
        "rank": token.rank,
        "entropy": round(token.entropy, 3),
        "others": [[other.token, other.text, round(other.probability, 8)] for other in token.alternatives],
    }


def _json(value: Any) -> str:
    return escape(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
