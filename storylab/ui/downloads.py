"""What can be downloaded: a line a storyteller with its state, what it weighs, and a button that fetches it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import gradio as gr

from storylab.storytellers.catalog import fetch
from storylab.ui import cards
from storylab.ui.controls import AT_ONCE, HIDDEN
from storylab.ui.texts import Labels, Say, speaker

REFRESH = 0.25
"""Seconds between two looks at a download."""
OUTSIDE = ("downloadable", "unreachable")


class Download:
    """The line of one storyteller whose weights come from outside."""

    def __init__(self, row: Mapping[str, Any], label: Labels):
        self.name, self.row = row["name"], row
        with gr.Row(elem_classes="download", visible=row["state"] in OUTSIDE) as self.line:
            self.html = gr.HTML(label.made(lambda say: cards.download(row, say)), apply_default_css=False)
            words = label.made(lambda say: _weight(row, say))
            self.fetch = gr.Button(words, size="sm", elem_classes="chip", elem_id=f"download-{self.name}")
            self.cancel = gr.Button(label("cancel"), size="sm", elem_classes="chip", visible=False)

    @property
    def outputs(self) -> list[gr.components.Component | gr.Row]:
        """What `shown` gives new values."""
        return [self.line, self.html, self.fetch, self.cancel]

    def wire(self, refresh: Callable[[], list], outputs: list[gr.components.Component]) -> None:
        """Download at a click; once it has come, `refresh` gives `outputs` new values."""
        started = self.fetch.click(
            self._fetch, outputs=[self.html, self.fetch, self.cancel], concurrency_limit=4, **HIDDEN
        )
        started.then(refresh, outputs=outputs, **AT_ONCE)
        stopped = self.cancel.click(None, cancels=[started], **HIDDEN)
        stopped.then(refresh, outputs=outputs, **AT_ONCE)

    def shown(self, row: Mapping[str, Any], say: Say) -> list:
        """New values for `outputs`: the line as the storyteller's state is now."""
        return [
            gr.update(visible=row["state"] in OUTSIDE),
            cards.download(row, say),
            gr.update(value=_weight(row, say), visible=True),
            gr.update(visible=False),
        ]

    def _fetch(self, request: gr.Request) -> Iterator[list]:
        done, cancel, problems, say = [0, 0], threading.Event(), [], speaker(request)

        def note(come: int, total: int) -> None:
            done[:] = come, total

        def work() -> None:
            try:
                fetch(self.name, note, cancel)
            except Exception as error:  # whatever it is, the visitor is told, and not that all is well
                problems.append(str(error) or type(error).__name__)

        thread = threading.Thread(target=work, name=f"download-{self.name}", daemon=True)
        thread.start()
        try:
            while thread.is_alive():
                yield [cards.downloading(self.row, *done, say), gr.update(visible=False), gr.update(visible=True)]
                time.sleep(REFRESH)
            message = cards.problem(problems[0]) if problems else cards.downloading(self.row, *done, say)
            yield [message, gr.update(visible=bool(problems)), gr.update(visible=False)]
        finally:
            cancel.set()  # the visitor cancelled, or closed the page


def _weight(row: Mapping[str, Any], say: Say) -> str:
    size = row["download_bytes"] / 1e6
    return say("download", size=size) if size else say("download_unknown")
