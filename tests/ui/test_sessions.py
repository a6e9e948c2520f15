"""What gradio keeps of each session."""

import asyncio

import gradio as gr
import pytest
from gradio.queueing import Queue
from gradio.state_holder import SessionState

from storylab.ui import sessions
from storylab.ui.sessions import Session, Sessions, count_nothing


@pytest.fixture
def page() -> gr.Blocks:
    with gr.Blocks() as page:
        gr.Textbox("so far", elem_id="text")
        gr.State({"mine": 0})
    return page.queue()


def test_a_session_is_gradios_without_descriptions_of_what_has_not_changed(page):
    ours, gradios = Session(page), SessionState(page)
    assert isinstance(ours, SessionState) and vars(ours).keys() == vars(gradios).keys()
    assert not ours.config_values and gradios.config_values
    text, state = (
        next(one for one, block in page.blocks.items() if isinstance(block, kind)) for kind in (gr.Textbox, gr.State)
    )
    ours[state]["mine"] = 1
    assert Session(page)[state] == {"mine": 0}  # nobody has another's
    assert ours.unused is False and Session(page).unused
    other = Session(page)
    other._update_value_in_config(text, "a story that was shown")
    assert other.unused
    other[text] = gr.Textbox("another", render=False)
    assert not other.unused and other[text].value == "another" and Session(page)[text].value == "so far"


def test_sessions_that_have_been_idle_longest_are_forgotten(page, monkeypatch):
    monkeypatch.setattr(sessions, "MOST_SESSIONS", 3)
    held = Sessions(page)
    state = next(one for one, block in page.blocks.items() if isinstance(block, gr.State))
    for name in "abcabd":
        assert held[name] is held[name]
        held[name][state]["mine"] = 1
    assert list(held.session_data) == ["a", "b", "d"] and page.state_holder is held


def test_sessions_in_which_nothing_was_kept_make_room_first(page, monkeypatch):
    monkeypatch.setattr(sessions, "MOST_UNUSED", 2)
    held = Sessions(page)
    state = next(one for one, block in page.blocks.items() if isinstance(block, gr.State))
    held["page"][state]["mine"] = 1
    for number in range(50):
        held[f"call {number}"]
    assert list(held.session_data) == ["page", "call 48", "call 49"] == list(held.time_last_used)


def test_numbers_of_calls_that_are_over_are_swept_out(page, monkeypatch):
    monkeypatch.setattr(sessions, "SWEEP", 2)
    held, queue = Sessions(page), page._queue
    queue.pending_event_ids_session.update({"over": set(), "goes on": {"call"}, "is read": set(), "long over": set()})
    for name in ("over", "goes on", "is read"):
        queue.pending_messages_per_session[name] = asyncio.Queue()
    queue.pending_messages_per_session["is read"].put_nowait("a message")
    held["a"], held["b"]
    assert set(queue.pending_event_ids_session) == {"goes on", "is read"} == set(queue.pending_messages_per_session)


def test_gradio_keeps_no_record_of_calls(monkeypatch):
    for variable in sessions.COUNTS:
        monkeypatch.delenv(variable, raising=False)
    count_nothing()
    queue = Queue(True, 1, 1, None, gr.Blocks())
    assert queue.ANALYTICS_MAX_EVENTS == 1 and queue.ANAYLTICS_CACHE_FREQUENCY > 10**6
