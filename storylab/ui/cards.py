"""A storyteller's card, as HTML. Whatever a model or a visitor wrote is escaped before it gets in.

`gr.HTML` puts the value into its page element by element, so that what did not change stays untouched. Only the
`${value}` of its template is safe for such text: what goes through `{{braces}}` there is run as JavaScript.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from storylab.decoding import find_pathologies, split_sentences
from storylab.evaluation.one_story import StoryFigures, story_figures
from storylab.inspection.differences import Stretch, differences, differing_words
from storylab.storytellers import Telling
from storylab.ui.texts import Say
from storylab.ui.visits import Run

EDGES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#882255", "#999999")
"""Colours of the cards' edges, which colour-blind people can tell apart (Okabe and Ito 2008; one of Tol's)."""

SCRIPT = (Path(__file__).with_name("scripts") / "card.js").read_text(encoding="utf-8")
"""What the buttons on a card do in the browser."""


class Card:
    """The card of one storyteller in its states; each method returns HTML."""

    def __init__(
        self, row: Mapping[str, Any], number: int, say: Say, teller: Mapping[str, Any] | None = None, place: str = ""
    ):
        """Make the card of a storyteller.

        Args:
            row: Its description, as `describe()` gives it.
            number: Its place in the catalogue, from 0, which decides on its colour.
            say: Its language.
            teller: The description of the storyteller that tells in its place; None where it tells itself.
            place: Where on the page it is; empty: the storyteller's own place.
        """
        self.name, self.kind, self.say = row["name"], row["kind"], say
        self.title, self.place = title(row, say), place or row["name"]
        self.edge = EDGES[number % len(EDGES)]
        parameters = row["parameters"]
        self.size = say("size", name=self.name, parameters=parameters / 1e6) if parameters else self.name
        self.stands_in = title(teller, say) if teller else ""

    def idle(self) -> str:
        """Nothing told yet: what kind of storyteller it is."""
        return self._html("idle", _paragraph(self.say(f"kind_{self.kind}")))

    def waiting(self, run: Run, ahead: int = 0) -> str:
        """Asked to tell, nothing told yet.

        Args:
            run: What was asked for.
            ahead: The visitor's number in the line; 0 where they wait no longer.
        """
        words = self.say("in_line", number=ahead) if ahead else self.say("waiting")
        body = _story(run.opening, []) + _paragraph(words)
        return self._html("waiting", body, {"seed": run.seed})

    def telling(self, run: Run, told: str, tokens: int) -> str:
        """In the midst of a story: the text told so far, its faults, and how many tokens it has."""
        story = split_sentences(told)
        found = find_pathologies(run.opening, story, None, run.settings.sentences)
        body = _story(run.opening, story) + faults(((fault.code, fault.message) for fault in found), self.say)
        return self._html("telling", body, {"seed": run.seed, "tokens": tokens})

    def told(
        self, telling: Telling, log_probability: float | None = None, pinned: Telling | None = None, tools: bool = True
    ) -> str:
        """At the end of a story.

        Args:
            telling: What was told.
            log_probability: That of its tokens, summed; None leaves the surprise out.
            pinned: A telling to compare it with: the words that differ are marked.
            tools: Whether the card has its buttons.
        """
        if pinned is None or pinned == telling:
            body = _story(telling.opening, telling.story)
        else:
            marked = differences(pinned.text, telling.story)
            body = _marked_story(telling.opening, marked) + self._compared(differing_words(marked), telling)
        body += faults(((fault["code"], fault["message"]) for fault in telling.pathologies), self.say)
        if telling.story:
            body += self._figures(story_figures(telling.opening, telling.story, log_probability))
        if not telling.story and telling.ended_by != "stopped":
            body += _paragraph(self.say("empty_story"))
        facts = {"seed": telling.seed, "tokens": telling.tokens}
        if telling.tokens:
            facts["first"] = self.say("milliseconds", value=telling.seconds_to_first_token * 1000)
            facts["speed"] = self.say("tokens_per_second", value=telling.tokens_per_second)
        facts["ended"] = self.say(f"ended_{telling.ended_by}", sentences=len(telling.story))
        return self._html("told", body, facts, self._tools(told=bool(telling.story)) if tools else "")

    def pinned(self, telling: Telling) -> str:
        """The telling that others are compared with, and a button that ends that."""
        head = f"<p>{escape(self.say('pinned'))} {self._button('unpin')}</p>"
        story = escape(f"{telling.opening} {telling.text}")
        return (
            f'<section class="pinned" style="--edge: {self.edge}" aria-label="{escape(self.say("pinned"))}">'
            f"{head}<p><b>{escape(self.title)}</b> {escape(self.say('with_seed', seed=telling.seed))}</p>"
            f'<p class="story">{story}</p></section>'
        )

    def _compared(self, words: int, telling: Telling) -> str:
        key = "differs_from_pinned" if words else "same_as_pinned"
        return f'<p class="compared">{escape(self.say(key, words=words, total=len(telling.text.split())))}</p>'

    def failed(self, run: Run, reason: str) -> str:
        """Something kept the storyteller from telling; the reason is one line."""
        body = _story(run.opening, []) + _paragraph(self.say("failed", reason=reason), role="alert")
        return self._html("failed", body, {"seed": run.seed}, self._tools(told=False))

    def _html(self, state: str, body: str, facts: Mapping[str, object] | None = None, tools: str = "") -> str:
        if self.stands_in:
            note = self.say("stands_in", wanted=self.title, teller=self.stands_in)
            body = f'<p class="stands-in" role="note">{escape(note)}</p>{body}'
        busy = "true" if state in ("waiting", "telling") else "false"
        return (
            f'<article class="card {state}" style="--edge: {self.edge}" data-storyteller="{escape(self.name)}"'
            f' data-place="{escape(self.place)}"'
            f' aria-busy="{busy}" aria-label="{escape(self.title)}">'
            f"<header><h2>{escape(self.title)}</h2><p>{escape(self.size)}</p></header>"
            f'<div class="body">{body}</div>'
            f'<footer>{self._facts(facts or {})}<div class="tools">{tools}</div></footer></article>'
        )

    def _figures(self, figures: StoryFigures) -> str:
        """The measures of a story; what each means shows itself where the pointer rests."""
        shown = {
            "words": str(figures.words),
            "distinct": _share(figures.distinct_2),
            "repeated": str(figures.repeated),
            "carried": _share(figures.carried_on),
            "surprise": "" if figures.perplexity_per_word is None else f"{figures.perplexity_per_word:.3g}",
        }
        items = (
            f'<div title="{escape(self.say(f"figure_{name}_about"))}"><dt>{escape(self.say(f"figure_{name}"))}</dt>'
            f"<dd>{escape(value or self.say('none'))}</dd></div>"
            for name, value in shown.items()
        )
        return f'<dl class="measures">{"".join(items)}</dl>'

    def _facts(self, facts: Mapping[str, object]) -> str:
        items = (
            f"<div><dt>{escape(self.say(f'fact_{name}'))}</dt>"
            f"<dd>{escape(str(facts.get(name, self.say('none'))))}</dd></div>"
            for name in ("seed", "first", "speed", "tokens", "ended")
        )
        return f"<dl>{''.join(items)}</dl>"

    def _tools(self, told: bool) -> str:
        done = f' data-done="{escape(self.say("copied"))}"'
        of_story = self._button("pin") + self._button("look") + self._button("copy", done) if told else ""
        return of_story + self._button("retry")

    def _button(self, name: str, attributes: str = "") -> str:
        hint = escape(self.say(f"{name}_hint"))
        words = escape(self.say(name))
        return f'<button type="button" data-do="{name}" title="{hint}"{attributes}>{words}</button>'


def faults(found: Iterable[tuple[str, str]], say: Say) -> str:
    """What is wrong with a story, by code and message, as HTML: by name, with a sentence on why and what helps."""
    items = (
        f"<li><b>{escape(say(f'fault_{code}'))}</b> {escape(say.or_else(f'why_{code}', message))}</li>"
        for code, message in found
    )
    return f'<ul class="faults">{"".join(items)}</ul>'


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.0f}%"


def title(row: Mapping[str, Any], say: Say) -> str:
    """What a storyteller is called: in the catalogue's words where the language has none."""
    return say.or_else(f"title_{row['name']}", row["title"])


