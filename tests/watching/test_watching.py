"""Logs and metrics: what is in them, what never is, and when there are any."""

import json
import subprocess
import sys
import urllib.request

import pytest

from storylab import watching
from storylab.cli import main
from storylab.errors import StoryLabError
from storylab.storytellers import load
from storylab.storytellers.observers import Account, observe
from storylab.watching import settings
from storylab.watching.log import Log, frames_of
from storylab.watching.metrics import MOST_NAMES, OTHERS, Metrics

OPENING = "A zebra whistled."
FIELDS = ["time", "event", "storyteller", "seed", "tokens", "seconds_to_first_token", "seconds", "ended_by"]
FIELDS += ["engine", "dtype"]


@pytest.fixture(scope="module")
def teller():
    return load("seq2seq", dtype="fp32")


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    for name in (settings.LOG, settings.METRICS_PORT, settings.METRICS_HOST):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def begin():
    ends = []

    def begin(**options):
        ends.append(watching.begin("0", **options))

    yield begin
    for end in ends:
        end()


def lines(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


# The log


def test_a_telling_is_one_line_without_its_text(begin, teller, monkeypatch, capsys):
    monkeypatch.setenv(settings.LOG, "on")
    begin()
    telling = teller.tell(OPENING, {"max_new_tokens": 8}, seed=3)
    written = capsys.readouterr().err
    assert "zebra" not in written and telling.text not in written and written.count("\n") == 1
    line = json.loads(written)
    assert list(line) == FIELDS
    assert line["time"].endswith("Z") and line["event"] == "told"
    assert {name: line[name] for name in ("seed", "tokens", "seconds", "ended_by")} == {
        name: getattr(telling, name) for name in ("seed", "tokens", "seconds", "ended_by")
    }
    assert (line["storyteller"], line["engine"], line["dtype"]) == ("seq2seq", "onnx", "fp32")


def test_texts_are_there_where_they_are_asked_for(begin, teller, monkeypatch, capsys):
    monkeypatch.setenv(settings.LOG, "texts")
    begin()
    telling = teller.tell("Él saw a 🙂.", {"max_new_tokens": 8}, seed=3)
    written = capsys.readouterr().err
    line = json.loads(written)
    assert written.isascii() and (line["opening"], line["text"]) == (telling.opening, telling.text)
    assert line["settings"] == telling.settings


@pytest.mark.parametrize("mode", ["on", "texts"])
def test_a_refusal_quotes_nobody_unless_texts_are_asked_for(begin, teller, monkeypatch, capsys, mode):
    monkeypatch.setenv(settings.LOG, mode)
    begin()
    with pytest.raises(StoryLabError, match="zebra"):
        teller.tell(OPENING, {"strategy": "zebra"}, seed=3)
    (line,) = lines(capsys)
    assert (line["event"], line["ended_by"], line["error"], line["seed"]) == (
        "refused",
        "refused",
        "StoryLabError",
        None,
    )
    assert ("zebra" in json.dumps(line)) == (mode == "texts")
    assert line["at"][-1].startswith("storylab/decoding/settings.py:")


def test_a_failure_is_one_line_and_told_once(begin, teller, monkeypatch, capsys):
    def session(*_):
        raise RuntimeError(f"the model broke\nat {OPENING}")

    monkeypatch.setenv(settings.LOG, "on")
    monkeypatch.setattr(type(teller), "session", session)
    begin()
    with pytest.raises(RuntimeError) as failure:
        teller.tell(OPENING, seed=3)
    watching.note(failure.value)  # as the page does with what reaches it
    written = capsys.readouterr().err
    assert "zebra" not in written
    line = json.loads(written)
    assert (line["event"], line["error"], line["seed"]) == ("failed", "RuntimeError", 3)
    assert line["at"][-1].endswith(" session") and not any(place.startswith("/") for place in line["at"])


def test_a_failure_elsewhere_is_one_line_too(begin, monkeypatch, capsys):
    monkeypatch.setenv(settings.LOG, "on")
    begin()
    watching.note(KeyError(OPENING))
    (line,) = lines(capsys)
    assert (line["event"], line["error"]) == ("failed", "KeyError") and "zebra" not in json.dumps(line)


def test_without_a_log_a_failure_is_a_traceback(begin, capsys):
    begin()
    try:
        json.loads("{")
    except ValueError as error:
        watching.note(error)
    written = capsys.readouterr().err
    assert written.startswith("Traceback") and written.rstrip().endswith("(char 1)")


def test_frames_name_no_folder_of_the_machine():
    try:
        json.loads("{")
    except ValueError as error:
        places = frames_of(error)
    assert len(places) > 2 and not any(place.startswith("/") for place in places)
    assert places[0].endswith("test_frames_name_no_folder_of_the_machine") and "json/decoder.py:" in places[-1]


def test_a_stderr_that_is_gone_ends_no_telling(teller, monkeypatch, tmp_path):
    log = Log()
    end = observe(log.observe)
    try:
        with open(tmp_path / "gone", "w") as stream:
            monkeypatch.setattr(sys, "stderr", stream)
        assert teller.tell(OPENING, {"max_new_tokens": 2}, seed=3).tokens == 2
    finally:
        end(), log.close()


# When there is one


@pytest.mark.parametrize(
    ("given", "page", "terminal", "log", "texts"),
    [
        ("", True, False, True, False),
        ("", True, True, False, False),
        ("", False, False, False, False),
        ("auto", True, False, True, False),
        ("off", True, False, False, False),
        ("on", True, True, True, False),
        ("on", False, True, True, False),
        ("texts", False, True, True, True),
    ],
)
def test_a_page_logs_where_nobody_looks_on_a_command_where_it_is_told_to(
    monkeypatch, given, page, terminal, log, texts
):
    monkeypatch.setenv(settings.LOG, given)
    monkeypatch.setattr(settings, "at_a_terminal", lambda: terminal)
    watched = settings.read_settings(page)
    assert (watched.log, watched.texts, watched.port) == (log, texts, None)


def test_a_terminal_is_told_from_a_file_and_from_nothing(monkeypatch, tmp_path):
    for stream in (None, open(tmp_path / "file", "w")):  # noqa: SIM115 - closed below
        monkeypatch.setattr(sys, "stderr", stream)
        assert settings.at_a_terminal() is False
    sys.stderr.close()
    assert settings.at_a_terminal() is False


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (settings.LOG, "loud"),
        (settings.LOG, "ON"),
        (settings.METRICS_PORT, "-1"),
        (settings.METRICS_PORT, "0"),
        (settings.METRICS_PORT, "65536"),
        (settings.METRICS_PORT, "9" * 5000),
        (settings.METRICS_PORT, "٣"),
        (settings.METRICS_PORT, "http"),
    ],
)
def test_a_setting_that_means_nothing_is_refused(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(StoryLabError, match=name) as refusal:
        settings.read_settings(page=True)
    assert len(str(refusal.value)) < 200


def test_a_command_refuses_it_in_one_line(monkeypatch, capsys):
    monkeypatch.setenv(settings.LOG, "loud")
    assert main(["models"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("storylab: STORYLAB_LOG") and captured.err.count("\n") == 1


def test_a_page_refuses_it_in_one_line_before_it_is_served(monkeypatch):
    from storylab.ui.page import launch

    monkeypatch.setenv(settings.LOG, "loud")
    with pytest.raises(SystemExit, match=r"^storylab: STORYLAB_LOG must be one of .*$"):
        launch(None)  # there is none, and it is not asked for


def test_a_command_serves_no_metrics(monkeypatch):
    monkeypatch.setenv(settings.METRICS_PORT, "9464")
    assert settings.read_settings(page=False).port is None
    assert settings.read_settings(page=True).port == 9464


# Metrics


def test_tellings_tokens_and_times_are_counted(teller):
    metrics = Metrics("0")
    end = observe(metrics.observe)
    try:
        tellings = [teller.tell(OPENING, {"max_new_tokens": 4}, seed=seed) for seed in range(3)]
        pieces = teller.stream(OPENING, seed=3)
        next(pieces)
        assert value(metrics, "storylab_running") == 1
        pieces.close()
    finally:
        end()
    by = {"storyteller": "seq2seq"}
    assert value(metrics, "storylab_tellings_total", **by, ended_by="tokens") == 3
    assert value(metrics, "storylab_tellings_total", **by, ended_by="left") == 1
    assert value(metrics, "storylab_tokens_total", **by) == sum(telling.tokens for telling in tellings) + 1
    assert value(metrics, "storylab_seconds_to_first_token_count", **by) == 4
    assert value(metrics, "storylab_telling_seconds_count", **by) == 3
    rates = sum(telling.tokens_per_second for telling in tellings)
    assert value(metrics, "storylab_tokens_per_second_sum", **by) == pytest.approx(rates)
    assert value(metrics, "storylab_running") == 0


def test_failures_are_counted_by_their_class():
    metrics = Metrics("0")
    metrics.observe(Account("teller", "failed", error=MemoryError()))
    metrics.observe(Account("teller", "refused", error=StoryLabError("no")))
    metrics.failed(KeyError("x"))
    assert value(metrics, "storylab_errors_total", storyteller="teller", error="MemoryError") == 1
    assert value(metrics, "storylab_errors_total", storyteller=OTHERS, error="KeyError") == 1
    assert value(metrics, "storylab_tellings_total", storyteller="teller", ended_by="refused") == 1
    assert value(metrics, "storylab_errors_total", storyteller="teller", error="StoryLabError") is None


def test_names_without_end_are_counted_as_others():
    metrics = Metrics("0")
    for number in range(MOST_NAMES + 5):
        metrics.observe(Account(f"teller-{number}", "refused", error=StoryLabError("no")))
    assert value(metrics, "storylab_tellings_total", storyteller=OTHERS, ended_by="refused") == 5


def test_they_are_served_on_this_machine_alone():
    metrics = Metrics("1.2.3", waiting=lambda: 7)
    port = metrics.serve(0, settings.Watched.host)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        page = answer.read().decode()
    assert 'storylab_info{version="1.2.3"} 1.0' in page and "storylab_waiting 7.0" in page
    with pytest.raises(StoryLabError, match=rf"metrics can't be served at 127\.0\.0\.1:{port}: ") as refusal:
        Metrics("0").serve(port, "127.0.0.1")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("host", ["203.0.113.1", "x" * 300])
def test_a_host_that_is_none_is_refused(host):
    with pytest.raises(StoryLabError, match="metrics can't be served at"):
        Metrics("0").serve(0, host)


def test_a_page_without_a_port_imports_no_client(root):
    code = "import sys; from storylab.watching import begin; begin('0', page=True)(); print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=120)
    names = ended.stdout.split()
    assert "storylab.watching.log" in names and not {"prometheus_client", "torch", "transformers"} & set(names)
