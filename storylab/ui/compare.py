"""The Compare tab: one opening, several storytellers, a card each, all telling at once."""

from __future__ import annotations

from collections.abc import Mapping

import gradio as gr

from storylab.decoding import PRESETS, check_opening
from storylab.errors import StoryLabError
from storylab.storytellers import describe
from storylab.storytellers.stand_in import stand_in
from storylab.ui import cards
from storylab.ui.address import Address
from storylab.ui.controls import AT_ONCE, OWN, Controls
from storylab.ui.downloads import Download
from storylab.ui.links import Link, read_link
from storylab.ui.slot import Slot
from storylab.ui.tab import PageTab
from storylab.ui.texts import EXAMPLES, Labels, Say, speaker
from storylab.ui.visits import Run, Visits

AT_FIRST = 4
"""Storytellers that are chosen when the page opens, where so many are ready."""
REMOTE = ("hub:", "pypi:")
"""How sources begin that are downloaded."""
SHOW_CARDS = """() => setTimeout(() => document.querySelector(".card[aria-busy=true]")
    ?.scrollIntoView({behavior: "smooth", block: "nearest"}), 50)"""
"""On a small screen the cards lie below it."""


class CompareTab(PageTab):
    """The tab's components and what happens between them."""

    key = "compare"

    def __init__(self, tab: gr.Tab, label: Labels, visits: Visits, address: Address) -> None:
        super().__init__(tab, label, visits, address)
        rows = describe()
        ready = _names(rows, "ready")[:AT_FIRST]
        with gr.Column(elem_id="ask"):
            with gr.Row(elem_id="ask-line"):
                self.opening = gr.Textbox(
                    next(iter(EXAMPLES.values())),
                    label=label("opening"),
                    placeholder=label("opening_hint"),
                    lines=1,
                    max_lines=4,
                    elem_id="opening",
                    html_attributes=gr.InputHTMLAttributes(lang="en", enterkeyhint="go", autocomplete="off"),
                )
                with gr.Row(elem_id="actions"):
                    self.tell = gr.Button(label("tell"), variant="primary", elem_id="compare-run", elem_classes="run")
                    self.stop = gr.Button(
                        label("stop"), variant="secondary", elem_id="compare-stop", elem_classes="stop"
                    )
            self.problem = gr.HTML("", elem_id="problem", apply_default_css=False)
            with gr.Row(elem_id="examples"):
                gr.HTML(label("examples"), elem_classes="quiet", apply_default_css=False)
                for name, opening in EXAMPLES.items():
                    chip = gr.Button(label(f"example_{name}"), size="sm", elem_classes="chip")
                    chip.click(lambda opening=opening: opening, outputs=self.opening, **AT_ONCE)
            self.chosen = gr.CheckboxGroup(
                _labelled(rows, label), value=ready, label=label("storytellers"), elem_id="storytellers"
            )
            self.not_ready = gr.HTML(elem_id="not-ready", apply_default_css=False)
            with gr.Column(elem_id="downloads"):
                self.downloads = {row["name"]: Download(row, label) for row in rows if row["source"].startswith(REMOTE)}
            self.not_ready.value = label.made(lambda say: self._not_ready(rows, say))
            gr.HTML(label("keys"), elem_id="keys", elem_classes="quiet", apply_default_css=False)
            self.controls = Controls(label)
        by_name = {row["name"]: row for row in rows}
        with gr.Row(elem_id="cards"):
            self.slots = {name: Slot(name, by_name, self.visits, label, visible=name in ready) for name in by_name}
        self._wire()

    def _wire(self) -> None:
        places = [slot.html for slot in self.slots.values()]
        asked = gr.on(
            [self.tell.click, self.opening.submit],
            self._ask,
            [self.opening, self.chosen, *self.controls.inputs],
            [self.problem, *places],
            **AT_ONCE,
        )
        for slot in self.slots.values():
            slot.tell_after(asked)
        asked.success(None, js=SHOW_CARDS)
        self.stop.click(self._stop, **AT_ONCE)
        self.chosen.change(self._show, self.chosen, places, **AT_ONCE)
        for download in self.downloads.values():
            download.wire(self._look, self._looks)

    @property
    def _looks(self) -> list[gr.components.Component | gr.Row]:
        """What `_new_looks` gives new values."""
        lines = [output for download in self.downloads.values() for output in download.outputs]
        return [self.chosen, self.not_ready, *lines]

    @property
    def arriving(self) -> dict[gr.blocks.Block, tuple[str, ...]]:
        controls = self.controls
        return {
            self.problem: (),
            **dict.fromkeys(self._looks, ("value", "choices")),
            self.opening: (),
            controls.seed: (),
            **dict.fromkeys(controls.settings_fields, ()),
            controls.preset: ("info",),
        }

    def arrive(self, query: Mapping[str, str], say: Say) -> list:
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
            *self._new_looks(say, link),
            link.opening or gr.skip(),
            gr.skip() if link.seed is None else link.seed,
            *self.controls.fill(settings, say, preset),
        ]

    # What happens. `request` is filled in by gradio; its session hash is the visitor.

    def _ask(self, request: gr.Request, opening: str, chosen: list[str], *values: float) -> list:
        say = speaker(request)
        try:
            opening = check_opening(opening)
            seed, settings = self.controls.read(*values)
            if not chosen:
                raise StoryLabError(say("problem_choose"))
        except StoryLabError as error:
            return [cards.problem(str(error)), *(gr.skip() for _ in self.slots)]
        rows = describe()
        runs = {name: Run(name, opening, settings, seed, stand_in(name, rows) or "") for name in chosen}
        self.visits.start(request.session_hash, runs.values())
        return ["", *(slot.waiting(runs[n], say) if n in runs else gr.skip() for n, slot in self.slots.items())]

    def _stop(self, request: gr.Request) -> None:
        self.visits.stop(request.session_hash)

    def _show(self, chosen: list[str]) -> list[dict]:
        return [gr.update(visible=name in chosen) for name in self.slots]

    def _look(self, request: gr.Request) -> list:
        return self._new_looks(speaker(request))

    def _new_looks(self, say: Say, link: Link | None = None) -> list:
        """New values for `_looks`: who is there by now; what is chosen stays, but for what a link asks for."""
        rows = self._rows()
        chosen = (
            gr.update(choices=_choices(rows, say))
            if link is None
            else gr.update(choices=_choices(rows, say), value=link.storytellers or _names(rows, "ready")[:AT_FIRST])
        )
        outside = [(self.downloads[row["name"]], row) for row in rows if row["name"] in self.downloads]
        lines = [new for download, row in outside for new in download.shown(row, say)]
        return [chosen, self._not_ready(rows, say), *lines]

    def _not_ready(self, rows: list[dict], say: Say) -> str:
        """Those that can't tell, but for the ones that have a line of their own with a button."""
        return cards.not_ready([row for row in rows if row["name"] not in self.downloads], say)

    def _rows(self) -> list[dict]:
        return [row for row in describe() if row["name"] in self.slots]


def _names(rows: list[dict], state: str) -> list[str]:
    return [row["name"] for row in rows if row["state"] == state]


def _choices(rows: list[dict], say: Say) -> list[tuple[str, str]]:
    """Who can be asked to tell: the ready ones, and those for which another can stand in, with their state."""
    return [(_choice(row, say), row["name"]) for row in rows if _can_be_asked(row, rows)]


def _labelled(rows: list[dict], label: Labels) -> list[tuple[str, str]]:
    """The same in every language."""
    choice = lambda row: label.made(lambda say: _choice(row, say))  # noqa: E731
    return [(choice(row), row["name"]) for row in rows if _can_be_asked(row, rows)]


def _can_be_asked(row: dict, rows: list[dict]) -> bool:
    return row["state"] == "ready" or (row["state"] != "broken" and bool(stand_in(row["name"], rows)))


def _choice(row: dict, say: Say) -> str:
    name = cards.title(row, say)
    return name if row["state"] == "ready" else say("choice_absent", title=name, state=say(f"state_{row['state']}"))