def not_ready(rows: Iterable[Mapping[str, Any]], say: Say) -> str:
    """The storytellers that can't tell, each with its state and the reason, as HTML; empty where all can."""
    return _lines((row for row in rows if row["state"] != "ready"), say)


def download(row: Mapping[str, Any], say: Say) -> str:
    """A storyteller that can be downloaded, with its state and why, as HTML."""
    return _lines([row], say)


def downloading(row: Mapping[str, Any], done: int, total: int, say: Say) -> str:
    """A download under way, as HTML: a bar that fills up."""
    share = f'value="{done}" max="{total}"' if total else ""
    stage = "begins" if not total else "goes_on" if done < total else "is_here"
    words = say(f"download_{stage}", title=title(row, say), done=done / 1e6, total=total / 1e6)
    return f'<p class="downloading" role="status">{escape(words)} <progress {share}></progress></p>'


def _lines(rows: Iterable[Mapping[str, Any]], say: Say) -> str:
    items = []
    for row in rows:
        state = say(f"state_{row['state']}")
        items.append(f"<li><b>{escape(title(row, say))}</b> <i>{escape(state)}</i> {escape(row['reason'])}</li>")
    return f'<ul class="not-ready">{"".join(items)}</ul>' if items else ""


def problem(message: str) -> str:
    """A message on what a visitor should mend, as HTML; empty where the message is."""
    return f'<p class="problem" role="alert">{escape(message[:1].upper() + message[1:])}</p>' if message else ""


def _story(opening: str, sentences: Iterable[str]) -> str:
    lines = itertools.chain(
        [f'<li class="opening">{escape(opening)}</li>'], (f"<li>{escape(s)}</li>" for s in sentences)
    )
    return f"<ol>{''.join(lines)}</ol>"


def _marked_story(opening: str, marked: Iterable[Iterable[Stretch]]) -> str:
    """The same, with the words that differ from another telling marked."""
    mark = lambda stretch: f"<mark>{escape(stretch.text)}</mark>" if stretch.differs else escape(stretch.text)  # noqa: E731
    lines = (f"<li>{' '.join(map(mark, line))}</li>" for line in marked)
    return f'<ol><li class="opening">{escape(opening)}</li>{"".join(lines)}</ol>'


def _paragraph(words: str, role: str = "") -> str:
    return f'<p role="{role}">{escape(words)}</p>' if role else f"<p>{escape(words)}</p>"
