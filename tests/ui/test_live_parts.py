"""Training while one looks on, without a browser: asking, waiting, stopping, what is shown."""

import shutil
import sys
import threading
import time
from types import SimpleNamespace

import gradio as gr
import pytest

from storylab.exhibits.by_heart import Retelling
from storylab.exhibits.openings import KITE
from storylab.limits import limits
from storylab.storytellers.storyteller import Storyteller
from storylab.training.turn import turn
from storylab.ui import live_overfitting
from storylab.ui.address import Address
from storylab.ui.live_finetune import OwnTraining
from storylab.ui.live_overfit import LiveOverfit
from storylab.ui.live_overfitting import Asked, Overfitting
from storylab.ui.live_plot import loss_plot
from storylab.ui.plots import Line as Curve
from storylab.ui.texts import Labels, Say
from storylab.ui.training import TrainingTab
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


class Slow(Work):
    """Takes a second, whatever it is asked."""

    def __init__(self, ticket: Ticket, worth: bool = False):
        super().__init__(text, ticket)
        self.worth, self.cleared = worth, threading.Event()

    @property
    def worth_waiting(self) -> bool:
        return self.worth

    def work(self) -> None:
        time.sleep(1)

    def ended(self) -> None:
        assert not self.thread.is_alive()
        self.cleared.set()


def test_who_leaves_waits_for_nothing_and_what_is_left_clears_itself_up():
    ticket = Ticket()
    work = Slow(ticket)
    began = time.monotonic()
    with work:
        next(work.looks(10))
    assert time.monotonic() - began < 0.5 and work.thread.is_alive()
    assert ticket.stop.is_set() and ticket.left.is_set() and not work.cleared.is_set()
    assert work.cleared.wait(10)


def test_a_stop_that_comes_while_a_look_is_shown_is_answered_at_once_too():
    ticket = Ticket()
    with Slow(ticket, worth=True) as work:
        looks = work.looks(10)
        next(looks)
        ticket.stop.set()
        began = time.monotonic()
        next(looks)
        assert time.monotonic() - began < 0.5


@pytest.mark.parametrize("worth", [False, True])
def test_stop_is_answered_at_once_and_only_what_is_kept_is_waited_for(worth):
    ticket = Ticket()
    threading.Timer(0.1, ticket.stop.set).start()
    began, times = time.monotonic(), []
    with Slow(ticket, worth) as work:
        for _ in work.looks(10):
            times.append(time.monotonic() - began)
    times.append(time.monotonic() - began)
    assert times[1] < 0.5  # the look at the stopped one, or the end
    assert len(times) == (3 if worth else 2) and (times[-1] >= 1) == worth


def test_an_error_that_nobody_can_mend_is_for_the_log(capsys):
    class Broken(Work):
        def work(self) -> None:
            raise ValueError("no words for visitors")

    with Broken(text, Ticket()) as work:
        list(work.looks(0.01))
    assert work.problem == text("problem_broken") and "no words for visitors" in capsys.readouterr().err


def test_a_ticket_is_taken_once_and_a_newer_one_ends_it():
    line, first, second = Line(10), Ticket(), Ticket()
    line.ask("me", first)
    assert line.take("me") is first and line.take("me") is None and line.take("other") is None
    line.ask("me", second)
    assert first.stop.is_set() and first.left.is_set() and not second.stop.is_set()
    assert line.end("me") and second.left.is_set()  # it had not begun
    assert line.take("me") is None
    assert not line.end("nobody")


def test_what_has_begun_is_stopped_for_somebody_who_waits_for_its_end():
    line, ticket = Line(10), Ticket()
    line.ask("me", ticket)
    line.take("me")
    assert not line.end("me") and ticket.stop.is_set() and not ticket.left.is_set()
    line.leave("me", Ticket())  # another one is done
    assert line.get("me") is ticket
    line.leave("me", ticket)
    assert line.get("me") is None and ticket.left.is_set()


