"""The Tokens tab in a browser: one button, tokens to select, a branch, its link, a narrow screen."""

import re
from urllib.parse import parse_qsl, urlsplit

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.browser

FINETUNED, ZERO_SHOT = "gpt2-mini-finetuned", "gpt2-mini"
PATIENCE = 60_000  # milliseconds; a busy machine is no reason to fail
expect.set_options(timeout=PATIENCE)


def reading(page: Page, name: str) -> Locator:
    return page.locator(f'.reading[data-reader="{name}"]')


def wait_until_read(page: Page, readers: int) -> None:
    expect(page.locator(".reading")).to_have_count(readers)
    expect(page.locator("#tokens-status progress")).to_have_count(0)


def wait_until_branched(page: Page) -> str:
    expect(page.locator('.branched[aria-busy="false"]')).to_be_visible()
    return page.locator(".branched").inner_text()


def colour(page: Page, token: Locator) -> str:
    return token.evaluate("token => getComputedStyle(token).backgroundColor")


def test_the_button_reads_and_a_branch_is_a_link_to_the_same_text(open_page):
    page = open_page(tab="tokens")
    expect(page.locator("#tokens-seed input, #tokens-seed textarea")).to_have_value("")  # so that a branch draws one
    page.locator("#tokens-try").click()
    wait_until_read(page, 2)
    elephant = reading(page, FINETUNED).locator('.token[aria-current="true"]')
    expect(elephant).to_have_text(" elephant")  # the most surprising one is selected
    detail = page.locator(".detail")
    expect(detail.locator(".other")).to_have_count(11)  # it is not among the ten likeliest itself
    expect(detail.locator(".other .name").first).to_have_text("␣police")
    expect(reading(page, ZERO_SHOT).locator(".token.same")).to_have_text(" elephant")
    before = colour(page, elephant)
    page.get_by_role("radio", name="Entropy").check()
    expect(page.locator('.legend[data-of="entropy"]')).to_be_visible()
    assert colour(page, elephant) != before
    detail.locator(".other").first.click()
    told = wait_until_branched(page)
    assert "my neighbor called the police" in " ".join(told.split())
    page.wait_for_url(re.compile(r"[?&]by="), timeout=PATIENCE)  # which is written after the text
    link = dict(parse_qsl(urlsplit(page.url).query))
    assert (link["by"], link["colour"], link["tab"]) == (FINETUNED, "entropy", "tokens")

    other = open_page(**link)
    wait_until_read(other, 2)
    assert wait_until_branched(other) == told
    expect(other.locator('.legend[data-of="entropy"]')).to_be_visible()
    other.locator("#tokens-adopt").click()
    expect(reading(other, FINETUNED).locator(".token", has_text="elephant")).to_have_count(0)
    expect(reading(other, FINETUNED).locator(".token", has_text="police").first).to_be_visible()


def test_an_opening_alone_is_told_and_read_on_a_narrow_screen(open_page):
    page = open_page(390, "dark", tab="tokens", opening="My dog ran away.", models="seq2seq,encoder", seed="3", run="1")
    wait_until_read(page, 2)
    text = page.locator("#tokens-text textarea").input_value()
    assert len(text.split()) > 5
    row = reading(page, "seq2seq")
    assert "".join(row.locator(".token").all_text_contents()) == f" {text}</s>"
    row.locator(".token").first.focus()
    row.locator(".token").first.click()
    page.keyboard.press("ArrowRight")
    expect(row.locator(".token").nth(1)).to_be_focused()
    page.keyboard.press("ArrowDown")
    below = reading(page, "encoder").locator(".token").nth(1)
    expect(below).to_have_attribute("aria-current", "true")
    number = page.locator(".detail dd").nth(1).inner_text()
    assert re.fullmatch(r"\d+", number) and below.get_attribute("data-rank") == number
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def test_what_is_wrong_is_said_and_nothing_is_lost(open_page):
    page = open_page(tab="tokens", opening="x" * 301, colour="blue", models="nobody")
    problem = page.locator("#tokens-status .problem")
    expect(problem).to_contain_text("at most 300")
    expect(problem).to_contain_text("colour must be")
    page.locator("#tokens-try").click()
    wait_until_read(page, 2)
    page.locator("#tokens-opening textarea").fill("")
    page.locator("#tokens-run").click()
    expect(problem).to_contain_text("The opening is empty")
    expect(page.locator(".reading")).to_have_count(2)


def test_the_colour_chosen_meanwhile_stays_and_a_branch_has_the_seed_of_the_told_text(open_page):
    page = open_page(tab="tokens", opening="My dog ran away.", models="seq2seq", run="1")  # a seed is drawn
    page.get_by_role("radio", name="Entropy").check()
    wait_until_read(page, 1)
    expect(page.locator('.readings[data-colour="entropy"]')).to_be_visible()
    expect(page).to_have_url(re.compile("colour=entropy"))
    seed = dict(parse_qsl(urlsplit(page.url).query))["seed"]
    text = page.locator("#tokens-text textarea").input_value()
    reading(page, "seq2seq").locator(".token").nth(5).click()
    page.locator(".detail .branch").click()
    told = wait_until_branched(page)
    assert " ".join(told.split()) == f"My dog ran away. {text}"  # the same luck tells the same
    expect(page).to_have_url(re.compile("at=5"))
    assert dict(parse_qsl(urlsplit(page.url).query))["seed"] == seed


def test_a_text_that_is_too_long_is_left_out_and_nothing_is_told_in_its_place(open_page):
    page = open_page(tab="tokens", opening="My dog ran away.", models="seq2seq", text="word " * 500, run="1")
    wait_until_read(page, 1)
    assert "elephant" in page.locator("#tokens-text textarea").input_value()
    expect(reading(page, "seq2seq")).to_contain_text("elephant")
    page.locator("#tokens-run").click()  # a moment later the text is another
    page.locator("#tokens-stop").click()
    expect(page.locator("#tokens-status progress")).to_have_count(0)
