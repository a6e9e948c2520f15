"""The page's address as a link to what it shows: `?tab=tokens&opening=...&run=1`.

A tab writes the query with `links.write_query` into `Address.query` once it shows something. Whoever opens that
address gets the tab with its fields filled in and, for `run=1`, its main button pressed.
"""

from __future__ import annotations

import gradio as gr

FOLLOW = """watch("value", () => props.value && window.storylabFollow(props.value));"""
ARRIVED = "() => window.storylabArrive()"
"""Presses the main button of the tab that a link leads to, once its fields are filled in."""


class Address:
    """The page's address; what goes into `query` changes it."""

    def __init__(self) -> None:
        self.query = gr.HTML("", js_on_load=FOLLOW, elem_id="address", visible="hidden", apply_default_css=False)
