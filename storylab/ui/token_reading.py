"""A reading while it goes on: a text is told where there is none, then read by one storyteller after another."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from storylab.decoding import check_seed
from storylab.errors import StoryLabError
from storylab.storytellers import Piece
from storylab.ui import panels, tellers
from storylab.ui.texts import Say
from storylab.ui.token_branch import View
from storylab.ui.token_chart import Row
from storylab.ui.token_view import edges, readings
from storylab.ui.visits import Visits
from storylab.ui.work import Ticket

REFRESH = 0.1
"""Seconds between two looks at a text that is told."""


class Asked(Ticket):
    """A text to read, which is told first where it is empty; the seed is that of the field, None where it is empty."""

    def __init__(self, opening: str, text: str, readers: tuple[str, ...], seed: int | None):
        super().__init__()
        self.opening, self.text, self.readers, self.seed = opening, text, readers, seed


def looks(visits: Visits, visitor: str, asked: Asked, say: Say) -> Iterator[tuple[str, Any]]:
    """What is told and read, until it is stopped.

    Yields:
        (what of the tab changes, its new value): `status`; `text`, as far as it is told; `view`, with one more reader
        each time; `shown`, the `View` that branches begin from, which is there with the first reader.

    Raises:
        StoryLabError: The storyteller that is to tell can't. One that can't read has the reason in its row.
    """
    opening, text, readers, seed = asked.opening, asked.text, asked.readers, asked.seed
    titles = tellers.titles(say)
    if not text:
        seed = check_seed(seed)
        yield "status", panels.quiet(say("tokens_tells", title=titles[readers[0]]))
        for text in _tell(visits, visitor, asked, seed):
            yield "text", text
    rows, run, colours = [], f"{time.time():.3f}", edges(list(titles))
    for name in readers:
        if asked.stop.is_set():
            return
        progress = say("tokens_reads", title=titles[name], number=len(rows) + 1, readers=len(readers))
        yield "status", panels.progress(progress, len(rows), len(readers))
        rows.append(_read(visits, visitor, Row(name, titles[name], colours[name]), opening, text))
        yield "shown", View(opening, text, readers, seed)
        yield "view", readings(rows, run, say)


def _tell(visits: Visits, visitor: str, asked: Asked, seed: int) -> Iterator[str]:
    """A text as it grows, whole at last."""
    told, at = "", time.monotonic()
    for piece in visits.load(visitor, asked.readers[0]).stream(asked.opening, None, seed, asked.stop):
        told = told + piece.text if isinstance(piece, Piece) else piece.text
        if not isinstance(piece, Piece) or time.monotonic() - at > REFRESH:
            at = time.monotonic()
            yield told.strip()


def _read(visits: Visits, visitor: str, row: Row, opening: str, text: str) -> Row:
    from storylab.inspection.tokens import read_text

    try:
        return replace(row, reading=read_text(visits.load(visitor, row.name), opening, text))
    except StoryLabError as error:
        return replace(row, problem=str(error))
