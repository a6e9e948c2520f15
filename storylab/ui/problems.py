"""What a visitor is told of an error that ended something long."""

from __future__ import annotations

import traceback

from storylab.errors import StoryLabError
from storylab.ui.admission import Refused
from storylab.ui.texts import Say


def problem_of(error: Exception, say: Say) -> str:
    """The message of an error that a person can mend; any other goes to the log, and is said to have been noted."""
    if isinstance(error, Refused):
        return error.said(say)
    if isinstance(error, StoryLabError):
        return str(error)
    traceback.print_exception(error)
    return say("problem_broken")
