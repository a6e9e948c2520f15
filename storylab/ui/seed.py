"""The field for a seed: text, because the browser makes 0 of an empty number."""

from __future__ import annotations

from typing import Any

import gradio as gr

from storylab.decoding import check_seed
from storylab.ui.texts import Labels

MOST_DIGITS = 20
"""Python takes its time over numbers of thousands."""


def seed_field(label: Labels, elem_id: str, info: str = "seed_info") -> gr.Textbox:
    """An empty field; `read_seed` reads what is in it.

    Args:
        label: The page's texts.
        elem_id: Its id.
        info: The key of what is said of it.
    """
    return gr.Textbox(
        "",
        max_lines=1,
        max_length=MOST_DIGITS,
        label=label("seed"),
        info=label(info),
        placeholder=label("seed_hint"),
        elem_id=elem_id,
        html_attributes=gr.InputHTMLAttributes(autocomplete="off"),
    )


def read_seed(words: Any) -> int | None:
    """The seed in a field; None where it is empty.

    Raises:
        StoryLabError: It is no seed.
    """
    words = "" if words is None else str(words).strip()
    number = words.isascii() and words.isdigit() and len(words) <= MOST_DIGITS
    return check_seed(int(words) if number else words) if words else None
