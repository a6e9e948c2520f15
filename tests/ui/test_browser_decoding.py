"""The Decoding tab in a browser."""

import re
from urllib.parse import parse_qsl, urlsplit

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Page

from tests.ui.test_browser import DOG, expect, sideways

pytestmark = pytest.mark.browser


def wait_until_told(page: Page) -> None:
    expect(page.locator(".strategy.told")).to_have_count(10)


def fills(page: Page) -> list[float]:
    """How far each bar is filled, in percent, row by row."""
    widths = "bars => bars.map((bar) => parseFloat(bar.style.width))"
    return page.locator("#decoding-bars .bar i").evaluate_all(widths)


def test_the_try_button_tells_by_every_strategy_and_its_link_does_so_again(open_page):
    page = open_page(tab="decoding")
    page.locator("#decoding-try").click()
    wait_until_told(page)
    expect(page).to_have_url(re.compile("tab=decoding.*seed=1"))
    told = page.locator(".strategy .story").all_inner_texts()
    assert len(set(told)) > 5
    again = open_page(390, "dark", **dict(parse_qsl(urlsplit(page.url).query)))
    wait_until_told(again)
    assert again.locator(".strategy .story").all_inner_texts() == told
    assert sideways(again) <= 0


def test_bars_follow_a_slider_and_a_click_takes_a_token(open_page):
    page = open_page(tab="decoding", opening=DOG, models="seq2seq", temperature="1", top_p="1")
    expect(page.locator("#decoding-bars thead th")).to_have_count(2)  # the tokens, the model
    model = fills(page)
    slider = page.locator("#next-temperature input[type=range]")
    slider.focus()
    for _ in range(4):
        slider.press("ArrowLeft")
    expect(page.locator("#decoding-bars thead th")).to_have_count(3)
    expect(page.locator("#decoding-bars thead")).to_contain_text("Temperature 0.8")
    assert fills(page)[0::2] == model  # the model's own stay
    assert fills(page)[1] > fills(page)[0]
    token = page.locator("#decoding-bars button").nth(1)
    word = token.inner_text().removeprefix("␣")
    token.click()
    expect(page.locator("#decoding-text textarea")).to_have_value(word)
    page.locator("#decoding-draw").click()
    expect(page.locator("#decoding-text textarea")).not_to_have_value(word)
    expect(page).to_have_url(re.compile("text="))


def test_a_sweep_draws_its_points_and_stops(open_page):
    page = open_page(390, tab="decoding", models="seq2seq")
    page.locator("#decoding-sweep").click()
    expect(page.locator("#decoding-charts svg.marks")).to_have_count(2)
    expect(page.locator("#decoding-sweep-progress")).to_contain_text(re.compile("[1-9] of 10"))
    page.locator("#decoding-sweep-stop").click()
    expect(page.locator("#decoding-sweep-progress")).to_contain_text("Stopped.")
    assert sideways(page) <= 0


def test_a_newer_press_takes_the_place_of_the_older_and_stop_ends_it(open_page):
    page = open_page(tab="decoding", models="gpt2-mini-finetuned", opening=DOG, seed="1")
    run, shared = page.locator("#decoding-run"), page.locator(".shared")
    for seed in ("1", "2", "3"):
        page.locator("#decoding-seed textarea, #decoding-seed input").fill(seed)
        run.click()
    expect(shared).to_contain_text("seed 3")
    wait_until_told(page)
    expect(shared).to_contain_text("seed 3")
    run.click()
    page.locator("#decoding-stop").click()
    expect(page.locator('.strategies[aria-busy="true"]')).to_have_count(0)
    assert page.locator(".strategy.idle").count() == 10 or "stopped" in page.locator(".strategies").inner_text()
