"""Getting the storytellers ready in the background, so that the first Tell needn't wait for them."""

import threading
import time

from storylab.errors import StoryLabError
from storylab.heap import trim
from storylab.storytellers import describe, load
from storylab.storytellers.observers import unobserved
from storylab.storytellers.remote.source import REMOTE

OPENING = "The day began."
PAUSE = 0.5  # seconds in which whoever waits for the page gets it first


def warm_up() -> threading.Thread:
    """Start a thread that imports torch, loads every ready storyteller and has it tell two tokens."""
    thread = threading.Thread(target=_warm_up, name="warm-up", daemon=True)
    thread.start()
    return thread


def _warm_up() -> None:
    time.sleep(PAUSE)
    for row in describe():
        if row["state"] == "ready" and row["kind"] != REMOTE:  # an endpoint is asked once somebody has it tell
            try:
                with unobserved():  # nobody asked for it
                    load(row["name"]).tell(OPENING, {"max_new_tokens": 2}, seed=0)
            except StoryLabError:
                continue  # its own card says so, once somebody asks it to tell
            trim()
