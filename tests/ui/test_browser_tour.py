"""The tour in a browser: its try button, its links, its narrow look."""

import re

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def sideways(page: Page) -> int:
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def test_the_try_button_begins_and_stop_ends_it(open_page):
    page = open_page(tab="tour", step="3")
    page.locator("#tour-try").click()
    step = page.locator("#tour-unigram .tour-step")
    expect(step).to_have_attribute("aria-busy", "true")
    expect(step.locator("polyline").first).to_be_attached()
    page.keyboard.press("Escape")
    expect(page.locator("#tour-status")).to_contain_text("Stopped")
    expect(step).to_have_attribute("aria-busy", "false")
    page.locator("#tour-next").click()  # what was shown is kept
    expect(page.locator("#tour-padding .tour-step")).to_be_visible()
    page.wait_for_url("**step=2**")  # the address follows what is shown
    assert "run=1" not in page.url
    page.locator("#tour-before").click()
    expect(step.locator("polyline").first).to_be_attached()


def test_a_link_runs_its_step(open_page):
    page = open_page(390, "dark", tab="tour", step="5", run="1", lang="zh-CN")
    step = page.locator("#tour-packing .tour-step")
    expect(step.locator(".tour-figures tbody tr")).to_have_count(3)
    expect(step).to_have_attribute("aria-busy", "false")
    assert step.locator(".failure .faults li").count() >= 1
    assert step.locator(".repair .told").count() == 3
    assert re.search("[\u4e00-\u9fff]", step.locator("h2").inner_text())
    page.wait_for_url(re.compile("(?=.*step=5)(?=.*run=1)"))
    assert sideways(page) <= 0
    page.set_viewport_size({"width": 1280, "height": 860})
    assert sideways(page) <= 0
