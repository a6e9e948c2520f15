"""A look that runs in a process of its own, so that a package which ends it ends nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0
"""Seconds that a look may take; packages come slowly from a cold disk."""
QUIET = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
"""What keeps packages from calling out, and from writing into a checkout, while they are imported."""


class Look:
    """A module of this package that prints lines of JSON, run at once and beside others.

    Args:
        module: Its name.
        arguments: For its command line.
        patience: Seconds that it may take.
    """

    def __init__(self, module: str, *arguments: str, patience: float = PATIENCE):
        path = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH", "")]))
        self._child = subprocess.Popen(
            [sys.executable, "-m", f"storylab.doctor.{module}", *arguments],
            env={**os.environ, **QUIET, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.late = False
        """Whether it was ended for the time it took."""
        self._alarm = threading.Timer(patience, self._give_up)
        self._alarm.daemon = True
        self._alarm.start()

    def lines(self) -> list[dict[str, Any]]:
        """Wait for its end; what it has printed till then."""
        output, _ = self._child.communicate()
        self._alarm.cancel()
        found = []
        for line in output.decode("utf-8", "replace").splitlines():
            try:
                value = json.loads(line)
            except ValueError:
                continue  # a package that prints when it is imported
            if isinstance(value, dict):
                found.append(value)
        return found

    @property
    def ended_by(self) -> str:
        """What ended it, where it has not ended by itself; empty where it has."""
        status = self._child.returncode
        if self.late:
            return "took too long and was ended"
        if status < 0:
            return f"ended Python by {_signal(-status)}"
        return f"ended Python with status {status}" if status else ""

    def close(self) -> None:
        """End it, whatever it is at."""
        self._alarm.cancel()
        self._child.kill()
        self._child.wait()

    def _give_up(self) -> None:
        self.late = True
        self._child.kill()


def _signal(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    hints = {
        "SIGILL": " (the processor lacks instructions that it was built for)",
        "SIGKILL": " (is there too little memory?)",
    }
    return name + hints.get(name, "")
