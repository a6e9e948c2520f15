"""What is sent to the page and is no good is refused in one sentence, whatever route it takes, and leaves no traceback.

gradio answers an endpoint that it doesn't know, or values that a field can't take, with "Internal Server Error" and
thirty lines in the log.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import gradio as gr
from fastapi.exceptions import RequestValidationError
from gradio.exceptions import Error
from gradio.route_utils import API_PREFIX, FnIndexInferError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from storylab.limits import limits

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
LEAST_BYTES = 4_000_000
"""Of what may be sent in one request: a browser's history has a quarter of it."""


def most_bytes() -> int:
    """What may be sent in one request: a file as large as is taken, and what a form puts around it."""
    return max(LEAST_BYTES, limits().upload_bytes + 100_000)


class Page(gr.Blocks):
    """gradio's page, with one sentence for what its fields and endpoints can't take."""

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *further: Any, **named: Any) -> list[Any]:
        """The inputs as a listener takes them.

        Raises:
            Error: They are too few, or one is not what its field takes.
        """
        try:
            values = await super().preprocess_data(block_fn, inputs, *further, **named)
            for field, value in zip(block_fn.inputs, values, strict=True):
                if isinstance(field, gr.Dropdown) and not field.multiselect and isinstance(value, list):
                    raise Error("one choice is one value")  # an empty list passes for no choice
            return values
        except FileNotFoundError:
            raise Error("the file is no longer here; choose it again", print_exception=False) from None
        except OSError:  # a full disk, say, is no fault of the visitor's
            raise
        except Exception as error:  # components raise what they like
            if isinstance(error, Error) and not error.print_exception:
                raise  # one of our own
            fields, given = len(block_fn.inputs), len(inputs)
            few = f"{block_fn.api_name} takes {fields} value{'s' * (fields != 1)}, not {given}"
            told = few if given < fields else "something that was sent is not what its field takes; open the page anew"
            raise Error(told, print_exception=False) from None


class Refusals:
    """Middleware between gradio's routes and the server."""

    def __init__(self, app: Callable[..., Awaitable[None]]):
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request; ASGI's interface."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, left = False, most_bytes()

        async def note(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        async def count() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise _TooLarge
            return message

        try:
            if _announced(scope) > most_bytes():
                raise _TooLarge
            await self.app(scope, await _parsed(count) if _is_call_of_tool(scope) else count, note)
        except Exception as error:
            if begun and isinstance(error.__cause__, HTTPException):  # a stream whose visitor is not known any more
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            refusal = None if begun else _refusal(scope, error)
            if refusal is None:
                raise
            await refusal(scope, receive, send)


def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
    """The answer to a request that is not of its route's form; gradio's repeats what was sent, whatever that is."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])[:100]
    return _answer(422, f"{where}: {first['msg']}"[:300])


class _TooLarge(Exception):
    """More is sent than is read."""


class _NoJson(Exception):
    """What must be JSON is none."""


def _path(scope: Message) -> str:
    return scope["path"].removeprefix(scope.get("root_path", ""))


def _is_call_of_tool(scope: Message) -> bool:
    return scope["method"] == "POST" and _path(scope).startswith(f"{API_PREFIX}/mcp")


async def _parsed(receive: Receive) -> Receive:
    """What gives a request's body once more, found to be JSON in UTF-8: mcp stumbles over any other.

    Raises:
        _NoJson: It is not.
    """
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    try:
        json.loads(b"".join(message.get("body", b"") for message in messages).decode())
    except (ValueError, RecursionError):
        raise _NoJson from None
    waiting = iter(messages)

    async def again() -> Message:
        return next(waiting, None) or await receive()

    return again


def _announced(scope: Message) -> int:
    """The bytes that a request says it has."""
    told = dict(scope["headers"]).get(b"content-length", b"0")
    return int(told) if told.isdigit() and len(told) < 20 else 0


def _refusal(scope: Message, error: Exception) -> JSONResponse | None:
    """The answer to a request that ended in an error; None where that is none of the visitor's."""
    path = _path(scope)
    name = json.dumps(path.rstrip("/").rpartition("/")[2][:60])
    if isinstance(error, _TooLarge):
        return _answer(413, f"at most {most_bytes():,} bytes are read")
    if isinstance(error, _NoJson):
        return _answer(400, "the body is not JSON")
    if not path.startswith(API_PREFIX):
        return None
    if isinstance(error, FnIndexInferError):
        return _answer(404, f"there is no endpoint {name}")
    if isinstance(error, KeyError) and path.startswith(tuple(f"{API_PREFIX}/{way}/" for way in ("call", "run", "api"))):
        return _answer(404, f"there is no endpoint {name}, or none of that number")
    if isinstance(error, KeyError) and path.startswith(f"{API_PREFIX}/queue/join"):
        return _answer(404, "the page has no listener of that number; open it anew")
    if isinstance(error, TypeError) and path.startswith(f"{API_PREFIX}/call/v2/"):
        return _answer(422, f"{str(error).split('. ')[0][:200]}")
    return None


def _answer(status: int, told: str) -> JSONResponse:
    return JSONResponse({"detail": told.encode(errors="replace").decode()}, status)
