"""A storyteller's card, as HTML. Whatever a model or a visitor wrote is escaped before it gets in.

`gr.HTML` puts the value into its page element by element, so that what did not change stays untouched. Only the
`${value}` of its template is safe for such text: what goes through `{{braces}}` there is run as JavaScript.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from storylab.decoding import split_sentences
from storylab.storytellers import Telling
from storylab.ui.texts import text
from storylab.ui.visits import Run

EDGES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#882255", "#999999")
"""Colours of the cards' edges, which colour-blind people can tell apart (Okabe and Ito 2008; one of Tol's)."""

SCRIPT = Path(__file__).with_name("card.js").read_text(encoding="utf-8")
"""What the buttons on a card do in the browser."""


class Card:
    """The card of one storyteller in its states; each method returns HTML."""

    def __init__(self, row: Mapping[str, Any], number: int):
        """Make the card of a storyteller.

        Args:
            row: Its description, as `describe()` gives it.
            number: Its place in the catalogue, from 0, which decides on its colour.
        """
        self.name, self.title, self.kind = row["name"], row["title"], row["kind"]
        self.edge = EDGES[number % len(EDGES)]
        parameters = row["parameters"]
        self.size = text("size", name=self.name, parameters=parameters / 1e6) if parameters else self.name
        self.stands_in = ""
        """The title of the storyteller that tells in its place; empty where it tells itself."""

    def told_by(self, title: str) -> Card:
        """The same card, saying that another storyteller, of that title, tells in this one's place."""
        card = copy.copy(self)
        card.stands_in = title
        return card

    def idle(self) -> str:
        """Nothing told yet: what kind of storyteller it is."""
        return self._html("idle", _paragraph(text(f"kind_{self.kind}")))

    def waiting(self, run: Run) -> str:
        """Asked to tell, nothing told yet."""
        body = _story(run.opening, []) + _paragraph(text("waiting"))
        return self._html("waiting", body, {"seed": run.seed})

    def telling(self, run: Run, told: str, tokens: int) -> str:
        """In the midst of a story: the text told so far, and how many tokens it has."""
        body = _story(run.opening, split_sentences(told))
        return self._html("telling", body, {"seed": run.seed, "tokens": tokens})

    def told(self, telling: Telling) -> str:
        """At the end of a story."""
        body = _story(telling.opening, telling.story)
        if not telling.story and telling.ended_by != "stopped":
            body += _paragraph(text("empty_story"))
        facts = {"seed": telling.seed, "tokens": telling.tokens}
        if telling.tokens:
            facts["first"] = text("milliseconds", value=telling.seconds_to_first_token * 1000)
            facts["speed"] = text("tokens_per_second", value=telling.tokens_per_second)
        facts["ended"] = text(f"ended_{telling.ended_by}", sentences=len(telling.story))
        return self._html("told", body, facts, _tools(copy=bool(telling.story)))

    def failed(self, run: Run, reason: str) -> str:
        """Something kept the storyteller from telling; the reason is one line."""
        body = _story(run.opening, []) + _paragraph(text("failed", reason=reason), role="alert")
        return self._html("failed", body, {"seed": run.seed}, _tools(copy=False))

    def _html(self, state: str, body: str, facts: Mapping[str, object] | None = None, tools: str = "") -> str:
        if self.stands_in:
            note = text("stands_in", wanted=self.title, teller=self.stands_in)
            body = f'<p class="stands-in" role="note">{escape(note)}</p>{body}'
        busy = "true" if state in ("waiting", "telling") else "false"
        return (
            f'<article class="card {state}" style="--edge: {self.edge}" data-storyteller="{escape(self.name)}"'
            f' aria-busy="{busy}" aria-label="{escape(self.title)}">'
            f"<header><h2>{escape(self.title)}</h2><p>{escape(self.size)}</p></header>"
            f'<div class="body">{body}</div>'
            f'<footer>{_facts(facts or {})}<div class="tools">{tools}</div></footer></article>'
        )


def not_ready(rows: Iterable[Mapping[str, Any]]) -> str:
    """The storytellers that can't tell, each with its state and the reason, as HTML; empty where all can."""
    return _lines(row for row in rows if row["state"] != "ready")


def download(row: Mapping[str, Any]) -> str:
    """A storyteller that can be downloaded, with its state and why, as HTML."""
    return _lines([row])


def downloading(title: str, done: int, total: int) -> str:
    """A download under way, as HTML: a bar that fills up."""
    share = f'value="{done}" max="{total}"' if total else ""
    stage = "begins" if not total else "goes_on" if done < total else "is_here"
    words = text(f"download_{stage}", title=title, done=done / 1e6, total=total / 1e6)
    return f'<p class="downloading" role="status">{escape(words)} <progress {share}></progress></p>'


def _lines(rows: Iterable[Mapping[str, Any]]) -> str:
    items = []
    for row in rows:
        state = text(f"state_{row['state']}")
        items.append(f"<li><b>{escape(row['title'])}</b> <i>{escape(state)}</i> {escape(row['reason'])}</li>")
    return f'<ul class="not-ready">{"".join(items)}</ul>' if items else ""


def problem(message: str) -> str:
    """A message on what a visitor should mend, as HTML; empty where the message is."""
    return f'<p class="problem" role="alert">{escape(message[:1].upper() + message[1:])}</p>' if message else ""


def _story(opening: str, sentences: Iterable[str]) -> str:
    lines = itertools.chain(
        [f'<li class="opening">{escape(opening)}</li>'], (f"<li>{escape(s)}</li>" for s in sentences)
    )
    return f"<ol>{''.join(lines)}</ol>"


def _paragraph(words: str, role: str = "") -> str:
    return f'<p role="{role}">{escape(words)}</p>' if role else f"<p>{escape(words)}</p>"


def _facts(facts: Mapping[str, object]) -> str:
    items = (
        f"<div><dt>{escape(text(f'fact_{name}'))}</dt><dd>{escape(str(facts.get(name, text('none'))))}</dd></div>"
        for name in ("seed", "first", "speed", "tokens", "ended")
    )
    return f"<dl>{''.join(items)}</dl>"


def _tools(copy: bool) -> str:
    done = f' data-done="{escape(text("copied"))}"'
    return (_button("copy", done) if copy else "") + _button("retry")


def _button(name: str, attributes: str = "") -> str:
    hint = escape(text(f"{name}_hint"))
    return f'<button type="button" data-do="{name}" title="{hint}"{attributes}>{escape(text(name))}</button>'
