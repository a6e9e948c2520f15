"""What makes a function an endpoint: refusals of one line, documentation that gradio can read, a limit."""

import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.context import LocalContext, get_blocks_context
from gradio.utils import get_function_description

from storylab.decoding import Settings
from storylab.decoding.settings import shown
from storylab.errors import StoryLabError
from storylab.inspection.texts import check_text
from storylab.limits import limits
from storylab.storytellers import load
from storylab.storytellers.catalog import find
from storylab.ui.admission import admission, caller_of, waiting
from storylab.ui.problems import problem_of
from storylab.ui.texts import Say

if TYPE_CHECKING:
    from storylab.storytellers.storyteller import Storyteller


@dataclass(frozen=True)
class Endpoint:
    """A function that visitors may call by its name."""

    call: Callable[..., Any]
    tellings: int
    """How many a call counts as, and stands in line for; 0 for what is done in a moment."""

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
        if self.tellings:  # whoever waits does so in the line of `admission`
            added = gr.api(in_turn(self.call, self.tellings), api_name=self.name, concurrency_limit=None)
        else:
            added = gr.api(self.call, api_name=self.name, queue=False)
        blocks = get_blocks_context().blocks
        for number, about in zip(added["inputs"], self.arguments.values(), strict=True):
            blocks[number].api_info()["additional_description"] = about


def in_turn(function: Callable[..., Any], tellings: int) -> Callable[..., Any]:
    """Make a function of an endpoint wait for its caller's turn; one who has left by then gets no answer.

    Args:
        function: The endpoint's.
        tellings: How many a call counts as.
    """
    plain = inspect.unwrap(function)  # its errors are seen here, so that nothing is counted for them

    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        request = LocalContext.request.get(None)
        with _one_line(), admission().admit(request, caller_of(request), tellings) as place:
            for ahead in waiting(place):
                gr.Info(Say()("in_line", number=ahead))  # for clients that listen; plain HTTP hears the answer alone
            if not place.has_turn:
                return None
            return admission().threads.submit(copy_context().run, plain, *arguments, **named).result()

    return call


@contextmanager
def _one_line() -> Iterator[None]:
    """Let a `StoryLabError` reach the caller, as one line and without a traceback; of others, that there was one."""
    try:
        yield
    except gr.Error:
        raise
    except Exception as error:
        raise gr.Error(problem_of(error, Say()), print_exception=False) from None


def endpoint(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function fit for an endpoint: a `StoryLabError` reaches the caller, as one line and without a traceback.

    Of any other error the caller hears only that there was one.

    gradio reads an argument's description up to the end of its line, so each becomes one line.
    """

    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        with _one_line():
            return function(*arguments, **named)

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


def settings_of(value: Any) -> Settings:
    """The settings of a call: `{}` and null are the default preset.

    Raises:
        StoryLabError: They are none, or ask for more tokens than this deployment tells.
    """
    return limits().check(Settings.from_mapping({} if value is None else value))


def text_in(value: Any, argument: str) -> str:
    """The value of an argument that must be a string, maybe none, which a storyteller can read.

    Raises:
        StoryLabError: It is anything else, or too long.
    """
    if not isinstance(value, str):
        raise StoryLabError(f"{argument} must be a string, not {shown(value)}")
    return check_text(value)
