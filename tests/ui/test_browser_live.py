"""Training while one looks on, in a browser."""

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import expect

pytestmark = pytest.mark.browser

PATIENCE = 90_000  # milliseconds; a busy machine is no reason to fail
STORY = "Ann lost her hat. She looked in the shed. It was not there. Her dog had it. She laughed and took it back."


def test_a_link_trains_at_once_and_ends_word_for_word(open_page):
    page = open_page(390, "dark", tab="training", story=STORY, rate="0.01", run="1")
    expect(page.locator("#overfit-look .live-end")).to_contain_text("Word for word after", timeout=PATIENCE)
    assert page.locator("#overfit-story textarea").input_value().split("\n")[3] == "Her dog had it."
    assert " ".join(page.locator("#overfit-look mark").all_inner_texts()) == STORY.removeprefix("Ann lost her hat. ")
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    page.locator("#overfit-ask").click()
    expect(page.locator("#overfit-told .sample")).to_contain_text("She laughed", timeout=PATIENCE)


def test_the_small_corpus_is_learnt_in_one_click_and_stop_keeps_what_was_learnt(open_page):
    page = open_page(tab="training")
    page.locator("#finetune-base").get_by_text("Encoder-decoder").click()
    page.locator("#finetune-small").click()
    expect(page.locator("#finetune-look polyline").first).to_be_attached(timeout=PATIENCE)
    page.locator("#finetune-stop").click()
    expect(page.locator("#finetune-look .live-end")).to_contain_text("learnt is kept", timeout=PATIENCE)
    page.locator("#finetune-tell").click()
    expect(page.locator("#finetune-told .sample")).to_have_count(3, timeout=PATIENCE)
