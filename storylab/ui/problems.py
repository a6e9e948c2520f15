"""What a visitor is told of an error that ended something long."""

from __future__ import annotations

from storylab.errors import StoryLabError
from storylab.memory import TOO_LITTLE, is_memory_error
from storylab.ui.admission import Refused
from storylab.ui.texts import Say
from storylab.watching import note


def problem_of(error: Exception, say: Say) -> str:
    """The message of an error that a person can mend; any other goes to the log, and is said to have been noted."""
    if isinstance(error, Refused):
        return error.said(say)
    if isinstance(error, StoryLabError):
        return str(error)
    if is_memory_error(error):
        return TOO_LITTLE
    note(error)
    return say("problem_broken")
