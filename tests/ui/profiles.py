"""Browser profiles that go from test to test: a new one costs two seconds of processor time, a cleared one none."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HERE = "http://127.0.0.1:"


class Profile:
    """A profile, the page in it, and what that page has logged as an error or asked of another host."""

    def __init__(self, browser: Browser, locale: str, timeout: int):
        self.context = browser.new_context(locale=locale)
        self.timeout, self.complaints = timeout, []
        self.page = self._new_page()

    def hand_out(self, width: int, scheme: str) -> Page:
        """The page as nobody has used it: its size and scheme, no cookie, no right, nothing complained of."""
        if self.page.is_closed():
            self.page = self._new_page()
        self.context.clear_cookies()
        self.context.clear_permissions()
        self.page.set_viewport_size({"width": width, "height": 860})
        self.page.emulate_media(color_scheme=scheme)
        self.page.mouse.move(0, 0)
        self.complaints.clear()
        return self.page

    def take_back(self, plain: str) -> None:
        """Leave the page, which ends what runs for it, and forget what it has stored.

        Args:
            plain: An address of the same server where no script runs.
        """
        for page in self.context.pages:
            if page is not self.page:
                page.close()
        if not self.page.is_closed():
            self.page.goto(plain)
            self.page.evaluate("localStorage.clear(), sessionStorage.clear()")

    def _new_page(self) -> Page:
        page, complaints = self.context.new_page(), self.complaints
        page.set_default_timeout(self.timeout)
        page.on("console", lambda m: complaints.append(f"console: {m.text}") if m.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(f"page: {error}"))
        page.on(
            "request", lambda request: complaints.append(f"a request to {request.url}") if foreign(request) else None
        )
        return page


def foreign(request) -> bool:
    """Whether a request leaves the machine."""
    return not request.url.startswith((HERE, "data:", "blob:"))
