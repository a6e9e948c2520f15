"""The page in the visitor's language, where the browser does not show it in that one by itself."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import gradio as gr

from storylab.ui.controls import AT_ONCE
from storylab.ui.texts import Labels, language_of, shown_by_browser

WORDS = ("label", "info", "placeholder", "value", "choices")
"""The properties of components that hold texts."""
MARK = re.compile(r"__i18n__\{.*\"key\": \"(\w+)\"\}")
"""How gradio writes a text that the browser is to look up."""


class Translation:
    """Gives components the texts of the visitor's language, where the browser shows those of another."""

    def __init__(self, page: gr.Blocks, label: Labels, kept: Mapping[gr.blocks.Block, Collection[str]]):
        """Listen to the page's arrival; called last, when all components are there.

        Args:
            page: The page.
            label: The texts that its components were made with.
            kept: The properties of components that something else sets at arrival.
        """
        self._tables = label.tables
        texts = {block: _texts(block, kept.get(block, ())) for block in page.blocks.values()}
        self._texts = {block: found for block, found in texts.items() if found}
        page.load(self._translate, outputs=list(self._texts), **AT_ONCE)

    def _translate(self, request: gr.Request) -> list[dict]:
        language = language_of(request)
        if language == shown_by_browser(request.headers.get("accept-language", "")):
            return [gr.skip()] * len(self._texts)
        table = self._tables[language]
        return [
            gr.update(**{name: _say(held, table) for name, held in texts.items()}) for texts in self._texts.values()
        ]


def _texts(block: gr.blocks.Block, kept: Collection[str]) -> dict[str, Any]:
    """A component's properties that hold texts of `Labels`."""
    held = {name: getattr(block, name, None) for name in WORDS if name not in kept}
    return {name: texts for name, texts in held.items() if _say(texts, {}, marked="") != texts}


def _say(held: Any, table: Mapping[str, str], marked: str | None = None) -> Any:
    """A property's texts in the words of a table; the labels of choices are looked at one by one."""
    if isinstance(held, list):
        return [(_say(label, table, marked), value) for label, value in held] if _are_choices(held) else held
    found = MARK.fullmatch(str(held)) if held is not None else None
    if not found:
        return held
    return table[found[1]] if marked is None else marked


def _are_choices(held: list) -> bool:
    return all(isinstance(choice, tuple) and len(choice) == 2 for choice in held)
