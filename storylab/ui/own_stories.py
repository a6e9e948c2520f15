"""Run on your own CSV: the evaluation of the command line, with limits, progress and stop."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from storylab.engines.names import FP32
from storylab.errors import StoryLabError
from storylab.limits import limits
from storylab.storytellers import load
from storylab.ui import cards, panels, tellers
from storylab.ui.controls import AT_ONCE, HIDDEN
from storylab.ui.texts import Labels, Say, speaker
from storylab.ui.visits import Visits
from storylab.ui.work import Line, Ticket, Work

if TYPE_CHECKING:
    from storylab.evaluation.run import Step

MOST_STORYTELLERS = 4
"""Storytellers that go on from them."""
MOST_MINUTES = 15
"""What a run may take."""
MOST_STORIES = 100
"""Stories of it that are told on from."""
REFRESH = 0.3
"""Seconds between two looks at how far it is."""


class Stopped(Exception):
    """The visitor has stopped the run, or left."""


class OwnStories:
    """The panel's components and what happens between them."""

    def __init__(self, tab: gr.Tab, label: Labels, visits: Visits):
        """Build it; the storytellers to choose from are those that are ready when the tab is opened."""
        self.line, self.uploads, rows = Line(1000), visits.uploads, tellers.ready()
        with gr.Column(elem_classes="sheet", elem_id="own"):
            about = {"stories": MOST_STORIES, "storytellers": MOST_STORYTELLERS}
            about["megabytes"] = limits().upload_bytes / 1e6
            head = label.made(lambda say: panels.section(say("own"), say("own_about", **about)))
            gr.HTML(head, apply_default_css=False)
            self.file = gr.File(label=label("own_file"), file_types=[".csv"], elem_id="own-file", height=120)
            self.chosen = gr.CheckboxGroup(
                [(label.made(lambda say, row=row: cards.title(row, say)), row["name"]) for row in rows],
                value=[row["name"] for row in rows[:2]],
                label=label("storytellers"),
                elem_id="own-storytellers",
            )
            with gr.Row(elem_classes="buttons"):
                self.run = gr.Button(label("own_run"), variant="primary", elem_id="results-run", elem_classes="run")
                self.stop = gr.Button(label("stop"), visible=False, elem_id="own-stop", elem_classes="stop")
                self.download = gr.DownloadButton(label("own_download"), visible=False, elem_id="own-download")
            self.progress = gr.HTML("", elem_id="own-progress", apply_default_css=False)
            self.report = gr.Markdown(elem_id="own-report", sanitize_html=True)
        tab.select(self._look, outputs=self.chosen, **AT_ONCE)
        shown = [self.progress, self.report, self.download, self.stop]
        asked = self.run.click(self._ask, [self.file, self.chosen], [*shown, self.file], **AT_ONCE)
        asked.success(
            self._run,
            outputs=shown,
            concurrency_limit=1,
            concurrency_id="own",
            trigger_mode="multiple",
            **HIDDEN,
        )
        self.stop.click(self._stop, outputs=[self.progress, self.stop], **AT_ONCE)
        self.uploads.watch(self.file, "own")

    def _look(self, request: gr.Request) -> dict:
        say = speaker(request)
        return gr.update(choices=[(cards.title(row, say), row["name"]) for row in tellers.ready()])

    def _ask(self, request: gr.Request, path: str | None, chosen: list[str]) -> list:
        """What is asked for waits in line, or is refused; either way the file is no longer where it was."""
        say = speaker(request)
        problem = _problem(path, chosen, say)
        try:
            if problem:
                return [cards.problem(problem), "", gr.update(visible=False), gr.update(visible=False), None]
            self.line.ask(request.session_hash, _Asked(Path(path), chosen))
        finally:
            self.uploads.release(request.session_hash, "own", path)
        return [panels.progress(say("own_waits"), 0, 1), "", gr.update(visible=False), gr.update(visible=True), None]

    def _run(self, request: gr.Request) -> Iterator[list]:
        visitor, say = request.session_hash, speaker(request)
        ticket = self.line.take(visitor)
        if not isinstance(ticket, _Asked):
            yield [gr.skip()] * 4
            return
        try:
            with _Evaluation(ticket, say) as work:
                for _ in work.looks(REFRESH):
                    yield [work.shown(), *[gr.skip()] * 3]
                if ticket.stop.is_set():  # `_stop` has said so, or the visitor has asked for another
                    yield [gr.skip()] * 4
                    return
                archive = gr.update(value=work.archive, visible=True) if work.archive else gr.skip()
                yield [cards.problem(work.problem), work.markdown, archive, gr.update(visible=False)]
        finally:
            self.line.leave(visitor, ticket)

    def _stop(self, request: gr.Request) -> list:
        self.line.end(request.session_hash)
        return [panels.quiet(speaker(request)("own_stopped")), gr.update(visible=False)]

    def leave(self, request: gr.Request) -> None:
        """Forget a visitor whose page is closed."""
        self.line.leave(request.session_hash)


