"""What the page asks of a tab, and how a tab begins: two sentences, and a button that does something worth seeing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from html import escape
from typing import Any

import gradio as gr

from storylab.ui.address import Address
from storylab.ui.texts import Labels, Say
from storylab.ui.visits import Visits


def press(button: str) -> str:
    """The script of a listener that presses a button, by its id, once it can be pressed."""
    return f"() => window.storylabPress({button!r})"


class PageTab:
    """A tab of the page. `run`, its main button, has the id `<key>-run`: a link may press it."""

    key: str
    """What links call it; the texts `tab_<key>`, `<key>_intro` and `<key>_try` are its name and its beginning."""

    def __init__(self, tab: gr.Tab, label: Labels, visits: Visits, address: Address):
        """Keep what the tab's parts need; a tab builds itself after that."""
        self.tab, self.label, self.visits, self.address = tab, label, visits, address

    @property
    def arriving(self) -> Mapping[gr.blocks.Block, Collection[str]]:
        """The components that `arrive` fills, in its order, each with its properties that hold texts."""
        return {}

    def arrive(self, query: Mapping[str, str], say: Say) -> list[Any]:
        """New values for `arriving` from the query of the page's address, when the page is opened.

        It is empty where the address leads to another tab. A part that is no good is left out; `gr.skip()` leaves a
        component as it is.
        """
        return []

    def connect(self, page: gr.Blocks, tabs: Mapping[str, PageTab], bar: gr.Tabs) -> None:
        """Listen to the page, and lead to other tabs, once all are there.

        Args:
            page: The page.
            tabs: Its tabs by their keys.
            bar: Their bar; `gr.Tabs(selected=key)` as its new value shows a tab.
        """

    def begin(self) -> gr.Button:
        """The tab's first line; returns its button."""
        with gr.Row(elem_classes="intro"):
            words = self.label.made(lambda say: f"<p>{escape(say(f'{self.key}_intro'))}</p>")
            gr.HTML(words, apply_default_css=False)
            return gr.Button(self.label(f"{self.key}_try"), elem_id=f"{self.key}-try", elem_classes="try")
