"""The pictures of the page in docs/images/: ``python -m docs.pictures`` while the page is open.

Each tab is shown after its first button was pressed, at 1280 pixels in English; a few more at 390 pixels, in Chinese
and in the dark. A few pictures show a part of a long tab.
"""

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

IMAGES = Path(__file__).resolve().parent / "images"
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
TABS = ("compare", "tokens", "decoding", "training", "results", "stories", "tour")
NARROW = ("compare", "tokens")
QUIET = 2_000
"""Milliseconds without a change after which a tab is taken to be done."""
PATIENCE = 180_000
"""Milliseconds that a tab may take."""
WAIT_UNTIL_QUIET = """(quiet) => new Promise((done) => {
  let timer = setTimeout(done, quiet);
  new MutationObserver(() => {
    clearTimeout(timer);
    timer = setTimeout(done, quiet);
  }).observe(document.body, { subtree: true, childList: true, characterData: true });
})"""
FIRST = {"training": "#overfit", "results": "#leaderboard", "stories": "#stories-one"}
"""Where the picture of a long tab begins; the others are shown from the top."""
TALLEST = 1_900
"""Pixels."""
VIEWS = (
    ("", {"width": 1280, "height": 900}, "light", "en", TABS),
    ("-narrow", {"width": 390, "height": 844}, "dark", "en", NARROW),
    ("-zh-CN", {"width": 1280, "height": 900}, "dark", "zh-CN", ("compare", "decoding")),
)
"""What is added to the file's name, the window, the scheme, the language, and the tabs."""


def main() -> None:
    """Take all pictures of a page that is open."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:7860/")
    parser.add_argument("--only", choices=TABS, help="one tab")
    options = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for suffix, size, scheme, language, tabs in VIEWS:
            for tab in tabs if options.only is None else set(tabs) & {options.only}:
                page = _open(browser, f"{options.url}?tab={tab}&lang={language}", size, scheme)
                _show(page, tab)
                _take(page, tab, IMAGES / f"{tab}{suffix}.png")
                page.context.close()
        browser.close()


def _open(browser: Browser, url: str, size: dict[str, int], scheme: str) -> Page:
    page = browser.new_context(viewport=size, color_scheme=scheme).new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(url)
    return page


def _show(page: Page, tab: str) -> None:
    page.locator(f"#{tab}-try").wait_for()
    page.wait_for_timeout(QUIET)
    page.locator(f"#{tab}-try").click()
    page.wait_for_timeout(QUIET)
    page.evaluate(WAIT_UNTIL_QUIET, QUIET)


def _take(page: Page, tab: str, path: Path) -> None:
    page.evaluate("scrollTo(0, 0)")
    whole = page.evaluate("document.documentElement.scrollHeight")
    first = page.locator(FIRST[tab]).bounding_box()["y"] if tab in FIRST else 0
    width = page.viewport_size["width"]
    clip = {"x": 0, "y": first, "width": width, "height": min(TALLEST, whole - first)}
    page.screenshot(path=path, full_page=True, clip=clip)


if __name__ == "__main__":
    main()
