"""Warm, from the press of Tell to the first words of a story on its card, in a browser on the same machine.

Held against a limit in milliseconds instead of a peer. Chromium opens the real page; the time runs from the click, as
the page sees it, to the first text of the telling in the card.
"""

import shutil
from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from benchmarks.decoding import BUNDLED, OPENINGS
from benchmarks.rows import Row, Spread
from benchmarks.served import PATIENCE, page
from storylab.errors import StoryLabError
from storylab.storytellers.catalog import find, state_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LARGE = "smollm2"
LIMITS = dict.fromkeys(BUNDLED, 150.0) | {LARGE: 400.0}
"""Milliseconds, by storyteller."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
PAUSE = 500  # milliseconds between two tellings

WATCH = """() => {
  const cards = () => [...document.querySelectorAll("#cards .card")];
  const text = (card) => [...card.querySelectorAll("li:not(.opening)")].map((line) => line.textContent).join("").trim();
  let clicked = 0, before = {};
  window.first = {};
  document.getElementById("compare-run").addEventListener("click", () => {
    before = Object.fromEntries(cards().map((card) => [card.dataset.storyteller, text(card)]));
    window.first = {};
    clicked = performance.now();
  }, true);
  new MutationObserver(() => {
    const now = performance.now();
    for (const card of cards()) {
      const name = card.dataset.storyteller, told = text(card);
      if (told && told !== before[name]) window.first[name] ??= now - clicked;
    }
  }).observe(document.getElementById("cards"), { subtree: true, childList: true, characterData: true });
}"""
"""Notes when each card shows a text that it did not show at the click: what stood there is a whole story."""


def rows(options: Namespace) -> Iterator[Row]:
    """Measure each storyteller alone, and the bundled ones at once; nothing where there is no browser."""
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        executable = None
    if executable is None:
        return
    large = [LARGE] if state_of(find(LARGE)).state == "ready" else []
    with page(downloads=True) as served, sync_playwright() as playwright:
        served.wait()
        for name in (*BUNDLED, *large):
            served.tell(OPENINGS[0], name)
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        for asked in ([name] for name in (*BUNDLED, *large)):
            yield from _rows("alone", asked, browser, served.url, options.turns)
        yield from _rows("four at once", BUNDLED, browser, served.url, options.turns)
        browser.close()


def _rows(how: str, names: Sequence[str], browser: "Browser", url: str, turns: int) -> Iterator[Row]:
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.set_default_timeout(1000 * PATIENCE)
    opened.goto(f"{url}?{urlencode({'opening': OPENINGS[0], 'models': ','.join(names), 'seed': 1})}")
    opened.locator(f'.card[data-storyteller="{names[0]}"]').wait_for()
    opened.wait_for_timeout(4 * PAUSE)
    opened.evaluate(WATCH)
    times = [_first_words(opened, names) for _ in range(turns + 1)][1:]
    opened.close()
    for name in names:
        limit, ours = LIMITS[name], [one[name] for one in times]
        figures = (Spread.of([limit]), Spread.of(ours), Spread.of([one / limit for one in ours]))
        yield Row(f"Tell to the first words, {how}", "the limit", name, "ms", *figures, at_most=1)


def _first_words(opened: "Page", names: Sequence[str]) -> dict[str, float]:
    """Milliseconds from the click to the first words on each card."""
    opened.click("#compare-run")
    opened.wait_for_function("count => Object.keys(window.first).length >= count", arg=len(names))
    opened.wait_for_function("() => !document.querySelector('.card[aria-busy=true]')")
    opened.wait_for_timeout(PAUSE)
    found = opened.evaluate("window.first")
    if missing := set(names) - set(found):
        raise StoryLabError(f"{sorted(missing)[0]} was not asked")
    return found
