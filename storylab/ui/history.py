"""The visitor's last tellings, kept in their browser, and the stories as files."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import gradio as gr

from storylab.decoding import Settings, check_opening, check_seed
from storylab.errors import StoryLabError
from storylab.storytellers import Telling
from storylab.storytellers.exports import FORMATS
from storylab.ui import panels
from storylab.ui.controls import AT_ONCE, HIDDEN
from storylab.ui.links import write_query, write_settings
from storylab.ui.tellers import titles
from storylab.ui.texts import Labels, Say, speaker
from storylab.ui.visits import MOST_TELLINGS, OWN_NAME, Visits

KEEP = "(tellings) => window.storylabKeep(tellings)"
"""Puts a visit's tellings before those that other pages have kept in this browser."""
KEPT = "() => [window.storylabKept()]"
FORGET = "() => window.storylabForget()"
SAVE = "(file) => file && window.storylabSave(JSON.parse(file))"
"""Saves what the server wrote as a file of the visitor's."""
MOST_CHARACTERS = 10_000
"""Of a telling in a browser's history; what is longer was never told here."""


class History:
    """The panel's components and what happens between them.

    `new` takes a visit's tellings as JSON; the browser then keeps them.
    """

    def __init__(self, label: Labels, visits: Visits):
        self.visits = visits
        self.new = gr.Textbox("", label=label("history"), visible="hidden")
        with gr.Accordion(label("history"), open=False, elem_id="history"):
            about = label.made(lambda say: panels.quiet(say("history_about", most=MOST_TELLINGS)))
            gr.HTML(about, apply_default_css=False)
            self.list = gr.HTML("", elem_id="history-list", apply_default_css=False)
            with gr.Row(elem_classes="buttons"):
                export_buttons(label("export_history"), label, visits.history)
                self.clear = gr.Button(label("history_clear"), size="sm", elem_id="history-clear")
        self.new.change(self._show, outputs=self.list, **AT_ONCE).success(None, self.new, js=KEEP, **HIDDEN)
        self.clear.click(self._clear, outputs=self.list, js=FORGET, **AT_ONCE)

    def open(self, page: gr.Blocks) -> None:
        """Bring back what the browser kept when the page is opened."""
        page.load(self._remember, self.new, self.list, js=KEPT, **AT_ONCE)

    def _remember(self, request: gr.Request, kept: str) -> str:
        self.visits.remember(request.session_hash, read_history(kept))
        return self._show(request)

    def _show(self, request: gr.Request) -> str:
        return listed(self.visits.history(request.session_hash), speaker(request))

    def _clear(self, request: gr.Request) -> str:
        self.visits.forget(request.session_hash)
        return self._show(request)


def read_history(kept: str) -> list[Telling]:
    """The tellings that a browser kept, a JSON list; what is none of ours is left out."""
    try:
        found = json.loads(kept) if len(kept) <= MOST_TELLINGS * MOST_CHARACTERS else []
    except (ValueError, RecursionError):
        found = []
    tellings = []
    for data in found[:MOST_TELLINGS] if isinstance(found, list) else []:
        with contextlib.suppress(StoryLabError):
            telling = Telling.from_dict(data)
            check_opening(telling.opening)
            check_seed(telling.seed)
            Settings.from_mapping(telling.settings)
            if len(json.dumps(data)) <= MOST_CHARACTERS:
                tellings.append(telling)
    return tellings


def listed(tellings: Sequence[Telling], say: Say) -> str:
    """The tellings as HTML, each with a link that tells it again."""
    if not tellings:
        return panels.quiet(say("history_none"))
    named = titles(say)
    lines = (_line(telling, named.get(telling.model, telling.model), say) for telling in tellings)
    return f'<ol class="history">{"".join(lines)}</ol>'


def _line(telling: Telling, title: str, say: Say) -> str:
    who = f"<b>{escape(title)}</b> <i>{escape(say('with_seed', seed=telling.seed))}</i>"
    again = "" if telling.model == OWN_NAME else _again(telling, say)
    return f"<li>{who}{again}<p><span>{escape(telling.opening)}</span> {escape(telling.text)}</p></li>"


def _again(telling: Telling, say: Say) -> str:
    settings = write_settings(Settings.from_mapping(telling.settings))
    query = write_query("compare", opening=telling.opening, models=telling.model, seed=telling.seed, **settings)
    return f' <a href="?{escape(query)}&amp;lang={say.language}">{escape(say("history_again"))}</a>'


def export_buttons(words: Any, label: Labels, tellings: Callable[[str], Sequence[Telling]]) -> None:
    """A button for each format that saves a visitor's tellings as a file of theirs.

    Args:
        words: What is exported, as a label.
        label: The buttons' texts.
        tellings: The tellings of a visitor.
    """
    gr.HTML(words, elem_classes="quiet", apply_default_css=False)
    file = gr.Textbox(visible=False)
    for ending in FORMATS:
        button = gr.Button(label(f"export_{ending}"), size="sm", elem_classes="chip")
        made = button.click(_exporter(ending, tellings), outputs=file, **AT_ONCE)
        made.success(None, file, js=SAVE)


def _exporter(ending: str, tellings: Callable[[str], Sequence[Telling]]) -> Callable[[gr.Request], str]:
    def export(request: gr.Request) -> str:
        found = tellings(request.session_hash)
        if not found:
            raise gr.Error(speaker(request)("problem_nothing"), print_exception=False)
        return json.dumps({"name": f"storylab.{ending}", "text": FORMATS[ending](found)})

    return export
