"""gradio's page on the API, in Chromium; skipped where none is installed."""

import re

import pytest

from storylab.ui.api import ENDPOINTS

pytestmark = pytest.mark.browser


def test_the_api_page_lists_the_tools_and_logs_no_error(open_page, server):
    page = open_page()
    page.locator("button.show-api").click()
    documentation = page.get_by_role("dialog")
    documentation.get_by_text(f"{server.url}gradio_api/mcp/").first.wait_for()
    for endpoint in ENDPOINTS:
        documentation.get_by_role("button", name=re.compile(f"^{endpoint.name} ")).wait_for()
