"""The Compare tab in a browser: pins, several seeds, history, exports, links, and what ends a telling."""

import json
import time
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

DOG = "My dog ran away."
RAMBLING = {"opening": DOG, "temperature": "5", "top_p": "1", "sentences": "10", "max_new_tokens": "512", "seed": "1"}
"""Hot enough to go on to the token limit, so that there is something to end."""


def wait_until_told(page: Page, cards: int = 4) -> None:
    expect(page.locator(".card.told")).to_have_count(cards)
    expect(page.locator(".card[aria-busy=true]")).to_have_count(0)


def stories(page: Page) -> list[str]:
    return page.locator(".card ol").all_inner_texts()


def test_a_link_tells_the_same_in_another_browser_and_after_a_restart(restarted, open_page):
    page = open_page()
    page.locator("#compare-run").click()
    wait_until_told(page)
    page.wait_for_url("**run=1**")
    told, query = stories(page), dict(pair.split("=", 1) for pair in page.url.partition("?")[2].split("&"))
    assert query["seed"].isdecimal()  # that of stories told without one
    other = open_page(390)  # a context, and so a profile, of its own
    other.goto(page.url)
    wait_until_told(other)
    assert stories(other) == told
    other.goto(page.url.replace(page.url.partition("?")[0], restarted.url))
    wait_until_told(other)
    assert stories(other) == told


def test_a_pinned_story_marks_what_others_tell_otherwise(open_page):
    page = open_page(opening=DOG, models="seq2seq,gpt2-mini-finetuned", seed="3")
    page.locator("#compare-run").click()
    wait_until_told(page, 2)
    assert page.locator(".card mark").count() == 0
    page.get_by_role("button", name="Pin", exact=True).first.click()
    expect(page.locator(".pinned .story")).to_contain_text(DOG)
    page.locator("#compare-run").click()
    expect(page.locator(".card .compared").first).to_contain_text("Word for word")  # the same seed
    expect(page.locator('.card[data-storyteller="gpt2-mini-finetuned"] mark').first).to_be_visible()
    page.get_by_role("button", name="Unpin").click()
    expect(page.locator(".pinned")).to_have_count(0)


def test_several_seeds_stand_beside_each_other_at_390_pixels(open_page):
    page = open_page(390, "dark", opening=DOG, models="seq2seq", seed="5", seeds="3", run="1")
    wait_until_told(page, 3)
    assert len(set(stories(page))) == 3
    page.get_by_role("button", name="Retry").nth(1).click()
    expect(page.locator(".several footer dd").nth(5)).not_to_have_text("6")
    wait_until_told(page, 3)
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def test_several_seeds_of_several_storytellers_are_refused(open_page):
    page = open_page(opening=DOG, seeds="2", run="1")
    expect(page.get_by_role("alert")).to_contain_text("choose one")


def test_the_history_outlives_the_page_and_exports_are_files(open_page):
    page = open_page(opening=DOG, models="seq2seq", seed="5", run="1")
    wait_until_told(page, 1)
    with page.expect_download() as download:
        page.locator("#export").get_by_role("button", name="JSON").click()
    (told,) = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    assert told["seed"] == 5 and " ".join(told["story"]) in " ".join(stories(page)).replace("\n", " ")
    page.goto(page.url.partition("?")[0])
    page.get_by_role("button", name="History").click()
    line = page.locator(".history li").first
    expect(line).to_contain_text(told["story"][0])
    line.get_by_role("link").click()
    wait_until_told(page, 1)
    assert told["story"][-1] in stories(page)[0]
    page.get_by_role("button", name="History").click()
    page.locator("#history-clear").click()
    expect(page.locator(".history")).to_have_count(0)


def test_two_pages_of_one_browser_share_the_history(open_page):
    page = open_page(opening=DOG, models="seq2seq", seed="5", run="1")
    wait_until_told(page, 1)
    other = page.context.new_page()
    other.goto(page.url.replace("seed=5", "seed=6"))
    wait_until_told(other, 1)
    page.get_by_role("button", name="History").click()
    page.locator("#compare-run").click()
    expect(page.locator(".history li")).to_have_count(2)  # this page's own
    page.wait_for_function("JSON.parse(localStorage['storylab-history']).length === 3")
    other.goto(page.url.partition("?")[0])
    other.get_by_role("button", name="History").click()
    expect(other.locator(".history li")).to_have_count(3)  # the first page told its story twice


def test_a_card_leads_to_the_tokens_of_its_story(open_page):
    page = open_page(opening=DOG, models="seq2seq", seed="5", run="1")
    wait_until_told(page, 1)
    last = page.locator(".card li").last.inner_text()
    page.get_by_role("button", name="Tokens", exact=True).click()
    expect(page.get_by_role("tab", name="Tokens")).to_have_attribute("aria-selected", "true")
    expect(page.locator(".reading").first).to_contain_text(last.split()[-1].rstrip("."))


def test_the_address_is_that_of_the_tab_that_is_shown(open_page):
    page = open_page(opening=DOG, models="seq2seq", seed="5", run="1")
    wait_until_told(page, 1)
    page.wait_for_url("**tab=compare**")
    shown = page.url
    page.get_by_role("tab", name="Stories").click()
    page.wait_for_url("**tab=stories")
    page.get_by_role("tab", name="Compare").click()
    page.wait_for_url(shown)


def test_a_closed_page_frees_the_processor(open_page, server):
    page = open_page(**RAMBLING)
    page.locator("#compare-run").click()
    expect(page.locator(".card.telling").first).to_be_visible()
    page.close()
    time.sleep(1)
    before = seconds_of(server.process.pid)
    time.sleep(1)
    assert seconds_of(server.process.pid) - before < 0.3


def seconds_of(pid: int) -> float:
    """Processor time that a process has had."""
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / 100
