"""Several seeds at once of one storyteller: a card each, told by turns, a token each."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence

import gradio as gr

from storylab.decoding import check_seed
from storylab.ui.admission import Refused, admission, waiting
from storylab.ui.cards import SCRIPT
from storylab.ui.controls import AT_ONCE, HIDDEN, said_by
from storylab.ui.links import MOST_SEEDS
from storylab.ui.slot import REFRESH, Cards, as_json, looks
from storylab.ui.texts import Say, speaker
from storylab.ui.turns import Place
from storylab.ui.visits import Run, Visits

PLACES = tuple(f"seed-{number}" for number in range(1, MOST_SEEDS + 1))


class Several:
    """The cards' component and what makes them tell."""

    def __init__(self, cards: Cards, visits: Visits):
        """Make the place of the cards, hidden at first."""
        self.cards, self.visits = cards, visits
        self.html = gr.HTML("", visible=False, elem_id="several", js_on_load=SCRIPT, apply_default_css=False)

    def tell_again(self, history: gr.Textbox) -> None:
        """Tell one anew when its card's button asks for it."""
        self.html.retry(self._ask_again, **AT_ONCE).success(
            self._tell_again,
            outputs=[self.html, history],
            concurrency_limit=None,  # whoever waits does so in the line of `admission`
            trigger_mode="multiple",
            **HIDDEN,
        )

    def waiting(self, runs: Sequence[Run], say: Say, ahead: int = 0) -> str:
        """The cards of tellings that are about to begin, or whose visitor has that number in the line."""
        return _grid(self.cards.card(run.name, say, run.teller, run.place).waiting(run, ahead) for run in runs)

    def failed(self, runs: Iterable[Run], visitor: str, say: Say, problem: str) -> str:
        """The cards of tellings that were waiting and will not be told, and of those that are there already."""
        return _grid(self._kept(run, visitor, say, problem) for run in runs)

    def _ask_again(self, request: gr.Request, event: gr.EventData) -> None:
        """Tell one of the cards with a new seed; the others stay beside it as they are."""
        visitor, place = request.session_hash, str(said_by(event, "place"))
        before = self.visits.runs(visitor)
        if place not in before:
            raise gr.Error(speaker(request)("problem_gone"), print_exception=False)
        self.visits.start(visitor, [_again(run, new=run.place == place) for run in before.values()])

    def _tell_again(self, request: gr.Request) -> Iterator[list]:
        visitor, say = request.session_hash, speaker(request)
        anew = sum(run.telling is None for run in self.visits.runs(visitor).values())
        try:
            with admission().admit(request, visitor, max(1, anew)) as place:
                yield from self.tell(visitor, say, place)
        except Refused as refused:
            runs = self.visits.runs(visitor).values()
            self.visits.stop(visitor)
            yield [self.failed(runs, visitor, say, refused.said(say)), gr.skip()]

    def _kept(self, run: Run, visitor: str, say: Say, problem: str) -> str:
        """The card of a telling that is there, or of one that will not be told."""
        card = self.cards.card(run.name, say, run.teller, run.place)
        if run.telling is None:
            return card.failed(run, problem)
        return card.told(run.telling, run.log_probability, self.visits.pinned(visitor))

    def tell(self, visitor: str, say: Say, place: Place) -> Iterator[list]:
        """Tell what a visitor has asked for: values for the cards' component and for the history.

        Raises:
            Refused: The visitor's place was given to somebody else.
        """
        runs = [run for place in PLACES if (run := self.visits.take(visitor, place))]
        if not runs:
            yield [gr.skip(), gr.skip()]  # a generator without a value would empty the cards
            return
        yield from ([self.waiting(runs, say, ahead), gr.skip()] for ahead in waiting(place, runs))
        yield from self._told(runs, visitor, say)

    def _told(self, runs: Sequence[Run], visitor: str, say: Say) -> Iterator[list]:
        made = [self.cards.card(run.name, say, run.teller, run.place) for run in runs]
        drawn = [card.waiting(run) for card, run in zip(made, runs, strict=True)]
        telling = [looks(run, card, self.visits, visitor) for card, run in zip(made, runs, strict=True)]
        at = time.monotonic()
        try:
            for turn in itertools.zip_longest(*telling):
                drawn = [look or before for look, before in zip(turn, drawn, strict=True)]
                if any(run.replaced for run in runs):
                    break
                if time.monotonic() - at > REFRESH:
                    at = time.monotonic()
                    yield [_grid(drawn), gr.skip()]
        finally:
            for one in telling:
                one.close()
        if any(run.replaced for run in runs):
            yield [gr.skip(), gr.skip()]
        else:
            yield [_grid(drawn), as_json(self.visits.history(visitor))]


def _grid(cards: Iterable[str]) -> str:
    return f'<div class="several">{"".join(cards)}</div>'


def _again(run: Run, new: bool) -> Run:
    """A run to be told with a new seed, or shown again as it was."""
    if new:
        return Run(run.name, run.opening, run.settings, check_seed(), run.teller, run.place)
    return Run(
        run.name,
        run.opening,
        run.settings,
        run.seed,
        run.teller,
        run.place,
        telling=run.telling,
        log_probability=run.log_probability,
    )
