"""The Tokens tab: what surprised whom, token by token."""

from __future__ import annotations

import gradio as gr

from storylab.ui.address import Address
from storylab.ui.tab import PageTab
from storylab.ui.texts import Labels
from storylab.ui.visits import Visits


class TokensTab(PageTab):
    """The tab's components and what happens between them."""

    key = "tokens"

    def __init__(self, tab: gr.Tab, label: Labels, visits: Visits, address: Address):
        super().__init__(tab, label, visits, address)
