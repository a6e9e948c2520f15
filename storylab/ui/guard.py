"""What the page's server refuses, and what it tells browsers: nothing is fetched from elsewhere, here or there.

gradio serves more than this page needs, and fetches addresses that visitors name. There is no setting for either.
"""

from __future__ import annotations

import re
from typing import NoReturn

import gradio as gr
from gradio import processing_utils
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

EMBEDDERS = ("'self'", "https://huggingface.co", "https://*.huggingface.co", "https://*.hf.space")
"""Who may show the page in a frame: Spaces are shown in one."""
POLICY = {
    "default-src": ("'self'",),
    # gradio's own page has inline scripts and styles, and compiles templates and Vega's expressions.
    "script-src": ("'self'", "'unsafe-inline'", "'unsafe-eval'", "blob:"),
    "style-src": ("'self'", "'unsafe-inline'"),
    "img-src": ("'self'", "data:", "blob:"),
    "font-src": ("'self'", "data:"),
    "connect-src": ("'self'", "data:", "blob:"),
    "worker-src": ("'self'", "blob:"),
    "object-src": ("'none'",),
    "base-uri": ("'self'",),
    "form-action": ("'self'",),
    "frame-ancestors": EMBEDDERS,
}
"""The Content-Security-Policy: whatever a page of ours holds, the browser asks no other host for anything."""
HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {' '.join(sources)}" for name, sources in POLICY.items()),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # an address holds what was typed; the server reads its language from it
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), serial=(), hid=()",
}
"""Sent with every answer."""
CLOSED = re.compile(
    r"""/(?:
        (?:gradio_api/)?(?:
            file(?:=|/)\s*[a-z][a-z0-9+.-]+:.*   # an address in place of a file: gradio would fetch it
            | proxy=.*                           # other apps, of which there are none
            | stream/.*                          # sound and video
            | custom_component/.*
            | (?:vibe-|undo-vibe-).*             # editing the app from the browser
            | process_recording
            | dev/.*
            | deep_link
            | run-history/.* | runs
        )
        | svelte/.*
        | monitoring(?!/summary$).*
        | pwa_icon.*
        | log(?:in|out)
    )/?""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
"""Paths of what gradio offers and this page doesn't use."""


class Guard:
    """Answers 404 to what is closed, and adds the headers to every other answer."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        path = re.sub("/{2,}", "/", scope["path"].removeprefix(scope.get("root_path", "")))
        closed = CLOSED.fullmatch(path)
        answer = PlainTextResponse("Not found", 404) if closed else self.app
        return await answer(scope, receive, send_with_headers)


MIDDLEWARE = [Middleware(Guard)]


async def _refuse(url: str) -> NoReturn:
    raise gr.Error("A link is no file: upload the file itself.", print_exception=False)


def fetch_nothing() -> None:
    """Have gradio fetch no address that a visitor names in place of an uploaded file."""
    processing_utils.async_ssrf_protected_get = _refuse
