"""The log: a line of JSON for each telling and each failure, on stderr, without what was told."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from storylab.storytellers.observers import Account

NAME = "storylab"
"""The logger, for whoever wants its lines elsewhere."""
PACKAGES = {Path(__file__).parents[2], *(Path(path) for path in sys.path if path)}
PACKAGES |= {path.resolve() for path in PACKAGES}
"""What the file of a frame is named from: the project, or where packages are."""


class Log:
    """Writes a line for each account and for each other failure.

    Args:
        texts: Whether the lines hold openings, stories and the messages of errors too, which may quote them.
    """

    def __init__(self, texts: bool = False):
        self._texts, self._logger = texts, logging.getLogger(NAME)
        self._handler = _Handler()
        self._logger.addHandler(self._handler)
        self._logger.setLevel(logging.INFO)
        self._logger.propagate = False  # other libraries give the root logger formats and handlers of their own

    def close(self) -> None:
        """Write no more."""
        self._logger.removeHandler(self._handler)

    def observe(self, account: Account) -> None:
        """Write what became of a telling."""
        line: dict[str, Any] = {
            "event": account.ended_by if account.error else "told",
            "storyteller": account.storyteller,
            "seed": account.seed,
            "tokens": account.tokens,
            "seconds_to_first_token": account.seconds_to_first_token,
            "seconds": account.seconds,
            "ended_by": account.ended_by,
            "engine": account.engine or None,
            "dtype": account.dtype or None,
        }
        if self._texts and account.telling:
            told = account.telling
            line |= {"opening": told.opening, "text": told.text, "settings": told.settings}
        if account.error is not None:
            line |= self._error(account.error)
        self._write(logging.ERROR if account.ended_by == "failed" else logging.INFO, line)

    def failed(self, error: BaseException) -> None:
        """Write of an error that ended no telling."""
        self._write(logging.ERROR, {"event": "failed", **self._error(error)})

    def _error(self, error: BaseException) -> dict[str, Any]:
        message = {"message": str(error)} if self._texts else {}
        return {"error": type(error).__name__, "at": frames_of(error), **message}

    def _write(self, level: int, line: dict[str, Any]) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._logger.log(level, "%s", json.dumps({"time": now, **line}))  # ASCII, whatever stderr's encoding


class _Handler(logging.StreamHandler):
    """Writes to what stderr is at that moment, and is silent where nobody reads it any more."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self):
        return sys.stderr

    def handleError(self, record: logging.LogRecord) -> None:
        pass


def frames_of(error: BaseException) -> list[str]:
    """Where an error came from, the innermost last: `file:line function` each, without what the variables held."""
    return [
        f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
    ]


def _short(file: str) -> str:
    """A file's path from its package on: machines differ in what comes before."""
    path = Path(file)
    roots = [root for root in PACKAGES if path.is_relative_to(root)]
    if not roots:
        return path.name
    return path.relative_to(max(roots, key=lambda root: len(root.parts))).as_posix()
