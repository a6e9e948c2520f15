"""The Training tab in a browser: a link to a view, changing it, narrow and dark."""

from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import expect

from tests.ui.test_browser import sideways

pytestmark = pytest.mark.browser


def test_a_link_leads_to_its_curves_and_recipes_and_follows_what_is_chosen(open_page):
    page = open_page(
        tab="training",
        curves="seq2seq,gpt2-mini",
        quantity="loss",
        x="tokens",
        first="checkpoints/seq2seq",
        second="checkpoints/encoder",
    )
    expect(page.locator("#curves-legend li")).to_have_count(2)
    expect(page.locator("#curves-chart svg.marks")).to_be_visible()
    expect(page.locator("#recipe-table tr", has_text="framing").first).to_contain_text("prompt-target")
    page.get_by_role("radio", name="Learning rate").check()
    page.wait_for_url(lambda url: parse_qs(urlsplit(url).query).get("quantity") == ["learning_rate"])
    page.locator("#curves-chosen").get_by_role("checkbox", name="GPT-2 mini, zero-shot").uncheck()
    expect(page.locator("#curves-legend li")).to_have_count(1)
    page.wait_for_url(lambda url: parse_qs(urlsplit(url).query).get("curves") == ["seq2seq"])
    shown = page.locator("#recipe-table tbody tr")
    before = shown.count()
    page.get_by_role("checkbox", name="Only differences").uncheck()
    expect(page.locator("#recipe-table tbody tr.same").first).to_be_visible()
    assert shown.count() > before


def test_narrow_and_dark_nothing_runs_sideways_and_damaged_ones_have_their_course(open_page):
    page = open_page(390, "dark", tab="training", locale="zh-CN")
    expect(page.locator("#curves-chart svg.marks")).to_be_visible()
    expect(page.locator("#training-cost tbody tr")).to_have_count(5)  # the four, and the one with damaged weights
    expect(page.locator("#told li").first).to_be_visible()
    assert sideways(page) <= 0


def test_the_first_button_begins_to_overfit_a_story(open_page):
    page = open_page(tab="training")
    page.locator("#training-try").click()
    expect(page.locator("#overfit-look .live")).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(page.locator("#overfit-look [aria-busy=true]")).to_have_count(0)
