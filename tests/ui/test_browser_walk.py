"""Every tab, wide and narrow, light and dark, in both languages: nothing overflows, nothing shuts anybody out."""

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")

from axe_playwright_python.sync_playwright import Axe

from storylab.ui.texts import LANGUAGES, Say

pytestmark = pytest.mark.browser

TABS = ("compare", "tokens", "decoding", "training", "results", "stories", "tour")
SERIOUS = ("serious", "critical")
GRADIOS_OWN: dict[str, str] = {}
"""Rules that gradio's own components break, with what breaks them (docs/accessibility.md)."""


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
        for violation in Axe().run(page).response["violations"]:
            if violation["impact"] in SERIOUS and violation["id"] not in GRADIOS_OWN:
                nodes = [node["html"][:200] for node in violation["nodes"][:3]]
                found.append(f"{tab}: {violation['id']}: {nodes}")
    assert not found, "\n".join(found)
