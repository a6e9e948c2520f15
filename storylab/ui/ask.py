"""What is asked for in the Compare tab: the opening, the storytellers, and how they are to tell."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import gradio as gr

from storylab.decoding import PRESETS
from storylab.storytellers import describe
from storylab.storytellers.remote.source import REMOTE as ELSEWHERE
from storylab.storytellers.stand_in import stand_in
from storylab.ui import cards
from storylab.ui.controls import AT_ONCE, OWN, Controls
from storylab.ui.downloads import Download
from storylab.ui.links import Link, read_link
from storylab.ui.texts import EXAMPLES, Labels, Say, speaker
from storylab.ui.visits import OWN_NAME, Visits

AT_FIRST = 4
"""Storytellers that are chosen when the page opens, where so many are ready."""
REMOTE = ("hub:", "pypi:")
"""How sources begin that are downloaded."""


class Ask:
    """The panel's components; `inputs` are the values that the tab takes from it."""

    def __init__(self, rows: Sequence[Mapping[str, Any]], label: Labels, visits: Visits):
        """Build it for the storytellers that `describe()` lists."""
        self.names, self.visits = [row["name"] for row in rows], visits
        self.ready = _at_first(rows)
        with gr.Column(elem_id="ask"):
            with gr.Row(elem_id="ask-line"):
                self.opening = gr.Textbox(
                    next(iter(EXAMPLES.values())),
                    label=label("opening"),
                    placeholder=label("opening_hint"),
                    lines=1,
                    max_lines=4,
                    elem_id="opening",
                    elem_classes="submits",
                    html_attributes=gr.InputHTMLAttributes(lang="en", enterkeyhint="go", autocomplete="off"),
                )
                with gr.Row(elem_id="actions"):
                    self.tell = gr.Button(label("tell"), variant="primary", elem_id="compare-run", elem_classes="run")
                    self.stop = gr.Button(label("stop"), elem_id="compare-stop", elem_classes="stop")
            self.problem = gr.HTML("", elem_id="problem", apply_default_css=False)
            with gr.Row(elem_id="examples"):
                gr.HTML(label("examples"), elem_classes="quiet", apply_default_css=False)
                for name, opening in EXAMPLES.items():
                    chip = gr.Button(label(f"example_{name}"), size="sm", elem_classes="chip")
                    chip.click(lambda opening=opening: opening, outputs=self.opening, **AT_ONCE)
            self.chosen = gr.CheckboxGroup(
                _labelled(rows, label), value=self.ready, label=label("storytellers"), elem_id="storytellers"
            )
            gr.HTML(label("keys"), elem_id="keys", elem_classes="quiet", apply_default_css=False)
            self.controls = Controls(label)
            with gr.Accordion(label("not_ready"), open=False, elem_id="more"):
                self.not_ready = gr.HTML(elem_id="not-ready", apply_default_css=False)
                with gr.Column(elem_id="downloads"):
                    outside = [row for row in rows if row["source"].startswith(REMOTE)]
                    self.downloads = {row["name"]: Download(row, label) for row in outside}
            self.not_ready.value = label.made(lambda say: self._not_ready(rows, say))
        for download in self.downloads.values():
            download.wire(self.look, self.looks)

    @property
    def inputs(self) -> list[gr.components.Component]:
        """Opening, chosen storytellers, seeds at once, luck, and then what `controls.read` takes."""
        controls = self.controls
        return [self.opening, self.chosen, controls.seeds, controls.luck, *controls.inputs]

    @property
    def looks(self) -> list[gr.components.Component | gr.Row]:
        """What `look` gives new values."""
        lines = [output for download in self.downloads.values() for output in download.outputs]
        return [self.chosen, self.not_ready, *lines]

    def look(self, request: gr.Request) -> list:
        """Who is there by now; what is chosen stays."""
        return self._new_looks(speaker(request), bool(self.visits.own(request.session_hash)))

    @property
    def arriving(self) -> dict[gr.blocks.Block, Collection[str]]:
        """The components that `arrive` fills, as `PageTab` has them."""
        controls = self.controls
        return {
            self.problem: (),
            **dict.fromkeys(self.looks, ("value", "choices")),
            self.opening: (),
            controls.seed: (),
            controls.seeds: (),
            controls.luck: (),
            **dict.fromkeys(controls.settings_fields, ()),
            controls.preset: ("info",),
        }

    def arrive(self, query: Mapping[str, str], say: Say) -> list:
        """Fill the fields from the page's address, and look at the storytellers anew."""
        rows = self._rows()
        link = read_link(query, [name for _, name in _choices(rows, say)])
        problem = gr.skip()  # a Tell pressed by now may have left one of its own
        if not _names(rows, "ready"):
            problem = cards.problem(say("problem_nobody"))
        elif link.problems:
            problem = cards.problem(say("problem_link", problems="; ".join(link.problems)))
        settings, preset = link.settings or PRESETS["default"], link.preset or (OWN if link.settings else "default")
        return [
            problem,
            *self._new_looks(say, link=link),
            link.opening or gr.skip(),
            gr.skip() if link.seed is None else str(link.seed),
            link.seeds or gr.skip(),
            link.luck or gr.skip(),
            *self.controls.fill(settings, say, preset),
        ]

    def _new_looks(self, say: Say, own: bool = False, link: Link | None = None) -> list:
        """New values for `looks`; what is chosen stays, but for what a link asks for."""
        rows = self._rows()
        choices = _choices(rows, say) + ([(say("title_yours"), OWN_NAME)] if own else [])
        chosen = {"value": link.storytellers or _at_first(rows)} if link else {}
        outside = [(self.downloads[row["name"]], row) for row in rows if row["name"] in self.downloads]
        lines = [new for download, row in outside for new in download.shown(row, say)]
        return [gr.update(choices=choices, **chosen), self._not_ready(rows, say), *lines]

    def _not_ready(self, rows: Sequence[Mapping[str, Any]], say: Say) -> str:
        """Those that can't tell, but for the ones that have a line of their own with a button."""
        return cards.not_ready([row for row in rows if row["name"] not in self.downloads], say)

    def _rows(self) -> list[dict]:
        return [row for row in describe() if row["name"] in self.names]


def _names(rows: Sequence[Mapping[str, Any]], state: str) -> list[str]:
    return [row["name"] for row in rows if row["state"] == state]


def _at_first(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Who is chosen when the page opens: nobody whose opening would leave the machine."""
    return _names([row for row in rows if row["kind"] != ELSEWHERE], "ready")[:AT_FIRST]


def _choices(rows: Sequence[Mapping[str, Any]], say: Say) -> list[tuple[str, str]]:
    """Who can be asked to tell: the ready ones, and those for which another can stand in, with their state."""
    return [(_choice(row, say), row["name"]) for row in rows if _can_be_asked(row, rows)]


def _labelled(rows: Sequence[Mapping[str, Any]], label: Labels) -> list[tuple[Any, str]]:
    """The same in every language."""
    choice = lambda row: label.made(lambda say: _choice(row, say))  # noqa: E731
    return [(choice(row), row["name"]) for row in rows if _can_be_asked(row, rows)]


def _can_be_asked(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> bool:
    if row["kind"] == ELSEWHERE:  # also one that nobody was found at: only a telling has it looked for again
        return row["state"] != "broken"
    return row["state"] == "ready" or (row["state"] != "broken" and bool(stand_in(row["name"], rows)))


def _choice(row: Mapping[str, Any], say: Say) -> str:
    name = cards.title(row, say)
    return name if row["state"] == "ready" else say("choice_absent", title=name, state=say(f"state_{row['state']}"))
