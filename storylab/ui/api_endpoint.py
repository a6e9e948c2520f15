"""What makes a function an endpoint: refusals of one line, documentation that gradio can read, a limit."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.context import get_blocks_context
from gradio.utils import get_function_description

from storylab.decoding.settings import shown
from storylab.errors import StoryLabError
from storylab.inspection.texts import check_text
from storylab.storytellers import load
from storylab.storytellers.catalog import find
from storylab.ui.texts import Say
from storylab.watching import note

if TYPE_CHECKING:
    from storylab.storytellers.storyteller import Storyteller


@dataclass(frozen=True)
class Endpoint:
    """A function that visitors may call by its name."""

    call: Callable[..., Any]
    at_once: int | None
    """Calls that run at the same time, more of them wait in line; None for what is done in a moment."""

    @property
    def name(self) -> str:
        """What it is called, as an endpoint and as a tool."""
        return self.call.__name__

    @property
    def arguments(self) -> dict[str, str]:
        """What its docstring says about each argument."""
        return get_function_description(self.call)[1]

    def add(self) -> None:
        """Add it to the page that is being built."""
        waits = {"queue": False} if self.at_once is None else {"concurrency_limit": self.at_once}
        added = gr.api(self.call, api_name=self.name, **waits)
        blocks = get_blocks_context().blocks
        for number, about in zip(added["inputs"], self.arguments.values(), strict=True):
            blocks[number].api_info()["additional_description"] = about


def endpoint(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function fit for an endpoint: a `StoryLabError` reaches the caller, as one line and without a traceback.

    Of any other error the caller hears only that there was one.

    gradio reads an argument's description up to the end of its line, so each becomes one line.
    """

    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        try:
            return function(*arguments, **named)
        except StoryLabError as error:
            raise gr.Error(str(error), print_exception=False) from None
        except Exception as error:
            note(error)
            raise gr.Error(Say()("problem_broken"), print_exception=False) from None

    call.__doc__ = one_line_each(inspect.getdoc(function) or "")
    return call


def one_line_each(doc: str) -> str:
    """A Google docstring in which what is said about each argument, and about what is returned, is one line."""
    return re.sub(r"(?<!:)\n {4,}(?!\w+: )(?=\S)", " ", doc)


def storyteller_named(name: Any) -> "Storyteller":
    """The storyteller of a catalogue's name; visitors open no folders and no repositories of others.

    Raises:
        StoryLabError: There is none of that name, or it can't tell.
    """
    if not isinstance(name, str):
        raise StoryLabError("model must be the name of a storyteller")
    return load(find(name).name)


def text_in(value: Any, argument: str) -> str:
    """The value of an argument that must be a string, maybe none, which a storyteller can read.

    Raises:
        StoryLabError: It is anything else, or too long.
    """
    if not isinstance(value, str):
        raise StoryLabError(f"{argument} must be a string, not {shown(value)}")
    return check_text(value)
