"""`python app.py` to its first answers, against the bare import of gradio, torch and transformers in a fresh process.

The page's HTML is the first thing that a browser asks for; a story is what its reader came for. For the story the
page must have imported all that the peer imports and onnxruntime, loaded a model, and told.
"""

import os
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator

from benchmarks.decoding import OPENINGS
from benchmarks.rows import Row, compare
from benchmarks.served import BARE, QUIET, page

TELLER = "seq2seq"


def rows(options: Namespace) -> Iterator[Row]:
    """Measure both; processes are fresh each time."""
    sides = {f'python -c "{BARE}"': bare_import, "the page's HTML": first_page, f"a story of {TELLER}": first_story}
    yield from compare("python app.py to", sides, options.turns, "seconds", at_most={"the page's HTML": 1.25})


def bare_import() -> float:
    """Seconds of a process that imports and ends."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", BARE], env=os.environ | QUIET, check=True)
    return time.perf_counter() - started


def first_page() -> float:
    """Seconds to the page's HTML."""
    with page() as started:
        return started.wait()


def first_story() -> float:
    """Seconds to the first story, asked for through the web API as soon as the page is there."""
    with page() as started:
        started.wait()
        return started.tell(OPENINGS[0], TELLER)
