"""Training while one looks on, without a browser: asking, waiting, stopping, what is shown."""

import shutil
import threading
import time
from types import SimpleNamespace

import gradio as gr
import pytest

from storylab.exhibits.by_heart import Retelling
from storylab.exhibits.openings import KITE
from storylab.storytellers.storyteller import Storyteller
from storylab.ui import live_finetune
from storylab.ui.address import Address
from storylab.ui.live_finetune import OwnTraining
from storylab.ui.live_overfit import LiveOverfit
from storylab.ui.live_overfitting import Asked, Overfitting
from storylab.ui.live_plot import loss_plot
from storylab.ui.plots import Line as Curve
from storylab.ui.texts import Labels, Say
from storylab.ui.visits import OWN_NAME, Visits
from storylab.ui.work import Latest, Line, Ticket, Work

text = Say()
NASTY = "<img src=x onerror=alert(1)> ${value} `x`"
STORY = "\n".join(KITE.sentences)


def visitor(name: str) -> SimpleNamespace:
    return SimpleNamespace(session_hash=name, headers={}, query_params={})


ME, OTHER = visitor("me"), visitor("other")


@pytest.fixture(scope="module")
def overfit() -> LiveOverfit:
    with gr.Blocks(), gr.Tab("training") as place:
        return LiveOverfit(place, Labels(), Visits(), Address())


@pytest.fixture(scope="module")
def own() -> OwnTraining:
    with gr.Blocks(), gr.Tab("training") as place:
        return OwnTraining(place, Labels(), Visits(), Address())


# Work in threads


def test_work_ends_with_its_with_and_what_it_could_not_do_is_said(capsys):
    class Endless(Work):
        def work(self) -> None:
            self.stop.wait(60)

    class Broken(Work):
        def work(self) -> None:
            raise ValueError("no words for visitors")

    with Endless(text) as work:
        next(work.looks(0.01))
    assert not work.thread.is_alive() and work.problem == ""
    with Broken(text) as work:
        list(work.looks(0.01))
    assert work.problem == text("problem_broken") and "no words for visitors" in capsys.readouterr().err


def test_a_ticket_is_taken_once_and_a_newer_one_stops_it():
    line, first, second = Line(10), Ticket(), Ticket()
    line.ask("me", first)
    assert line.take("me") is first and line.take("me") is None and line.take("other") is None
    line.ask("me", second)
    assert first.stop.is_set() and not second.stop.is_set()
    assert line.end("me") and second.stop.is_set()  # it had not begun
    assert line.take("me") is None
    assert not line.end("nobody")


def test_of_many_visitors_the_oldest_is_forgotten():
    kept = Latest[int](2)
    for number, name in enumerate("abcb"):
        kept.put(name, number)
    assert [kept.get(name) for name in "abc"] == [None, 3, 2]


# Looks


def test_the_plot_is_logarithmic_and_says_in_words_what_it_shows():
    html = loss_plot([Curve("a<b", [(0, 10.0), (5, 1.0), (10, 0.1)], "red")], 10, text)
    assert '<polyline points="0.0,0.0 500.0,200.0 1000.0,400.0"' in html  # a power of ten is half of two
    assert "a&lt;b: from 10 to 0.1 at step 10" in html and "a<b" not in html
    empty = loss_plot([Curve("a", [], "red")], 10, text)
    assert "<polyline" not in empty


def test_what_a_model_tells_is_never_markup_and_right_words_are_marked():
    work = Overfitting(Asked(KITE, 1e-3), text)
    words = [("She", True), (NASTY, False)]
    work._hear(Retelling(5, 1.0, 2.0, f"She {NASTY}", words, 0.02, False))
    html = work.shown()
    assert "<mark>She</mark>" in html and "<img" not in html and "&lt;img" in html


# One story


def test_what_is_no_story_is_refused_and_nothing_is_asked_for(overfit):
    problem, *_ = overfit._ask(OTHER, "Two sentences. No more.", 1e-3)
    assert 'role="alert"' in problem and "2 sentences, 5 are needed" in problem
    assert len(list(overfit._train(OTHER))) == 1  # nothing to do


