"""Whatever somebody types, links to, uploads or calls a checkpoint, the page shows it as it stands."""

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

HIT = (
    '<img src=x onerror="storylabHit=1"><story-hit></story-hit> [linked](javascript:storylabHit=2) **bolded** '
    "{{storylabHit=3}} ${storylabHit=4} dog."
)
SHORT = "<story-hit>a</story-hit> **bolded** dog {}."
FOUND = """() => [
  String(window.storylabHit ?? ""),
  ...[...document.querySelectorAll("story-hit, img[src=x], a[href^='javascript:']")].map((one) => one.outerHTML),
  ...[...document.querySelectorAll("strong, b, em, a")]
    .map((one) => one.textContent).filter((text) => /^(bold|link)ed$/.test(text)),
].filter(Boolean)"""
FIELDS = "textarea:visible:enabled, input[type=text]:visible:enabled"


def nothing_came_of_it(page: Page) -> None:
    assert page.evaluate(FOUND) == []


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def test_what_a_link_says_is_text(open_page):
    page = open_page(opening=HIT, models=HIT, preset=HIT, seed=HIT, temperature=HIT, luck=HIT)
    expect(page.locator("#problem")).to_contain_text("storyteller '<img src=x onerror=")
    nothing_came_of_it(page)


TABS = {
    "compare": ".card.told",
    "tokens": "#tokens-view .reading",
    "decoding": "#decoding-run",
    "stories": "#stories-cuts",
}


@pytest.mark.parametrize(("tab", "shown"), TABS.items())
def test_what_is_typed_into_every_field_is_text(open_page, tab, shown):
    query = {"models": "seq2seq", "max_new_tokens": "12"} if tab == "compare" else {}
    page = open_page(tab=tab, **query)
    typed = "\n".join(SHORT.format(number) for number in range(5)) if tab == "stories" else HIT
    if tab == "stories":
        expect(page.locator(shown)).to_contain_text("Nora")  # filled in by the page
    for field in page.locator(FIELDS).all():
        field.fill(typed)
    nothing_came_of_it(page)
    for seed in page.locator(f"#{tab}-seed :is(input, textarea):visible").all():
        seed.fill("")
    page.locator(f"#{tab}-run").click()
    expect(page.locator(shown).first).to_be_visible()
    if tab != "decoding":
        expect(page.locator(shown).first).to_contain_text("bolded")
    nothing_came_of_it(page)


def test_a_checkpoint_of_any_title_note_and_log_is_text(open_page):
    page = open_page(tab="training", first="checkpoints/damaged")
    expect(page.locator("#training-cost")).to_contain_text("<story-hit>")
    page.locator("#told-by input").click()
    page.get_by_role("option").filter(has_text="story-hit").click()
    expect(page.locator("#told")).to_contain_text("<story-hit>")
    expect(page.locator("#recipe-table")).to_contain_text("<story-hit>")
    nothing_came_of_it(page)
    open_tab(page, "Compare")
    page.get_by_role("button", name="not ready").click()
    expect(page.locator("#not-ready")).to_contain_text("<story-hit>")
    nothing_came_of_it(page)


def test_an_own_csv_of_markup_is_text(open_page, tmp_path):
    rows = [f"storyid,storytitle,sentence1,sentence2,sentence3,sentence4,sentence5,{SHORT}"]
    rows += [",".join([SHORT.format(number)] * 8) for number in range(2)] + [",".join([SHORT] * 3)]
    path = tmp_path / "<story-hit>.csv"
    path.write_text("\n".join(rows) + "\n")
    page = open_page(tab="stories")
    page.locator("#stories-file input[type=file]").set_input_files(path)
    expect(page.locator("#stories-figures .left-out")).to_contain_text("row 3")
    nothing_came_of_it(page)
    open_tab(page, "Results")
    page.locator("#own-file input[type=file]").set_input_files(path)
    expect(page.locator("#own-file")).to_contain_text(".csv")
    page.locator("#own-storytellers input").first.uncheck()
    page.locator("#results-run").click()
    expect(page.locator("#own-report")).to_contain_text("row 3")
    nothing_came_of_it(page)
