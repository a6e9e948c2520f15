"""The surprise along a text as a chart: one line a storyteller, the text itself as the axis.

It is drawn as SVG, in the colours of the page and a fixed width a character, so that each step stands over the
characters of its token whichever way a storyteller cuts them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from storylab.ui.texts import Say

if TYPE_CHECKING:
    from storylab.inspection.tokens import Reading, ReadToken

CHARACTER = 7.25
"""Pixels that a character of the axis is wide."""
LEFT, RIGHT, TOP, HEIGHT, BOTTOM = 34, 12, 10, 200, 46
"""Pixels around and of the plot."""
END = 5
"""Characters that the end token is wide."""
TICK = 5
"""Bits between two lines of the grid."""
DASHES = ("none", "7 3", "2 3", "9 3 2 3")
"""Of the lines, in order: a second mark besides their colours."""


@dataclass(frozen=True)
class Row:
    """A storyteller's reading, or why there is none."""

    name: str
    title: str
    edge: str
    """Its colour."""
    reading: Reading | None = None
    problem: str = ""


def chart(rows: Sequence[Row], say: Say) -> str:
    """The chart as HTML, in a box of its own that scrolls where the text is long; empty where nobody has read."""
    lines = [row for row in rows if row.reading]
    if not lines:
        return ""
    text = lines[0].reading.text
    most = max(token.surprise for line in lines for token in line.reading.tokens)
    top = TICK * max(2, math.ceil(most / TICK))
    width = LEFT + CHARACTER * (len(text) + END) + RIGHT
    down = lambda bits: TOP + HEIGHT * (1 - bits / top)  # noqa: E731
    grid = "".join(
        f'<line x1="{LEFT}" x2="{width - RIGHT:.0f}" y1="{down(bits):.1f}" y2="{down(bits):.1f}"/>'
        f'<text x="{LEFT - 6}" y="{down(bits) + 4:.1f}" text-anchor="end">{bits}</text>'
        for bits in range(0, top + 1, TICK)
    )
    drawn = "".join(_line(line, number, down, say) for number, line in enumerate(lines))
    keys = "".join(
        f'<span><svg width="34" height="10" aria-hidden="true"><path d="M0 5H34" style="stroke: {line.edge}"'
        f' stroke-dasharray="{DASHES[number % len(DASHES)]}"/></svg>{escape(line.title)}</span>'
        for number, line in enumerate(lines)
    )
    described = escape(say("tokens_plot"))
    return (
        f'<p class="keys">{keys}</p><div class="scroll" role="region" tabindex="0" aria-label="{described}">'
        f'<svg class="surprise" width="{width:.0f}" height="{TOP + HEIGHT + BOTTOM}" role="img"'
        f' aria-label="{described}"><g class="grid">{grid}</g>{drawn}<g class="axis">{_axis(text)}'
        f'<text x="{LEFT}" y="{TOP + HEIGHT + 40}">{escape(say("tokens_surprise_bits"))}</text></g></svg></div>'
    )


def _line(line: Row, number: int, down, say: Say) -> str:
    path, dots = "", ""
    for place, (start, end, token) in enumerate(_steps(line.reading)):
        left, right, height = _across(start), _across(end), down(token.surprise)
        path += f"{'L' if path else 'M'}{left:.1f} {height:.1f}H{right:.1f}"
        told = escape(f"{line.title}: {(token.text or token.piece).strip()}, {token.surprise:.1f} {say('tokens_bits')}")
        dots += (
            f'<circle cx="{(left + right) / 2:.1f}" cy="{height:.1f}" r="4" data-reader="{escape(line.name)}"'
            f' data-number="{place}"><title>{told}</title></circle>'
        )
    dashes = DASHES[number % len(DASHES)]
    return f'<g style="--edge: {line.edge}"><path d="{path}" stroke-dasharray="{dashes}"/>{dots}</g>'


def _steps(reading: Reading) -> Iterator[tuple[float, float, ReadToken]]:
    """Where each token begins and ends, in characters; those of one character's bytes share its width."""
    tokens = reading.tokens
    ends = [token.start for token in tokens[1:]] + [len(reading.text) + END]
    number = 0
    while number < len(tokens):
        last = number
        while last + 1 < len(tokens) and ends[last] <= tokens[number].start:
            last += 1
        start, share = max(0, tokens[number].start), last - number + 1
        width = (ends[last] - start) / share
        for place in range(share):
            yield start + place * width, start + (place + 1) * width, tokens[number + place]
        number = last + 1


def _axis(text: str) -> str:
    """The words under the plot, each where its characters are."""
    words, at = [], 0
    for word in text.split(" "):
        wide = CHARACTER * len(word)
        words.append(
            f'<text class="said" x="{_across(at):.1f}" y="{TOP + HEIGHT + 18}" textLength="{wide:.1f}"'
            f' lengthAdjust="spacingAndGlyphs">{escape(word)}</text>'
        )
        at += len(word) + 1
    return "".join(words) if text else ""


def _across(characters: float) -> float:
    return LEFT + CHARACTER * characters
