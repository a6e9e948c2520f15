"""The page in a browser, wide and narrow, light and dark."""

import re

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.browser

DOG = "My dog ran away."
FOUR = ("encoder", "seq2seq", "gpt2-mini", "gpt2-mini-finetuned")


def tell_button(page: Page) -> Locator:
    return page.get_by_role("button", name=re.compile("^tell", re.I)).first


def opening(page: Page) -> Locator:
    return page.get_by_role("textbox", name="First sentence")


def card(page: Page, name: str) -> Locator:
    return page.locator(f'.card[data-storyteller="{name}"]')


def wait_until_told(page: Page) -> None:
    expect(page.locator(".card.told, .card.failed").first).to_be_visible()
    expect(page.locator(".card.idle, .card.waiting, .card.telling")).to_have_count(0)


def stories(page: Page) -> list[str]:
    return page.locator(".card ol").all_inner_texts()


def sideways(page: Page) -> int:
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_one_button_tells_four_stories(open_page, width, scheme):
    page = open_page(width, scheme)
    expect(opening(page)).to_have_value("Every weekend the Jefferson's go to the park.")
    assert page.locator(".card.idle").count() == 4
    assert page.locator(".card.told").count() == 0  # nothing runs unasked
    tell_button(page).click()
    wait_until_told(page)
    for name in FOUR:
        facts = card(page, name).locator("footer dd").all_inner_texts()
        assert re.fullmatch(r"\d+", facts[0])
        assert re.fullmatch(r"\d+ ms", facts[1])
        assert re.fullmatch(r"\d+ tokens/s", facts[2])
        assert int(facts[3]) > 0
        assert card(page, name).locator("li").count() >= 2
    assert sideways(page) <= 0


def test_cards_keep_their_places_while_a_story_grows(open_page):
    page = open_page(opening=DOG, seed="11", preset="careful")
    before = card(page, "seq2seq").bounding_box()
    tell_button(page).click()
    wait_until_told(page)
    after = card(page, "seq2seq").bounding_box()
    assert (before["x"], before["width"]) == (after["x"], after["width"])
    assert abs(before["height"] - after["height"]) < 60  # a very long story may add a line or two


def test_the_same_link_tells_the_same_story(open_page):
    query = {"opening": DOG, "models": "seq2seq", "seed": "11", "preset": "careful"}
    told = []
    for width in (1280, 390):
        page = open_page(width, **query)
        expect(card(page, "encoder")).to_have_count(0)
        opening(page).press("Enter")
        wait_until_told(page)
        told.append(stories(page))
    assert told[0] == told[1]


def test_retry_tells_one_card_anew_with_another_seed(open_page):
    page = open_page(opening=DOG, seed="11")
    tell_button(page).click()
    wait_until_told(page)
    before = stories(page)
    card(page, "seq2seq").get_by_role("button", name="Retry").click()
    expect(card(page, "seq2seq").locator("footer dd").first).not_to_have_text("11")
    wait_until_told(page)
    after = stories(page)
    assert after[1] != before[1]
    assert [after[0], *after[2:]] == [before[0], *before[2:]]


def test_copy_puts_the_whole_story_on_the_clipboard(open_page):
    page = open_page(opening=DOG, seed="11")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tell_button(page).click()
    wait_until_told(page)
    card(page, "seq2seq").get_by_role("button", name="Copy").click()
    expect(card(page, "seq2seq").get_by_role("button", name="Copied")).to_be_visible()
    lines = card(page, "seq2seq").locator("li").all_inner_texts()
    assert page.evaluate("navigator.clipboard.readText()") == " ".join(lines)


STOP_AS_SOON_AS_ONE_TELLS = """() => new Promise((done) => {
  const seen = new MutationObserver(() => {
    if (!document.querySelector(".card.telling")) return;
    seen.disconnect();
    const began = performance.now();
    document.querySelector("#compare-stop").click();
    const wait = setInterval(() => {
      if (document.querySelector(".card.waiting, .card.telling")) return;
      clearInterval(wait);
      done(performance.now() - began);
    }, 5);
  });
  seen.observe(document.body, { subtree: true, childList: true, attributes: true });
  document.querySelector("#compare-run").click();
})"""


def test_stop_ends_every_telling(open_page):
    # Hot enough to ramble on to the token limit, so that there is something to stop.
    page = open_page(opening=DOG, temperature="5", top_p="1", sentences="10", max_new_tokens="512", seed="1")
    milliseconds = page.evaluate(STOP_AS_SOON_AS_ONE_TELLS)
    ended = [card(page, name).locator("footer dd").last.inner_text() for name in FOUR]
    assert "stopped" in ended
    assert milliseconds < 1000  # 200 on a machine of one's own