def test_a_ticket_is_taken_by_one_of_many_threads():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    for _ in range(50):
        line, taken, together = Line(10), [], threading.Barrier(8)
        line.ask("me", Ticket())

        def take(line=line, taken=taken, together=together) -> None:
            together.wait()
            taken.append(line.take("me"))

        threads = [threading.Thread(target=take) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(ticket is not None for ticket in taken) == 1
    sys.setswitchinterval(before)


def test_of_many_visitors_the_oldest_is_forgotten_and_ended():
    kept = Latest[int](2)
    for number, name in enumerate("abcb"):
        kept.put(name, number)
    assert [kept.get(name) for name in "abc"] == [None, 3, 2]
    kept.leave("b")
    assert kept.get("b") is None
    line, tickets = Line(2), [Ticket() for _ in range(3)]
    for name, ticket in zip("abc", tickets, strict=True):
        line.ask(name, ticket)
    assert [ticket.left.is_set() for ticket in tickets] == [True, False, False]


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


def gone(name: str) -> bool:
    """Whether the threads of a name end soon."""
    for thread in [thread for thread in threading.enumerate() if thread.name == name]:
        thread.join(10)  # on a busy machine; one step and one token, some 20 ms
    return name not in [thread.name for thread in threading.enumerate()]


def under_way(running) -> None:
    """Go on until the figures of a training are seen."""
    for look in running:
        if "live-figures" in str(look[1]):
            return
    raise AssertionError("it has ended")


def test_a_training_ends_soon_after_stop_and_says_how_far_it_came(overfit):
    overfit._ask(ME, STORY, 1e-7)
    running = overfit._train(ME)
    under_way(running)
    began = time.monotonic()
    overfit._stop(ME)
    *_, last = running
    assert time.monotonic() - began < 5
    assert "Stopped after" in last[1] and last[3]["visible"]
    assert gone("Overfitting") and overfit.line.get("me") is None


def test_a_training_that_runs_out_of_time_says_so(overfit, monkeypatch):
    monkeypatch.setattr(live_overfitting, "MOST_SECONDS", 4)  # so that a busy machine has learnt something too
    overfit._ask(ME, STORY, 1e-7)
    *_, last = overfit._train(ME)
    assert "The time is up after" in last[1]


def test_closing_the_page_waits_for_nothing_and_ends_the_training(overfit):
    overfit._ask(ME, STORY, 1e-7)
    running = overfit._train(ME)
    under_way(running)
    began = time.monotonic()
    running.close()  # in gradio's event loop
    assert time.monotonic() - began < 0.1
    assert gone("Overfitting")


def test_with_the_page_goes_what_a_visitor_had(overfit, own):
    for panel, kept in ((overfit, overfit.learnt), (own, own.bases)):
        ticket = Ticket()
        panel.line.ask("me", ticket)
        kept.put("me", "something")
        kept.put("other", "something")
        panel.leave(ME)
        assert ticket.left.is_set() and panel.line.get("me") is None
        assert kept.get("me") is None and kept.get("other")


def test_the_page_tells_the_panels_that_it_is_closed():
    with gr.Blocks() as page, gr.Tabs() as bar, gr.Tab("training") as place:
        tab = TrainingTab(place, Labels(), Visits(), Address())
        tab.connect(page, {}, bar)
    told = [listener.fn for listener in page.fns.values() if any(event == "unload" for _, event in listener.targets)]
    assert {panel.leave for panel in tab.live} <= set(told)


def test_what_waits_in_line_can_be_stopped(overfit):
    overfit._ask(ME, STORY, 1e-7)
    look, stop = overfit._stop(ME)
    assert text("live_stopped") in look and not stop["visible"]
    assert len(list(overfit._train(ME))) == 1


# One's own stories


def test_no_file_a_large_one_and_nobody_to_begin_with_are_refused(own, tmp_path, tiny_csv):
    large, other = tmp_path / "large.csv", tmp_path / "other.csv"
    large.write_bytes(b"x" * (limits().upload_bytes + 1))
    shutil.copy(tiny_csv, other)
    for path, base, said in (
        (None, "seq2seq", text("problem_file")),
        (str(tmp_path / "gone.csv"), "seq2seq", text("problem_file")),
        (str(large), "seq2seq", "1.0 MB"),
        (str(other), "gpt2", text("problem_choose")),
    ):
        problem, *_, field = own._ask_own(ME, path, base)
        assert said in problem and 'role="alert"' in problem and field is None
    assert not large.exists() and not other.exists()
    assert text("problem_choose") in own._ask_small(ME, "gpt2")[0]
    assert len(list(own._train(ME))) == 1  # nothing to do


def test_a_wrong_file_is_one_clear_message_without_a_path_and_is_deleted(own, tmp_path):
    path = tmp_path / "wrong.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    problem, *_ = own._ask_own(ME, str(path), "seq2seq")
    assert "rong.csv" in problem and str(tmp_path) not in problem and "missing column" in problem
    assert not path.exists()


def test_no_file_waits_whatever_becomes_of_who_asked(own, tmp_path, tiny_csv):
    tickets = []
    for name in ("first.csv", "second.csv"):
        path = tmp_path / name
        shutil.copy(tiny_csv, path)
        problem, look, *_ = own._ask_own(ME, str(path), "seq2seq")
        assert problem == "" and text("live_waits") in look
        assert not path.exists()  # it is read already
        tickets.append(own.line.get("me"))
    assert [ticket.left.is_set() for ticket in tickets] == [True, False]  # replaced while it waited
    assert len(tickets[1].stories) == 64
    own.leave(ME)  # left while it waited
    assert tickets[1].left.is_set() and len(list(own._train(ME))) == 1


def test_stop_is_answered_while_a_training_gets_ready_and_while_it_waits_for_its_turn(own):
    with turn():  # another one trains
        own._ask_small(ME, "seq2seq")
        running = own._train(ME)
        assert text("live_begins") in next(running)[1]
        threading.Timer(0.2, own._stop, [ME]).start()
        began = time.monotonic()
        *_, (problem, look, stop, *_) = running
        assert time.monotonic() - began < 0.2 + 1  # 0.02 s on a machine of one's own
        assert problem == "" and text("live_stopped") in look and not stop["visible"]
        assert gone("FineTuning")


def test_closing_the_page_during_a_fine_tuning_waits_for_nothing_and_keeps_nothing(own):
    own.visits.leave("other")
    own._ask_small(OTHER, "seq2seq")
    running = own._train(OTHER)
    under_way(running)
    began = time.monotonic()
    own.leave(OTHER)
    running.close()
    assert time.monotonic() - began < 0.1
    assert gone("FineTuning") and own.visits.own("other") is None


def test_stories_are_learnt_until_stop_then_measured_kept_and_compared(own, tmp_path, tiny_csv):
    path = tmp_path / "mine.csv"
    shutil.copy(tiny_csv, path)
    own._ask_own(ME, str(path), "seq2seq")
    running = own._train(ME)
    under_way(running)
    own._stop(ME)
    *_, (problem, look, _, more, _, opening) = running
    assert problem == "" and "what was learnt is kept" in look and look.count("<td>") == 4
    assert more["visible"]
    assert isinstance(own.visits.load("me", OWN_NAME), Storyteller) and own.visits.own("other") is None
    *_, told = own._tell(ME, opening)
    assert told.count('<section class="sample"') == 3 and text("title_yours") in told
    *_, refused = own._tell(OTHER, opening)
    assert "train it again" in refused
