"""The blind vote: two stories of one opening, told by two storytellers who are named once one is picked."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import gradio as gr

from storylab.decoding import check_seed
from storylab.errors import StoryLabError
from storylab.evaluation.report import HEADINGS, Report, number
from storylab.evaluation.votes import Vote, Votes, strengths, votes_file
from storylab.storytellers import Telling, load
from storylab.ui import cards, panels
from storylab.ui.admission import Refused, admission, waiting
from storylab.ui.controls import AT_ONCE, HIDDEN
from storylab.ui.tellers import ready, titles
from storylab.ui.texts import EXAMPLES, Labels, speaker
from storylab.watching import note

CHOICES = ("first", "second", "tie")
BESIDE = ("perplexity_per_word", "bleu_4", "repetition_4")
"""The metrics that stand beside the votes."""


@dataclass(frozen=True)
class Ballot:
    """A pair of stories that was shown."""

    id: str
    first: Telling
    second: Telling


class BlindVote:
    """The panel's components and what happens between them."""

    def __init__(self, tab: gr.Tab, report: Report | None, label: Labels):
        """Build it; the standings, beside the figures of a report, are filled when the tab is opened."""
        self.votes, self.figures = Votes(votes_file()), report["models"] if report else {}
        with gr.Column(elem_classes="sheet", elem_id="vote"):
            head = label.made(lambda say: panels.section(say("vote"), say("vote_about")))
            gr.HTML(head, apply_default_css=False)
            self.ballot = gr.State(None)
            self.pair = gr.HTML("", elem_id="pair", apply_default_css=False)
            with gr.Row(elem_classes="buttons"):
                self.ask = gr.Button(label("vote_ask"), variant="primary", elem_id="vote-ask")
                self.choices = {
                    choice: gr.Button(label(f"vote_{choice}"), visible=False, elem_id=f"vote-{choice}")
                    for choice in CHOICES
                }
            self.standings = gr.HTML("", elem_id="standings", apply_default_css=False)
        buttons = list(self.choices.values())
        asked = [self.ballot, self.pair, self.ask, *buttons]
        self.ask.click(self._ask, outputs=asked, concurrency_limit=None, **HIDDEN)  # `admission` has the line
        for choice, button in self.choices.items():
            button.click(
                self._voter(choice),
                self.ballot,
                [self.ballot, self.pair, self.standings, self.ask, *buttons],
                **AT_ONCE,
            )
        tab.select(self._standings, outputs=self.standings, **AT_ONCE)

    def _ask(self, request: gr.Request) -> Iterator[list]:
        """Tell two stories; nobody learns whose they are."""
        say = speaker(request)
        hidden = [gr.update(visible=False)] * len(CHOICES)
        yield [None, panels.quiet(say("vote_telling")), gr.update(interactive=False), *hidden]
        try:
            names = [row["name"] for row in ready()]
            if len(names) < 2:
                raise StoryLabError(say("problem_two"))
            opening, seed = random.choice(list(EXAMPLES.values())), check_seed()
            with admission().admit(request, request.session_hash, 2) as place:
                for ahead in waiting(place):
                    yield [None, panels.quiet(say("in_line", number=ahead)), gr.update(interactive=False), *hidden]
                if not place.has_turn:  # the page is closed
                    return
                first, second = (load(name).tell(opening, seed=seed) for name in random.sample(names, 2))
        except StoryLabError as error:
            problem = error.said(say) if isinstance(error, Refused) else str(error)
            yield [None, cards.problem(problem), gr.update(interactive=True), *hidden]
            return
        except Exception as error:  # whatever it is, the visitor can ask again, and the log says what it was
            note(error)
            yield [None, cards.problem(say("problem_broken")), gr.update(interactive=True), *hidden]
            return
        shown = [gr.update(visible=True)] * len(CHOICES)
        pair = panels.pair(opening, first.story, second.story, [say("vote_left"), say("vote_right")])
        yield [Ballot(uuid.uuid4().hex, first, second), pair, gr.update(interactive=True, visible=False), *shown]

    def _voter(self, better: str) -> Callable[..., list]:
        def vote(request: gr.Request, ballot: Ballot | None) -> list:
            return self._vote(request, ballot, better)

        return vote

    def _vote(self, request: gr.Request, ballot: Ballot | None, better: str) -> list:
        say = speaker(request)
        hidden = [gr.update(visible=False)] * len(CHOICES)
        if ballot is None:  # of a page that outlived the server
            return [None, cards.problem(say("problem_vote")), gr.skip(), gr.update(visible=True), *hidden]
        first, second = ballot.first, ballot.second
        vote = Vote(ballot.id, first.opening, first.model, second.model, first.seed, second.seed, better)
        try:
            self.votes.add(vote)
        except StoryLabError as error:
            return [ballot, cards.problem(str(error)), *(gr.skip() for _ in range(2 + len(CHOICES)))]
        named = titles(say)
        names = [named.get(telling.model, telling.model) for telling in (first, second)]
        pair = panels.pair(first.opening, first.story, second.story, names, better)
        return [None, pair, self._standings(request), gr.update(visible=True), *hidden]

    def _standings(self, request: gr.Request) -> str:
        """The storytellers by how often they were picked, with intervals."""
        say = speaker(request)
        try:
            rows = strengths(self.votes.all())
        except StoryLabError as error:
            return cards.problem(str(error))
        if not rows:
            return panels.quiet(say("vote_none"))
        named = titles(say)
        headers = [say("storyteller"), say("vote_strength"), say("vote_share"), say("vote_votes")]
        headers += [say.or_else(f"metric_{key}", HEADINGS[key]) for key in BESIDE]
        return panels.table(
            headers,
            [
                (
                    named.get(row.name, row.name),
                    f"{row.strength:+.2f} [{row.low:+.2f}, {row.high:+.2f}]",
                    f"{100 * row.share:.0f}%",
                    str(row.votes),
                    *(number(self.figures.get(row.name, {}).get(key, {}).get("value"), key) for key in BESIDE),
                )
                for row in rows
            ],
        )