def _problem(path: str | None, chosen: list[str], say: Say) -> str:
    """What is wrong with what was asked for; empty where nothing is."""
    try:
        size = Path(path).stat().st_size if path else 0
    except OSError:
        path = None
    if not path:
        return say("problem_file")
    if size > limits().upload_bytes:
        return say("problem_large", megabytes=size / 1e6, most=limits().upload_bytes / 1e6)
    if not chosen:
        return say("problem_choose")
    if len(chosen) > MOST_STORYTELLERS:
        return say("problem_many", most=MOST_STORYTELLERS)
    return ""


class _Asked(Ticket):
    """A file, copied to a folder of its own that is gone once nobody wants it any more, and who goes on from it."""

    def __init__(self, path: Path, names: list[str]):
        super().__init__()
        self.names, self._kept = names, tempfile.TemporaryDirectory(prefix="storylab-")
        self.folder = Path(self._kept.name)
        self.path = Path(shutil.copyfile(path, self.folder / path.name))

    def end(self) -> None:
        super().end()
        if not self.taken:  # else the work clears up
            self.clear_up()

    def clear_up(self) -> None:
        """Delete the file, and what was made of it."""
        self._kept.cleanup()


class _Evaluation(Work):
    """One run, in a thread of its own."""

    def __init__(self, asked: _Asked, say: Say):
        super().__init__(say, asked)
        self.asked, self.names, self.folder, self.path = asked, asked.names, asked.folder, asked.path
        self.markdown = self.archive = ""
        self.done, self.began = (say("own_begins"), 0, 1), time.monotonic()

    def ended(self) -> None:
        self.asked.clear_up()

    def shown(self) -> str:
        """How far it is."""
        return panels.progress(*self.done)

    def work(self) -> None:
        try:
            self._evaluate()
        except Stopped:
            pass
        except StoryLabError as error:
            raise StoryLabError(str(error).replace(str(self.path), self.path.name)) from None

    def _evaluate(self) -> None:
        from storylab.evaluation.report import to_markdown, write_report
        from storylab.evaluation.run import evaluate, read_for

        storytellers = [load(name, dtype=FP32) for name in self.names]
        stories, bad_rows = read_for(storytellers, self.path, limit=MOST_STORIES)
        report, columns = evaluate(storytellers, stories, on_step=self._note)
        report["bad_rows"] = bad_rows
        write_report(report, columns, self.folder / "made" / "report.json")
        archive = shutil.make_archive(str(self.folder / "storylab-report"), "zip", self.folder / "made")
        self.markdown, self.archive = to_markdown(report), archive

    def _note(self, step: Step) -> None:
        if self.stop.is_set():
            raise Stopped
        if time.monotonic() - self.began > 60 * MOST_MINUTES:
            raise StoryLabError(self.say("problem_long", most=MOST_MINUTES))
        self.done = (step.doing, step.done, step.total)