def test_tell_starts_anew_while_a_story_is_told(open_page):
    page = open_page(opening=DOG, temperature="5", top_p="1", sentences="10", max_new_tokens="512")
    tell_button(page).click()
    expect(page.locator(".card.telling").first).to_be_visible()
    opening(page).fill("The cat sat down.")
    tell_button(page).click()
    wait_until_told(page)
    assert page.locator("li.opening").all_inner_texts() == ["The cat sat down."] * 4


def test_a_bad_opening_is_answered_in_place(open_page):
    page = open_page(390)
    for words, message in (
        ("", "The opening is empty"),
        ("word " * 100, "at most 300 are allowed"),
        ("?!", "no letter or digit"),
    ):
        opening(page).fill(words)
        tell_button(page).click()
        expect(page.get_by_role("alert")).to_contain_text(message)
        expect(page.locator(".card.idle")).to_have_count(4)
    opening(page).fill("The cat sat down.")
    tell_button(page).click()
    expect(page.get_by_role("alert")).to_have_count(0)
    wait_until_told(page)


def test_a_bad_seed_and_no_storyteller_are_answered_in_place(open_page):
    page = open_page()
    page.get_by_role("button", name="Settings and seed").click()
    page.get_by_role("textbox", name="Seed").fill("-1")
    tell_button(page).click()
    expect(page.get_by_role("alert")).to_contain_text("Seed must be a whole number")
    page.get_by_role("button", name="New seed").click()
    expect(page.get_by_role("textbox", name="Seed")).not_to_have_value("-1")
    for box in page.locator("#storytellers input").all():
        box.uncheck()
    tell_button(page).click()
    expect(page.get_by_role("alert")).to_contain_text("Choose at least one storyteller")


def test_a_damaged_storyteller_is_listed_with_its_reason_and_not_offered(open_page):
    page = open_page()
    page.get_by_role("button", name="not ready").click()
    expect(page.locator("#not-ready")).to_contain_text("is damaged")
    expect(page.locator("#storytellers input")).to_have_count(8)
    labels = page.locator("#storytellers label").all_inner_texts()
    assert len(labels) == 8 and not any("damaged" in label for label in labels)


def test_what_a_visitor_types_is_never_run(open_page):
    nasty = "<img src=x onerror=\"document.title='run'\"> {{7*7}} ${document.title='run'} </script><b>dog</b>"
    page = open_page(opening=nasty)
    tell_button(page).click()
    wait_until_told(page)
    assert page.locator("li.opening").all_inner_texts() == [nasty] * 4
    assert page.title() == "StoryLab"
    assert page.locator(".card img, .card ol b").count() == 0


def test_a_preset_sets_the_sliders_and_a_slider_leaves_the_preset(open_page):
    page = open_page()
    page.get_by_role("button", name="Settings and seed").click()
    preset = page.locator("#preset input")
    preset.click()
    page.get_by_role("option", name="careful").click()
    temperature = page.get_by_role("spinbutton", name=re.compile("Temperature"))
    expect(temperature).to_have_value("0.6")
    temperature.fill("0.7")
    temperature.press("Tab")
    expect(preset).to_have_value("own settings")
    page.get_by_role("radio", name="greedy").check()
    expect(temperature).to_have_count(0)  # greedy heeds no temperature


def test_one_that_is_not_there_is_stood_in_for_and_its_card_says_so(open_page):
    page = open_page(opening=DOG, models="gpt2,gpt2-mini", seed="5")
    expect(page.get_by_label("GPT-2 124M, zero-shot (not downloaded)")).to_be_checked()
    tell_button(page).click()
    wait_until_told(page)
    note = card(page, "gpt2").get_by_role("note")
    expect(note).to_have_text("GPT-2 124M, zero-shot is not here. GPT-2 mini, zero-shot tells in its place.")
    expect(card(page, "gpt2-mini").get_by_role("note")).to_have_count(0)
    stand_in, itself = stories(page)
    assert stand_in == itself  # the same model, seed and settings


def test_a_download_says_what_it_weighs_and_why_it_failed(open_page):
    page = open_page()
    page.get_by_role("button", name="not ready").click()
    line = page.locator(".download", has_text="GPT-2 124M")
    expect(line).to_contain_text("551 MB")
    line.get_by_role("button", name="Download").click()
    expect(line).to_contain_text("HF_HUB_OFFLINE keeps programs from")  # the tests are offline
    expect(line).to_contain_text("out of reach")
    expect(line.get_by_role("button", name="Download")).to_be_visible()
    expect(line.get_by_role("button", name="Cancel")).to_have_count(0)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_results_are_drawn_and_answer(open_page, width, scheme):
    page = open_page(width, scheme)
    page.get_by_role("tab", name="Results").click()
    for chart in ("#whiskers", "#matrix"):
        drawn = page.locator(f"{chart} svg.marks")
        expect(drawn).to_be_visible()
        box = drawn.bounding_box()
        assert box["width"] > 200 and box["height"] > 100
    assert page.locator("#differences tr").count() > 10
    page.locator("#second input").click()
    page.get_by_role("option", name="seq2seq", exact=True).click()
    expect(page.locator("#differences thead")).to_contain_text("seq2seq")
    assert sideways(page) <= 0