def test_a_story_is_learnt_shown_linked_and_kept_to_be_asked_for_more(overfit):
    problem, look, *_ = overfit._ask(ME, STORY, 1e-2)
    assert problem == "" and text("live_waits") in look
    *_, (problem, look, stop, more, _, link) = overfit._train(ME)
    assert "Word for word after" in look and f"<mark>{KITE.sentences[1].split()[0]}</mark>" in look
    assert (problem, stop["visible"], more["visible"]) == ("", False, True)
    story, rate = overfit.arrive({"story": KITE.text, "rate": "0.01"}, text)
    assert (story, rate) == (STORY, 1e-2) and "rate=0.01" in link and link.endswith("run=1")
    assert KITE.sentences[4] in overfit._other(ME, "My dog ran away.")
    assert text("live_gone") in overfit._other(OTHER, "My dog ran away.")


def test_a_bad_link_is_left_out(overfit):
    assert all(value == gr.skip() for value in overfit.arrive({"story": "No.", "rate": "nan"}, text))


def test_a_training_ends_soon_after_stop_and_when_the_page_is_closed(overfit):
    for end in (lambda running: overfit._stop(ME), lambda running: running.close()):
        overfit._ask(ME, STORY, 1e-7)
        running = overfit._train(ME)
        for look in running:
            if "live-figures" in str(look[1]):
                break
        began = time.monotonic()
        end(running)
        last = list(running)
        assert time.monotonic() - began < 5  # on a busy machine; one step and one token, some 20 ms
        assert not [thread for thread in threading.enumerate() if thread.name == "Overfitting"]
        assert not last or "Stopped after" in last[-1][1]


def test_what_waits_in_line_can_be_stopped(overfit):
    overfit._ask(ME, STORY, 1e-7)
    look, stop = overfit._stop(ME)
    assert text("live_stopped") in look and not stop["visible"]
    assert len(list(overfit._train(ME))) == 1


# One's own stories


def test_no_file_a_large_one_and_nobody_to_begin_with_are_refused(own, tmp_path):
    large = tmp_path / "large.csv"
    large.write_bytes(b"x" * (live_finetune.MOST_BYTES + 1))
    for path, base, said in (
        (None, "seq2seq", text("problem_file")),
        (str(tmp_path / "gone.csv"), "seq2seq", text("problem_file")),
        (str(large), "seq2seq", "1.0 MB"),
    ):
        problem, *_ = own._ask_own(ME, path, base)
        assert said in problem and 'role="alert"' in problem
    assert not large.exists()
    assert text("problem_choose") in own._ask_small(ME, "gpt2")[0]


def test_a_wrong_file_is_one_clear_message_without_a_path_and_is_deleted(own, tmp_path):
    path = tmp_path / "wrong.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    own._ask_own(ME, str(path), "seq2seq")
    *_, (problem, *_) = own._train(ME)
    assert "rong.csv" in problem and str(tmp_path) not in problem and "missing column" in problem
    assert not path.exists()


def test_stories_are_learnt_until_stop_then_measured_kept_and_compared(own, tmp_path, tiny_csv):
    path = tmp_path / "mine.csv"
    shutil.copy(tiny_csv, path)
    own._ask_own(ME, str(path), "seq2seq")
    running = own._train(ME)
    for look in running:
        if "live-figures" in str(look[1]):
            own._stop(ME)
            break
    *_, (problem, look, _, more, _, opening, field) = running
    assert problem == "" and "what was learnt is kept" in look and look.count("<td>") == 4
    assert more["visible"] and field is None and not path.exists()
    assert isinstance(own.visits.load("me", OWN_NAME), Storyteller) and own.visits.own("other") is None
    *_, told = own._tell(ME, opening)
    assert told.count('<section class="sample"') == 3 and text("title_yours") in told
    *_, refused = own._tell(OTHER, opening)
    assert "train it again" in refused
