"""One story being learnt: the work, and how it looks while it goes on and when it is done."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from storylab.exhibits.by_heart import MOST_SECONDS, Retelling
from storylab.stories import Story
from storylab.storytellers.registry import LOADING
from storylab.storytellers.sources import PROJECT
from storylab.ui import panels
from storylab.ui.live_plot import figures, frame, loss_plot
from storylab.ui.plots import Line as Curve
from storylab.ui.texts import Say
from storylab.ui.work import Ticket, Work

if TYPE_CHECKING:
    from storylab.exhibits.overfit import Overfitted


class Asked(Ticket):
    """A story to learn, and how fast."""

    def __init__(self, story: Story, rate: float):
        super().__init__()
        self.story, self.rate = story, rate


class Overfitting(Work):
    """One training, and its looks."""

    def __init__(self, asked: Asked, say: Say):
        super().__init__(say, asked)
        self.asked = asked
        self.learnt: Overfitted | None = None
        self.heard: Retelling | None = None
        self.losses: list[tuple[int, float]] = []
        self.stopped = False

    @property
    def worth_waiting(self) -> bool:
        return self.heard is not None

    def work(self) -> None:
        with LOADING:  # another thread may be importing transformers
            from storylab.exhibits.overfit import overfit_aloud
            from storylab.tokenizers import load_tokenizer
            from storylab.training.processors import use_one_processor

        use_one_processor()
        learnt = overfit_aloud(
            self.asked.story,
            load_tokenizer(PROJECT / "train" / "vocabulary"),
            on_retelling=self._hear,
            should_stop=self.stop.is_set,
            learning_rate=self.asked.rate,
            seconds=MOST_SECONDS,
        )
        self.stopped = self.stop.is_set()
        self.learnt = learnt

    def _hear(self, retelling: Retelling) -> None:
        self.heard = retelling
        self.losses.append((retelling.step, retelling.loss))

    def shown(self) -> str:
        """Figures, curve and retelling as they stand."""
        say, heard, over = self.say, self.heard, self.learnt is not None
        if heard is None:
            return frame(panels.progress(say("live_begins"), 0, 1), True)
        row = figures(
            [
                (say("live_plot_step"), str(heard.step), say("live_step_about")),
                (say("live_seconds"), f"{heard.seconds:.1f}", say("live_seconds_about")),
                (say("live_loss"), f"{heard.loss:.3g}", say("live_loss_about")),
                (say("live_right"), f"{100 * heard.right:.0f}%", say("live_right_about")),
            ]
        )
        plot = loss_plot([Curve(say("live_loss"), self.losses, "var(--live-one)")], heard.step, say)
        return frame(row + plot + self._retold(heard) + (self._end(heard) if over else ""), not over)

    def _retold(self, heard: Retelling) -> str:
        words = " ".join(
            f"<mark>{escape(word)}</mark>" if right else f"<span>{escape(word)}</span>" for word, right in heard.words
        )
        return (
            f'<section class="sample live-retold"><h3>{escape(self.say("live_retelling", step=heard.step))}</h3>'
            f'<p class="live-given">{escape(self.asked.story.opening)}</p><p>{words}</p></section>'
        )

    def _end(self, heard: Retelling) -> str:
        found = {"step": heard.step, "seconds": heard.seconds}
        if heard.exact:
            return f'<p class="live-end" role="status">{escape(self.say("live_exact", **found))}</p>'
        ended = "live_ended" if self.stopped else "live_late"
        words = self.say(ended, right=100 * heard.right, **found)
        return f'<p class="live-end" role="status">{escape(words)}</p>'
