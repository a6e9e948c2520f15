"""Pieces of the panels below the cards, as HTML. Whatever a model or a visitor wrote is escaped before it gets in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def section(title: str, about: str) -> str:
    """The head of a panel."""
    return f'<h2>{escape(title)}</h2><p class="quiet">{escape(about)}</p>'


def quiet(words: str) -> str:
    """A remark."""
    return f'<p class="quiet">{escape(words)}</p>'


def region(label: str, html: str) -> str:
    """A box of its own in which what may be wider than the page scrolls."""
    return f'<div class="scrolls" role="region" tabindex="0" aria-label="{escape(label)}">{html}</div>'


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], classes: str = "figures") -> str:
    """A table whose first column names its rows."""
    head = "".join(f'<th scope="col">{escape(header)}</th>' for header in headers)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
        for name, *cells in rows
    )
    return f'<table class="{classes}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def progress(doing: str, done: int, total: int) -> str:
    """How far a piece of work is."""
    bar = f'<progress value="{done}" max="{total}"></progress>' if done and total else "<progress></progress>"
    return f'<p class="downloading" role="status">{escape(doing)} {bar}</p>'


def samples(title: str, stories: Iterable[str]) -> str:
    """One storyteller's stories of an opening, a seed each."""
    told = "".join(f"<p>{escape(story)}</p>" for story in stories)
    return f'<section class="sample"><h3>{escape(title)}</h3>{told}</section>'


def pair(opening: str, first: Sequence[str], second: Sequence[str], names: Sequence[str], better: str = "") -> str:
    """Two stories side by side, each under a name; the one that was picked is marked."""
    chosen = {"first": (True, False), "second": (False, True)}.get(better, (False, False))
    columns = zip(names, (first, second), chosen, strict=True)
    stories = "".join(
        f'<section class="sample{" picked" if picked else ""}"><h3>{escape(label)}</h3>'
        f"{''.join(f'<p>{escape(sentence)}</p>' for sentence in story)}</section>"
        for label, story, picked in columns
    )
    return f'<p class="given">{escape(opening)}</p><div class="samples">{stories}</div>'
