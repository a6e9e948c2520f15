"""Every tab, wide and narrow, light and dark, in both languages: nothing overflows, nothing shuts anybody out."""

from collections.abc import Iterator

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from storylab.ui.texts import LANGUAGES, Say

pytestmark = pytest.mark.browser

TABS = ("compare", "tokens", "decoding", "training", "results", "stories", "tour")
READ = ((1280, "light", "en"), (390, "dark", "en"))
"""Where axe looks, for most of the time at colours: each scheme, each width; no colour hangs on the width, and the
page in the other language has the same parts."""
SERIOUS = ("serious", "critical")
GRADIOS_OWN = {"aria-prohibited-attr": 'aria-label="Empty value"'}
"""Rules that gradio's own components break, and what breaks them: a plot that has nothing to show yet."""


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_tab_is_within_reach(open_page, width, scheme, language):
    page, say, found = open_page(width, scheme, lang=language), Say(language), []
    for tab in TABS:
        page.get_by_role("tab", name=say(f"tab_{tab}"), exact=True).click()
        page.locator(f"#{tab}-run").wait_for()
        page.locator(f"#{tab}-try").wait_for()
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0, tab
        if (width, scheme, language) in READ:
            found += [f"{tab}: {fault}" for fault in serious_faults(page)]
    assert not found, "\n".join(found)


def serious_faults(page: Page) -> Iterator[str]:
    """What axe finds that keeps somebody from using the page, but for what is gradio's own."""
    for violation in Axe().run(page).response["violations"]:
        rule, nodes = violation["id"], violation["nodes"]
        ours = [node for node in nodes if GRADIOS_OWN.get(rule, "\0") not in node["html"]]
        if violation["impact"] in SERIOUS and ours:
            yield f"{rule}: {[(node['html'][:200], node['failureSummary']) for node in ours[:3]]}"
