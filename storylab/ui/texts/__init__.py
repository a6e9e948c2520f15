"""Every text of the page, by its key, in every language of the page: a language is one more table.

`{braces}` are filled in by `Say`. The tables have the same keys, which a test sees to. What comes from the layers
above is passed through where a language has no words of its own for it (the errors, the metrics' names).
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import gradio as gr
from gradio.i18n import I18nData

from storylab.ui.texts.chinese import CHINESE
from storylab.ui.texts.english import ENGLISH, EXAMPLES

LANGUAGES = {"en": ENGLISH, "zh-CN": CHINESE}
"""The tables by their BCP 47 tags; the first is for everybody whose language is not among them."""
FIRST = next(iter(LANGUAGES))


class Say:
    """Says texts in one language: `say("tell")`."""

    def __init__(self, language: str = FIRST):
        self.language, self._table = language, LANGUAGES[language]

    def __call__(self, key: str, **values: object) -> str:
        """The text of a key, with its `{braces}` filled in."""
        return self._table[key].format(**values)

    def or_else(self, key: str, words: str) -> str:
        """The text of a key, or some words where the language has none for it."""
        return self._table.get(key, words)


def closest(tag: str) -> str | None:
    """The page's language that a BCP 47 tag asks for: the same primary language, whatever its script or region."""
    primary = tag.strip().lower().split("-")[0]
    return next((language for language in LANGUAGES if language.lower().split("-")[0] == primary), None)


def preferred(accepted: str) -> str:
    """The language for an `Accept-Language` header: its first that the page has, weights aside, else the first."""
    tags = (part.split(";")[0] for part in accepted.split(","))
    return next((found for tag in tags if (found := closest(tag))), FIRST)


def shown_by_browser(accepted: str) -> str:
    """The language in which the browser shows `Labels`: gradio takes its first, and that to the letter."""
    tag = accepted.split(",")[0].split(";")[0].strip()
    return tag if tag in LANGUAGES else FIRST


def asked_for(request: gr.Request) -> str | None:
    """The language that the address of the visitor's page names (`?lang=zh-CN`); None where it names none."""
    query = urlsplit(request.headers.get("referer", "")).query
    named = parse_qs(query).get("lang") or [request.query_params.get("lang", "")]
    return closest(named[-1])


def language_of(request: gr.Request | None) -> str:
    """The visitor's language: the one that the page's address names, else the one that the browser asks for."""
    if request is None:
        return FIRST
    return asked_for(request) or preferred(request.headers.get("accept-language", ""))


def speaker(request: gr.Request | None) -> Say:
    """Says texts in the visitor's language."""
    return Say(language_of(request))


class Labels:
    """Texts of components, which stand in the page in all languages; the browser shows its own.

    gradio's `I18n` knows texts by a key and fills nothing in, so each text here gets a key of its own.
    """

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, str]] = {language: {} for language in LANGUAGES}
        self.i18n = gr.I18n(**self.tables)

    def __call__(self, key: str, **values: object) -> I18nData:
        """A component's label, info, placeholder or value: the text of a key, with its `{braces}` filled in."""
        return self.made(lambda say: say(key, **values))

    def made(self, make: Callable[[Say], str]) -> I18nData:
        """The same of something made of several texts, such as HTML."""
        name = f"storylab_{len(self.tables[FIRST])}"
        for language, table in self.tables.items():
            table[name] = make(Say(language))
        return self.i18n(name)


__all__ = ["EXAMPLES", "LANGUAGES", "Labels", "Say", "language_of", "shown_by_browser", "speaker"]
