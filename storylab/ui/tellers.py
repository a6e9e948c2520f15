"""Who can be chosen to tell or to read: the storytellers that are ready, and the visitor's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from storylab.storytellers import describe
from storylab.storytellers.remote.source import REMOTE
from storylab.ui import cards
from storylab.ui.texts import Labels, Say
from storylab.ui.visits import OWN_NAME, Visits


def ready() -> list[Mapping[str, Any]]:
    """The descriptions of the storytellers that can tell and be looked into: their models are here."""
    return [row for row in describe() if row["state"] == "ready" and row["kind"] != REMOTE]


def labelled(rows: Sequence[Mapping[str, Any]], label: Labels) -> list[tuple[Any, str]]:
    """Choices for a component when it is made: what each is called in every language, and its name."""
    return [(label.made(lambda say, row=row: cards.title(row, say)), row["name"]) for row in rows]


def choices(request: gr.Request, say: Say, visits: Visits) -> list[tuple[str, str]]:
    """The same for a visitor whose page is open: with the storyteller that they have trained, where there is one."""
    found = [(cards.title(row, say), row["name"]) for row in ready()]
    return found + ([(say("title_yours"), OWN_NAME)] if visits.own(request.session_hash) else [])


def titles(say: Say) -> dict[str, str]:
    """What every storyteller is called, by its name."""
    return {row["name"]: cards.title(row, say) for row in describe()} | {OWN_NAME: say("title_yours")}
