"""The Stories tab in a browser."""

import re

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import expect

pytestmark = pytest.mark.browser

STORY = "It rained all day.\nNora stayed inside.\nShe baked a pie.\nHer uncle came by.\nThey ate it together."


def sideways(page) -> int:
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def test_the_try_button_shows_the_small_corpus_and_a_pack_and_the_limit_is_followed(open_page):
    page = open_page(tab="stories")
    expect(page.locator("#stories-figures h3")).to_have_text("tiny.csv")  # there unasked
    page.locator("#stories-try").click()
    expect(page.locator("#stories-tensors .shape").first).to_contain_text("position_ids")
    assert page.locator("#stories-tensors td.begins").count() >= 6
    expect(page).to_have_url(re.compile(r"tab=stories.*framing=packed.*run=1"))
    shares = page.locator("#stories-lengths .length span")
    before = shares.first.inner_text()
    limit = page.locator("#stories-limit input[type=number]")
    limit.fill("60")
    limit.press("Tab")
    expect(shares.first).not_to_have_text(before)
    expect(page.locator("#stories-lengths table").first).to_contain_text("60 (chosen)")
    page.locator("#stories-cuts [data-cell]").first.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#stories-cuts .cell-detail")).to_contain_text(re.compile(r"^·found — id \d+"))


def test_a_link_shows_the_same_story_in_both_languages(open_page):
    query = {"tab": "stories", "story": STORY, "framing": "prompt-target", "limit": "48", "run": "1"}
    shown = []
    for width, scheme, locale in ((1280, "light", "en-US"), (390, "dark", "zh-CN")):
        page = open_page(width, scheme, locale, **query)
        expect(page.locator("#stories-tensors .tensor")).to_have_count(2)
        expect(page).to_have_url(re.compile("limit=48"))
        expect(page.locator("#stories-story textarea")).to_have_value(STORY)
        expect(page.locator("#stories-limit input[type=number]")).to_have_value("48")
        shown.append(page.locator("#stories-tensors td").all_inner_texts())
        assert sideways(page) <= 0
    assert shown[0] == shown[1]
    expect(page.locator("#stories-tensors .roles")).to_contain_text("提示")


def test_a_file_of_ones_own_is_measured_and_its_stories_shown(open_page, tmp_path):
    path = tmp_path / "mine.csv"
    rows = [",".join(STORY.split("\n")), "It rained.,,She ran.,He hid.,They met.", '<b>Rain</b>,"a",b,c,d']
    path.write_text("\n".join(["sentence1,sentence2,sentence3,sentence4,sentence5", *rows]), encoding="utf-8")
    page = open_page(390, tab="stories")
    expect(page.locator("#stories-figures h3")).to_have_text("tiny.csv")
    page.locator("#stories-file input[type=file]").set_input_files(path)
    expect(page.locator("#stories-figures h3")).to_have_text("mine.csv")
    expect(page.locator("#stories-figures .left-out")).to_contain_text("row 2")
    expect(page.locator("#stories-story textarea")).to_have_value(STORY)
    page.locator("#stories-number input").fill("2")
    expect(page.locator("#stories-cuts")).to_contain_text("Rain")
    assert page.locator("#stories-cuts b").count() == 0
    page.locator("#stories-story textarea").fill("Only one sentence.")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#stories-problem [role=alert]")).to_contain_text("5 are needed")
    assert sideways(page) <= 0
