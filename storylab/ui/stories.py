"""The Stories tab: a corpus, its lengths, and what models get to see of a story."""

from __future__ import annotations

import gradio as gr

from storylab.ui.address import Address
from storylab.ui.tab import PageTab
from storylab.ui.texts import Labels
from storylab.ui.visits import Visits


class StoriesTab(PageTab):
    """The tab's components and what happens between them."""

    key = "stories"

    def __init__(self, tab: gr.Tab, label: Labels, visits: Visits, address: Address):
        super().__init__(tab, label, visits, address)
