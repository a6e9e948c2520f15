"""Fine-tune on your own CSV: a small storyteller learns a visitor's stories, and is set beside the bundled ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from storylab.decoding import check_opening, check_seed
from storylab.errors import StoryLabError
from storylab.exhibits.own import FEWEST_STORIES, MOST_SECONDS, MOST_STORIES, RECIPES, read_own
from storylab.inspection.corpus import small_corpus
from storylab.limits import limits
from storylab.stories import Story
from storylab.storytellers import load
from storylab.ui import cards, panels, tellers
from storylab.ui.address import Address
from storylab.ui.admission import admission, waiting
from storylab.ui.controls import AT_ONCE, HIDDEN
from storylab.ui.live_finetuning import Asked, FineTuning
from storylab.ui.live_plot import frame, visible
from storylab.ui.problems import problem_of
from storylab.ui.texts import EXAMPLES, Labels, Say, speaker
from storylab.ui.visits import OWN_NAME, Visits
from storylab.ui.work import Latest, Line, in_turn

REFRESH = 0.4
"""Seconds between two looks at how far it is."""


class OwnTraining:
    """The panel's components and what happens between them. `request` is gradio's; its session hash is the visitor."""

    def __init__(self, tab: gr.Tab, label: Labels, visits: Visits, address: Address):
        self.line, self.visits, self.bases = Line(1000), visits, Latest[str](1000)
        self.uploads = visits.uploads
        rows = _bases()
        about = {"fewest": FEWEST_STORIES, "most": MOST_STORIES, "megabytes": limits().upload_bytes / 1e6}
        about["minutes"] = MOST_SECONDS / 60
        with gr.Column(elem_classes="sheet", elem_id="finetune"):
            head = label.made(lambda say: panels.section(say("live_own"), say("live_own_about", **about)))
            gr.HTML(head, apply_default_css=False)
            self.file = gr.File(label=label("own_file"), file_types=[".csv"], elem_id="finetune-file", height=120)
            self.base = gr.Radio(
                [(label.made(lambda say, row=row: cards.title(row, say)), row["name"]) for row in rows],
                value=rows[0]["name"] if rows else None,
                label=label("live_base"),
                info=label("live_base_info"),
                elem_id="finetune-base",
            )
            with gr.Row(elem_classes="buttons"):
                run = gr.Button(label("live_finetune"), variant="primary", elem_id="finetune-run")
                small = gr.Button(label("live_small"), elem_id="finetune-small")
                stop = gr.Button(label("stop"), visible=False, elem_id="finetune-stop", elem_classes="stop")
            problem = gr.HTML("", elem_id="finetune-problem", apply_default_css=False)
            look = gr.HTML("", elem_id="finetune-look", apply_default_css=False)
            with gr.Column(visible=False, elem_id="finetune-more") as more:
                self.opening = gr.Textbox(
                    next(iter(EXAMPLES.values())),
                    label=label("live_compare"),
                    info=label("live_compare_info"),
                    lines=1,
                    elem_id="finetune-opening",
                    elem_classes="submits",
                    html_attributes=gr.InputHTMLAttributes(lang="en", autocomplete="off"),
                )
                with gr.Row(elem_classes="buttons"):
                    tell = gr.Button(label("live_tell"), elem_id="finetune-tell")
                told = gr.HTML("", elem_id="finetune-told", apply_default_css=False)
        shown = [problem, look, stop, more, told]
        for button, ask, inputs in (
            (run, self._ask_own, [self.file, self.base]),
            (small, self._ask_small, [self.base]),
        ):
            asked = button.click(ask, inputs, [*shown, self.file], **AT_ONCE)
            asked.success(
                self._train,
                outputs=[*shown, self.opening],
                concurrency_limit=1,
                concurrency_id="training",
                trigger_mode="multiple",
                **HIDDEN,
            )
        stop.click(self._stop, outputs=[look, stop], **AT_ONCE)
        telling = {"concurrency_limit": None, **HIDDEN}  # whoever waits does so in the line of `admission`
        gr.on([tell.click, self.opening.submit], self._tell, self.opening, told, **telling)
        tab.select(self._look, outputs=self.base, **AT_ONCE)
        self.uploads.watch(self.file, "finetune")

    @property
    def arriving(self) -> Mapping[gr.blocks.Block, tuple[str, ...]]:
        """Nothing: a link can't carry a visitor's stories."""
        return {}

    def arrive(self, query: Mapping[str, str], say: Say) -> list[Any]:
        """Nothing."""
        return []

    def _look(self, request: gr.Request) -> dict:
        say = speaker(request)
        return gr.update(choices=[(cards.title(row, say), row["name"]) for row in _bases()])

    def _ask_own(self, request: gr.Request, path: str | None, base: str | None) -> list[Any]:
        """A file is read at once, and kept no longer."""
        say = speaker(request)
        try:
            size = Path(path).stat().st_size if path else None
        except OSError:
            size = None
        if size is None:
            return _refusal(say("problem_file"))
        try:
            if size > (most := limits().upload_bytes):
                return _refusal(say("problem_large", megabytes=size / 1e6, most=most / 1e6))
            return self._ask(request, *read_own(Path(path)), base)
        except StoryLabError as error:
            return _refusal(str(error).replace(path, Path(path).name))
        finally:
            self.uploads.release(request.session_hash, "finetune", path)

    def _ask_small(self, request: gr.Request, base: str | None) -> list[Any]:
        return [*self._ask(request, small_corpus().stories, 0, base)[:-1], gr.skip()]

    def _ask(self, request: gr.Request, stories: Sequence[Story], bad: int, base: str | None) -> list[Any]:
        """What is asked for waits in line, or is refused."""
        say = speaker(request)
        if not limits().trainings:
            return _refusal(say("problem_no_training"))
        if base not in [row["name"] for row in _bases()]:
            return _refusal(say("problem_choose"))
        self.line.ask(request.session_hash, Asked(stories, bad, base))
        return ["", frame(panels.progress(say("live_waits"), 0, 1), True), *visible(True, False), "", None]

    def _train(self, request: gr.Request) -> Iterator[list[Any]]:
        visitor, say = request.session_hash, speaker(request)
        yield from in_turn(
            self.line,
            visitor,
            lambda ticket: FineTuning(ticket, say),
            lambda work: [gr.skip(), work.shown(), *[gr.skip()] * 4],
            lambda work: self._ended(visitor, work, say),
            [gr.skip()] * 6,
            REFRESH,
        )

    def _ended(self, visitor: str, work: FineTuning, say: Say) -> list[Any]:
        """What is to be seen at the end."""
        if work.asked.left.is_set():  # the visitor has asked for another, or closed the page
            return [gr.skip()] * 6
        if work.tuned is None:
            stopped = work.stop.is_set()
            words = panels.quiet(say("live_stopped")) if stopped else ""
            return ["" if stopped else cards.problem(work.problem), words, *visible(False, False), "", gr.skip()]
        self.visits.keep_own(visitor, work.tuned.storyteller)
        self.bases.put(visitor, work.asked.base)
        return ["", work.shown(), *visible(False, True), "", work.tuned.splits.validation[0].opening]

    def _stop(self, request: gr.Request) -> list[Any]:
        if self.line.end(request.session_hash):  # it still waited
            return [panels.quiet(speaker(request)("live_stopped")), gr.update(visible=False)]
        return [gr.skip(), gr.update(visible=False)]  # `_train` shows how it ends

    def leave(self, request: gr.Request) -> None:
        """Forget a visitor whose page is closed."""
        self.line.leave(request.session_hash)
        self.bases.leave(request.session_hash)

    def _tell(self, request: gr.Request, opening: str) -> Iterator[str]:
        """The visitor's storyteller, its base and one more, with one seed, one after the other."""
        say = speaker(request)
        try:
            opening, seed = check_opening(opening), check_seed()
            own = self.visits.load(request.session_hash, OWN_NAME)
            rows = {row["name"]: row for row in tellers.ready()}
            base = self.bases.get(request.session_hash)
            others = [name for name in dict.fromkeys((base, *RECIPES, *rows)) if name in rows][:2]
            head = panels.quiet(say("live_told_about", seed=seed))
            told = ""
            with admission().admit(request, request.session_hash, 1 + len(others)) as place:
                for ahead in waiting(place):
                    yield panels.quiet(say("in_line", number=ahead))
                if not place.has_turn:  # the page is closed
                    return
                yield head + panels.progress(say("live_telling"), 0, 1)
                for name in (OWN_NAME, *others):
                    storyteller = own if name == OWN_NAME else load(name)
                    title = say("title_yours") if name == OWN_NAME else cards.title(rows[name], say)
                    told += panels.samples(title, [storyteller.tell(opening, seed=seed).text or say("empty_story")])
                    yield f'{head}<p class="given">{escape(opening)}</p><div class="samples">{told}</div>'
        except Exception as error:
            yield cards.problem(problem_of(error, say))


def _bases() -> list[dict]:
    """The storytellers that can be fine-tuned here, in the order of their recipes."""
    rows = {row["name"]: row for row in tellers.ready()}
    return [rows[name] for name in RECIPES if name in rows]


def _refusal(problem: str) -> list[Any]:
    """What is wrong; the file, if there was one, is no longer here."""
    return [cards.problem(problem), *[gr.skip()] * 4, None]