def test_a_blind_vote_names_the_tellers_afterwards(open_page):
    page = open_page()
    page.get_by_role("tab", name="Results").click()
    page.get_by_role("button", name="Show me two stories").click()
    left = page.get_by_role("button", name="The left one is better")
    expect(left).to_be_visible()
    assert page.locator("#pair h3").all_inner_texts() == ["The left one", "The right one"]
    left.click()
    expect(page.locator("#pair .picked h3")).not_to_have_text("The left one")
    expect(page.locator("#standings tbody tr")).to_have_count(2)


def test_ones_own_stories_are_evaluated(open_page, tiny_csv, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(tiny_csv.read_text(encoding="utf-8").splitlines()[:3]), encoding="utf-8")
    page = open_page()
    page.get_by_role("tab", name="Results").click()
    page.locator("#own-file input[type=file]").set_input_files(path)
    expect(page.locator("#own-file")).to_contain_text("mine")
    page.get_by_role("button", name="Evaluate").click()
    expect(page.locator("#own-report")).to_contain_text("2 stories")
    expect(page.get_by_text("Download the report")).to_be_visible()
    page.get_by_role("button", name="Evaluate").click()  # the file is gone by now
    expect(page.locator("#own-progress .problem")).to_contain_text("Choose a CSV file first")


CHINESE = re.compile("[\u4e00-\u9fff]")


@pytest.mark.parametrize(
    ("width", "scheme", "locale", "lang"), [(1280, "light", "zh-CN", ""), (390, "dark", "en-US", "zh")]
)
def test_the_page_speaks_chinese_to_who_reads_it_or_asks_for_it(open_page, width, scheme, locale, lang):
    page = open_page(width, scheme, locale, opening=DOG, models="seq2seq", **({"lang": lang} if lang else {}))
    expect(page.locator("#compare-run")).to_have_text("讲故事")
    page.locator("#compare-run").click()
    wait_until_told(page)
    expect(card(page, "seq2seq").locator("h2")).to_have_text("编码器-解码器，从零训练")
    assert all(CHINESE.search(words) for words in card(page, "seq2seq").locator("dt").all_inner_texts())
    page.get_by_role("button", name="设置与随机种子").click()
    expect(page.locator("#setting-temperature")).to_contain_text("温度")
    page.get_by_role("tab", name="结果").click()
    expect(page.locator("#leaderboard")).to_contain_text("每词困惑度")
    page.locator("#results-run").click()
    expect(page.locator("#own-progress .problem")).to_have_text("请先选择一个 CSV 文件。")
    assert "__i18n__" not in page.content().split("<body")[1].split("<script")[0]
    assert sideways(page) <= 0


def test_the_switch_leads_to_the_other_language_and_keeps_the_rest(open_page):
    page = open_page(opening=DOG, seed="11", models="encoder")
    page.get_by_role("link", name="中文").click()
    expect(page.locator("#compare-run")).to_have_text("讲故事")
    expect(page.locator("#opening textarea")).to_have_value(DOG)
    page.get_by_role("link", name="English").click()
    expect(page.locator("#compare-run")).to_have_text("Tell")
    expect(page.locator("#opening textarea")).to_have_value(DOG)


NOTE_WHEN_ONE_TELLS = """() => {
  window.oneTells = false;  // a story may be told between two looks from outside
  new MutationObserver(() => {
    if (document.querySelector(".card.telling")) window.oneTells = true;
  }).observe(document.body, { subtree: true, childList: true, attributes: true });
}"""


def test_the_keyboard_tells_and_stops(open_page):
    page = open_page(opening=DOG, models="seq2seq", temperature="5", top_p="1", max_new_tokens="512", seed="5")
    page.locator("#seed input, #storytellers input").first.press("Control+Enter")
    wait_until_told(page)
    told = stories(page)
    page.evaluate(NOTE_WHEN_ONE_TELLS)
    page.keyboard.press("Control+Enter")
    page.wait_for_function("window.oneTells")
    page.keyboard.press("Escape")
    wait_until_told(page)
    assert told[0].startswith(stories(page)[0][:20])


def test_faults_are_named_and_measures_stand_beside_the_story(open_page):
    page = open_page(opening=DOG, models="gpt2-mini", preset="greedy", sentences="10")
    tell_button(page).click()
    wait_until_told(page)
    teller = card(page, "gpt2-mini")
    expect(teller.locator(".faults li").first).to_contain_text("repetition penalty")
    assert teller.locator(".measures dd").count() == 5
    assert re.fullmatch(r"\d+", teller.locator(".measures dd").first.inner_text())
