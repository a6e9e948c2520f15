"""The Decoding tab: one storyteller, many ways to choose its tokens."""

from __future__ import annotations

import gradio as gr

from storylab.ui.address import Address
from storylab.ui.tab import PageTab
from storylab.ui.texts import Labels
from storylab.ui.visits import Visits


class DecodingTab(PageTab):
    """The tab's components and what happens between them."""

    key = "decoding"

    def __init__(self, tab: gr.Tab, label: Labels, visits: Visits, address: Address):
        super().__init__(tab, label, visits, address)
