"""The parts of the page that need no server: links, cards, visits, texts, what is imported."""

import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from storylab.decoding import OPTIONS, PRESETS, Settings
from storylab.errors import StoryLabError
from storylab.evaluation.report import HEADINGS
from storylab.storytellers import Piece, Telling, describe
from storylab.ui import cards, slot
from storylab.ui.cards import Card
from storylab.ui.links import read_link
from storylab.ui.page import build
from storylab.ui.slot import Cards, Slot
from storylab.ui.texts import LANGUAGES, Labels, Say, chinese, english, language_of, shown_by_browser
from storylab.ui.visits import Run, Visits

ROW = {"name": "teller", "title": "A <teller>", "kind": "seq2seq", "parameters": 12_345_678}
SAY = Say()
NASTY = "<img src=x onerror=alert(1)> & {{value}} ${value} `x`"


def run(name: str = "teller") -> Run:
    return Run(name, "It rained.", Settings(), 1)


def telling(**changes) -> Telling:
    fields = {
        "model": "teller",
        "opening": "It rained.",
        "story": ["She ran.", "He hid."],
        "text": "She ran. He hid.",
        "finished": True,
        "ended_by": "end",
        "seed": 1,
        "settings": {},
        "tokens": 8,
        "seconds": 0.1,
        "seconds_to_first_token": 0.02,
        "tokens_per_second": 80.0,
    }
    return Telling(**fields | changes)


# Start-up


def test_building_the_page_imports_neither_torch_nor_transformers(root):
    code = "import app, sys; print({'torch', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


def test_no_listener_makes_the_browser_go_through_the_page_at_each_message():
    listeners = [
        listener for listener in build().fns.values() if listener.outputs and listener.api_visibility == "private"
    ]
    assert len(listeners) > 100
    assert [listener.name for listener in listeners if listener.show_progress_on != []] == []


# Texts


ENGLISH = LANGUAGES["en"]


def test_every_text_is_used_and_every_used_text_is_there(root):
    source = "".join(path.read_text() for path in (root / "storylab" / "ui").glob("*.py"))
    used = set(re.findall(r"""\b(?:say|label|labels|Say\(\)|speaker\(request\)|_section)\(\s*["']([a-z_]+)""", source))
    assert used <= ENGLISH.keys()
    used |= set(re.findall(r"""["']([a-z_]+)["']""", source)) | OPTIONS.keys()  # chosen by a name of their own
    begins = tuple(re.findall(r"""f["']([a-z]+_)\{""", source))  # f"kind_{...}" and the like
    ends = tuple(re.findall(r"""f["']\{[\w.]+\}(_[a-z]+)["']""", source))  # f"{...}_about"
    unused = {key for key in ENGLISH.keys() - used if not key.startswith(begins) and not key.endswith(ends)}
    assert not unused


def test_no_text_is_written_twice():
    for language in (english, chinese):
        keys = [key for part in language._PARTS for key in part.TEXTS]
        assert len(keys) == len(set(keys))


def test_every_option_has_a_label():
    assert OPTIONS.keys() <= ENGLISH.keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_language_lacks_a_text_or_a_value_in_it(language):
    table = LANGUAGES[language]
    assert ENGLISH.keys() <= table.keys()
    for key, words in ENGLISH.items():
        values = re.compile(r"\{\w+.*?\}")
        assert sorted(values.findall(table[key])) == sorted(values.findall(words)), key
    own = {f"title_{row['name']}" for row in describe()} | {f"preset_{name}" for name in PRESETS}
    own |= {f"help_{name}" for name in OPTIONS}
    own |= {key.replace("fault_", "why_") for key in ENGLISH if key.startswith("fault_")}
    more = table.keys() - ENGLISH.keys()
    assert more <= own | {f"metric_{key}" for key in HEADINGS}, "words for what is not there"
    assert language == "en" or own <= more, "the catalogue, presets and options speak English only"


def test_chinese_is_chinese():
    names = {"other_language", "top_k", "top_p", "min_p", "typical_p", "figure_distinct"}
    for key, words in LANGUAGES["zh-CN"].items():
        letters = re.search("[a-z]", re.sub(r"\{.*?\}", "", words), re.I)
        assert key in names or not letters or re.search("[\u4e00-\u9fff]", words), key


def visitor(accepts: str = "", address: str = "http://here/") -> SimpleNamespace:
    return SimpleNamespace(headers={"accept-language": accepts, "referer": address}, query_params={})


@pytest.mark.parametrize(
    ("request_", "language", "shown"),
    [
        (visitor(), "en", "en"),
        (visitor("de-DE,de;q=0.9"), "en", "en"),
        (visitor("zh-CN,zh;q=0.9,en;q=0.8"), "zh-CN", "zh-CN"),
        (visitor("zh-TW,zh;q=0.9"), "zh-CN", "en"),  # what gradio does not know, the server has to say
        (visitor("zh"), "zh-CN", "en"),
        (visitor("de,zh-CN;q=0.5"), "zh-CN", "en"),
        (visitor("zh-CN", "http://here/?seed=1&lang=en"), "en", "zh-CN"),
        (visitor("en-US", "http://here/?lang=zh-CN"), "zh-CN", "en"),
        (visitor("en-US", "http://here/?lang=%00xx"), "en", "en"),
    ],
)
def test_the_address_decides_on_the_language_then_the_browser(request_, language, shown):
    assert language_of(request_) == language
    assert shown_by_browser(request_.headers["accept-language"]) == shown


