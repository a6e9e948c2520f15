"""Overfit one story live: a new model retells it while it learns, until it does so word for word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import gradio as gr

from storylab.decoding import check_opening
from storylab.errors import StoryLabError
from storylab.exhibits.by_heart import MOST_CHARACTERS, MOST_SECONDS, RATE, RATES
from storylab.inspection.corpus import small_corpus, typed_story
from storylab.limits import limits
from storylab.ui import cards, panels
from storylab.ui.address import Address
from storylab.ui.controls import AT_ONCE, HIDDEN
from storylab.ui.links import write_query
from storylab.ui.live_overfitting import Asked, Overfitting
from storylab.ui.live_plot import frame, visible
from storylab.ui.texts import EXAMPLES, Labels, Say, speaker
from storylab.ui.visits import Visits
from storylab.ui.work import Latest, Line, in_turn

REFRESH = 0.25
"""Seconds between two looks at how far it is."""
MOST_KEPT = 50
"""Visitors whose model, some 2 MB, is kept to be asked for more."""
STORIES = 4
"""Stories of the small corpus to choose from."""
GREEDY = {"strategy": "greedy"}


class LiveOverfit:
    """The panel's components and what happens between them. `request` is gradio's; its session hash is the visitor."""

    def __init__(self, tab: gr.Tab, label: Labels, visits: Visits, address: Address):
        self.line, self.learnt = Line(1000), Latest[Any](MOST_KEPT)
        stories = small_corpus().stories[:STORIES]
        with gr.Column(elem_classes="sheet", elem_id="overfit"):
            about = {"seconds": MOST_SECONDS}
            head = label.made(lambda say: panels.section(say("live_overfit"), say("live_overfit_about", **about)))
            gr.HTML(head, apply_default_css=False)
            self.story = gr.Textbox(
                "\n".join(stories[0].sentences),
                label=label("live_story"),
                info=label("live_story_info", most=MOST_CHARACTERS),
                lines=5,
                max_lines=10,
                elem_id="overfit-story",
                html_attributes=gr.InputHTMLAttributes(lang="en", autocomplete="off"),
            )
            with gr.Row(elem_classes="live-chips"):
                gr.HTML(label("live_examples"), elem_classes="quiet", apply_default_css=False)
                for story in stories:
                    text = "\n".join(story.sentences)
                    chip = gr.Button(story.title, size="sm", elem_classes="chip")
                    chip.click(lambda text=text: text, outputs=self.story, **AT_ONCE)
            self.rate = gr.Radio(
                [(_rate(rate), rate) for rate in RATES],
                value=RATE,
                label=label("live_rate"),
                info=label("live_rate_info"),
                elem_id="overfit-rate",
            )
            with gr.Row(elem_classes="buttons"):
                run = gr.Button(label("live_train"), variant="primary", elem_id="training-run", elem_classes="run")
                stop = gr.Button(label("stop"), visible=False, elem_id="overfit-stop", elem_classes="stop")
            problem = gr.HTML("", elem_id="overfit-problem", apply_default_css=False)
            look = gr.HTML("", elem_id="overfit-look", apply_default_css=False)
            with gr.Column(visible=False, elem_id="overfit-more") as more:
                self.opening = gr.Textbox(
                    EXAMPLES["storm"],
                    label=label("live_other"),
                    info=label("live_other_info"),
                    lines=1,
                    elem_id="overfit-opening",
                    elem_classes="submits",
                    html_attributes=gr.InputHTMLAttributes(lang="en", autocomplete="off"),
                )
                with gr.Row(elem_classes="buttons"):
                    ask = gr.Button(label("live_ask"), elem_id="overfit-ask")
                told = gr.HTML("", elem_id="overfit-told", apply_default_css=False)
        shown = [problem, look, stop, more, told]
        asked = run.click(self._ask, [self.story, self.rate], shown, **AT_ONCE)
        asked.success(
            self._train,
            outputs=[*shown, address.query],
            concurrency_limit=1,
            concurrency_id="training",
            trigger_mode="multiple",
            **HIDDEN,
        )
        stop.click(self._stop, outputs=[look, stop], **AT_ONCE)
        gr.on([ask.click, self.opening.submit], self._other, self.opening, told, concurrency_limit=2, **HIDDEN)

    @property
    def arriving(self) -> Mapping[gr.blocks.Block, tuple[str, ...]]:
        """What a link fills in."""
        return {self.story: (), self.rate: ()}

    def arrive(self, query: Mapping[str, str], say: Say) -> list[Any]:
        """The story and the learning rate of a link; what is no good is left out."""
        story = rate = gr.skip()
        try:
            if "story" in query:
                story = "\n".join(typed_story(query["story"], MOST_CHARACTERS).sentences)
        except StoryLabError:
            pass
        for known in RATES:
            if query.get("rate") == _rate(known):
                rate = known
        return [story, rate]

    def _ask(self, request: gr.Request, text: str, rate: float) -> list[Any]:
        """What is asked for waits in line, or is refused."""
        say = speaker(request)
        try:
            if not limits().trainings:
                raise StoryLabError(say("problem_no_training"))
            ticket = Asked(typed_story(text, MOST_CHARACTERS), rate if rate in RATES else RATE)
        except StoryLabError as error:
            return [cards.problem(str(error)), *[gr.skip()] * 4]
        self.line.ask(request.session_hash, ticket)
        return ["", frame(panels.progress(say("live_waits"), 0, 1), True), *visible(True, False), ""]

    def _train(self, request: gr.Request) -> Iterator[list[Any]]:
        visitor, say = request.session_hash, speaker(request)
        yield from in_turn(
            self.line,
            visitor,
            lambda ticket: Overfitting(ticket, say),
            lambda work: [gr.skip(), work.shown(), *[gr.skip()] * 4],
            lambda work: self._ended(visitor, work, say),
            [gr.skip()] * 6,
            REFRESH,
        )

    def _ended(self, visitor: str, work: Overfitting, say: Say) -> list[Any]:
        """What is to be seen at the end."""
        ticket = work.asked
        if ticket.left.is_set():  # the visitor has asked for another, or closed the page
            return [gr.skip()] * 6
        if work.learnt is None or work.heard is None:
            words = panels.quiet(say("live_stopped")) if ticket.stop.is_set() else ""
            problem = "" if ticket.stop.is_set() else cards.problem(work.problem)
            return [problem, words, *visible(False, False), "", gr.skip()]
        self.learnt.put(visitor, work.learnt.storyteller)
        rate = _rate(ticket.rate) if ticket.rate != RATE else None
        link = write_query("training", story="\n".join(ticket.story.sentences), rate=rate)
        return ["", work.shown(), *visible(False, True), "", link]

    def _stop(self, request: gr.Request) -> list[Any]:
        if self.line.end(request.session_hash):  # it still waited
            return [panels.quiet(speaker(request)("live_stopped")), gr.update(visible=False)]
        return [gr.skip(), gr.update(visible=False)]

    def leave(self, request: gr.Request) -> None:
        """Forget a visitor whose page is closed."""
        self.line.leave(request.session_hash)
        self.learnt.leave(request.session_hash)

    def _other(self, request: gr.Request, opening: str) -> str:
        say, storyteller = speaker(request), self.learnt.get(request.session_hash)
        if storyteller is None:
            return cards.problem(say("live_gone"))
        try:
            telling = storyteller.tell(check_opening(opening), GREEDY, seed=0)
        except StoryLabError as error:
            return cards.problem(str(error))
        return panels.samples(telling.opening, [telling.text or say("empty_story")])


def _rate(rate: float) -> str:
    return f"{rate:g}"
