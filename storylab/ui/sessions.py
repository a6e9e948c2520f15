"""What gradio keeps of each session and each call, cut down to what this page needs.

A session is an open page, and every call over plain HTTP is one too. For each gradio describes all components of the
page anew, for links of a kind that this page does not have: a fifth of a second, in which nobody is answered, and
424 KiB, for 10,000 sessions.
"""

from __future__ import annotations

import os
import time
from types import SimpleNamespace
from typing import Any

import gradio as gr
from gradio.queueing import Queue
from gradio.state_holder import SessionState, StateHolder

from storylab.ui.texts import Say

MOST_SESSIONS = 1000
"""Sessions that are remembered; of more, those that have been idle longest are forgotten."""
MOST_UNUSED = 100
"""Sessions among them in which nothing was kept or changed, as in a call over plain HTTP."""
SWEEP = 200
"""Sessions after which is looked for what calls that are over have left."""
UNREAD = 300.0
"""Seconds after which an answer that nobody has fetched is dropped at the next look."""
MOST_NAME = 100
"""Characters of a session's name; the page's and the clients' own have eleven."""
COUNTS = {"GRADIO_ANALYTICS_MAX_EVENTS": "1", "GRADIO_ANALYTICS_CACHE_FREQUENCY": str(10**9)}
"""How many calls gradio remembers for its own page on them, which is off, and after how many it adds them up: with its
defaults it makes a table of the last 10,000 at each call."""


class Session(SessionState):
    """A session without descriptions: of a component of its own it has the component alone."""

    def __init__(self, page: gr.Blocks):
        super().__init__(SimpleNamespace(default_config=page.default_config, blocks=()))

    @property
    def unused(self) -> bool:
        """Whether another one would be the same."""
        return not self.state_data and not self.config_values

    def _update_value_in_config(self, key: int, value: Any) -> None:
        """Describe nothing: gradio would keep all that was ever shown."""


class Sessions(StateHolder):
    """The sessions of a page, at most `MOST_SESSIONS`."""

    def __init__(self, page: gr.Blocks):
        super().__init__()
        self.set_blocks(page)
        self.capacity, self._made = MOST_SESSIONS, 0
        self._unread: dict[str, float] = {}

    def __getitem__(self, session_id: str) -> SessionState:
        if session_id not in self.session_data:
            self._forget_unused()
            self.session_data[session_id] = Session(self.blocks)
            self._made += 1
            if self._made % SWEEP == 0:
                _sweep(self.blocks._queue, self._unread)
        return super().__getitem__(session_id)

    def _forget_unused(self) -> None:
        with self.lock:
            unused = [name for name, session in self.session_data.items() if session.unused]
            for name in unused[: len(unused) + 1 - MOST_UNUSED]:
                del self.session_data[name]
                self.time_last_used.pop(name, None)


def count_nothing() -> None:
    """Let gradio keep no record of calls; to be called before the page gets its queue."""
    for variable, value in COUNTS.items():
        os.environ.setdefault(variable, value)


def keep_little(page: gr.Blocks, most: int) -> None:
    """Let a page that was launched keep its sessions this way.

    Args:
        page: The page.
        most: Calls that may wait for one listener. gradio counts those of all together, and a flood of calls for one
            that is slow would refuse everybody everything.
    """
    page.app.state_holder = Sessions(page)
    queue, push = page._queue, page._queue.push

    async def checked(body: Any, request: Any, username: str | None) -> tuple:
        if len(body.session_hash or "") > MOST_NAME:
            return False, "the page's number is too long", "error"
        listener = page.fns.get(body.fn_index)
        line = listener and queue.event_queue_per_concurrency_id.get(listener.concurrency_id)
        if line and len(line.queue) >= most:
            return False, Say()("problem_full"), "queue_full"
        return await push(body=body, request=request, username=username)

    queue.push = checked


def _sweep(queue: Queue, unread: dict[str, float]) -> None:
    """Drop what gradio keeps of sessions that have no call under way: an empty set for ever, answers nobody fetches.

    Args:
        queue: gradio's.
        unread: Sessions with answers that nobody has fetched, and since when.
    """
    calls, messages, now = queue.pending_event_ids_session, queue.pending_messages_per_session, time.monotonic()
    over = {session for session, ids in list(calls.items()) if not ids & queue.event_ids_to_events.keys()}
    for session in over:
        fetched = not calls[session] and (session not in messages or messages[session].empty())
        if fetched or now - unread.setdefault(session, now) > UNREAD:
            del calls[session]
            messages.pop(session, None)
            unread.pop(session, None)
    for session in unread.keys() - over:
        del unread[session]