def test_labels_stand_in_the_page_in_every_language():
    label = Labels()
    one, other = label("download", size=3.2), label.made(lambda say: f"<b>{say('stop')}</b>")
    assert one.key != other.key
    assert [table[one.key] for table in label.i18n.translations_dict.values()] == ["Download 3 MB", "下载 3 MB"]
    assert [table[other.key] for table in label.i18n.translations_dict.values()] == ["<b>Stop</b>", "<b>停止</b>"]


# Links


def test_a_link_fills_what_it_names():
    query = {"opening": " My  dog ran. ", "models": "b,a", "seed": "7", "preset": "careful", "top_k": "40", "x": "y"}
    link = read_link(query, ["a", "b", "c"])
    assert (link.opening, link.storytellers, link.seed) == ("My dog ran.", ["b", "a"], 7)
    assert link.settings == Settings.from_mapping({"top_k": 40}, "careful")
    assert link.preset is None  # something else than the preset alone
    assert not link.problems


def test_a_link_with_a_preset_alone_keeps_its_name():
    link = read_link({"preset": "beam"}, [])
    assert (link.preset, link.settings) == ("beam", PRESETS["beam"])


def test_an_empty_link_asks_for_nothing():
    link = read_link({}, ["a"])
    assert (link.opening, link.storytellers, link.seed, link.settings, link.problems) == (None, None, None, None, [])


@pytest.mark.parametrize(
    "query",
    [
        {"opening": "x" * 301},
        {"opening": ""},
        {"models": "a,nobody"},
        {"seed": "-1"},
        {"seed": "one"},
        {"preset": "best"},
        {"temperature": "nan"},
        {"temperature": "hot"},
        {"top_k": "1.5"},
        {"top_k": "9" * 5000},
        {"strategy": "luck"},
    ],
)
def test_what_is_no_good_in_a_link_is_left_out_with_a_message(query):
    link = read_link(query | {"sentences": "3"}, ["a"])
    assert len(link.problems) == 1
    assert len(link.problems[0]) < 200
    assert link.settings == Settings(sentences=3)
    assert (link.opening, link.storytellers, link.seed, link.preset) == (None, None, None, None)


# Cards


@pytest.mark.parametrize(
    "html",
    [
        Card(ROW, 0, SAY).waiting(Run("teller", NASTY, Settings(), 1)),
        Card(ROW, 0, SAY).telling(Run("teller", NASTY, Settings(), 1), NASTY, 3),
        Card(ROW, 0, SAY).told(telling(opening=NASTY, story=[NASTY])),
        Card(ROW, 0, SAY).failed(run(), NASTY),
        cards.problem(NASTY),
        cards.not_ready([ROW | {"state": "broken", "reason": NASTY, "download_bytes": 0}], SAY),
    ],
)
def test_what_people_and_models_write_is_never_markup(html):
    assert "<img" not in html
    assert "<teller>" not in html
    assert "&lt;img src=x onerror=alert(1)&gt; &amp;" in html


def test_a_told_card_says_how_it_was_told():
    html = Card(ROW, 1, SAY).told(telling())
    for fact in ("20 ms", "80 tokens/s", "by itself", "12.3 M parameters", "<li>She ran.</li><li>He hid.</li>"):
        assert fact in html


def test_colours_differ_for_the_first_eight_storytellers():
    assert len({Card(ROW, number, SAY).edge for number in range(8)}) == 8


# A storyteller's place on the page


class Stub:
    """A storyteller that tells one word a token, without end unless it is stopped."""

    def stream(self, opening, settings, seed, stop):
        words = 0
        while not stop.is_set():
            words += 1
            yield Piece("word ", 5, -1.0)
        yield telling(opening=opening, seed=seed, ended_by="stopped", tokens=words)


@pytest.fixture
def place(monkeypatch) -> Slot:
    monkeypatch.setattr("storylab.ui.visits.load", lambda name: Stub())
    monkeypatch.setattr(slot, "REFRESH", 0)
    return Slot("teller", Cards({"teller": ROW}), Visits(), Labels(), visible=True)


def drawn(values) -> list[str]:
    """The looks of a card among the values of its component and of the history."""
    return [look for look, _ in values if isinstance(look, str)]


ME = SimpleNamespace(session_hash="me", headers={}, query_params={})


def test_stop_is_shown_on_the_card(place):
    place.visits.start("me", [run()])
    looks = place._tell(ME)
    assert "word" in next(looks)[0]
    place.visits.stop("me")
    *_, last = drawn(looks)
    assert "stopped" in last and 'aria-busy="false"' in last


def test_closing_the_listener_stops_the_telling(place):
    asked = run()
    place.visits.start("me", [asked])
    looks = place._tell(ME)
    next(looks)
    looks.close()
    assert asked.stop.is_set()


def test_a_replaced_telling_shows_nothing_more(place):
    place.visits.start("me", [run()])
    looks = place._tell(ME)
    next(looks)
    place.visits.start("me", [run()])
    assert not drawn(looks)


def test_a_storyteller_that_was_not_asked_leaves_its_card_alone(place):
    assert not drawn(place._tell(ME))


def test_a_storyteller_that_cannot_tell_says_why_on_its_card(place, monkeypatch):
    def refuse(name):
        raise StoryLabError("teller is broken: no weights")

    monkeypatch.setattr("storylab.ui.visits.load", refuse)
    place.visits.start("me", [run()])
    (look,) = drawn(place._tell(ME))
    assert "teller is broken: no weights" in look and 'role="alert"' in look
