"""The Tour tab: the course report's findings, failures included, and the repair of each."""

from __future__ import annotations

import gradio as gr

from storylab.ui.address import Address
from storylab.ui.tab import PageTab
from storylab.ui.texts import Labels
from storylab.ui.visits import Visits


class TourTab(PageTab):
    """The tab's components and what happens between them."""

    key = "tour"

    def __init__(self, tab: gr.Tab, label: Labels, visits: Visits, address: Address):
        super().__init__(tab, label, visits, address)
