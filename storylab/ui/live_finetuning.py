"""One fine-tuning on a visitor's stories: the work, and how it looks while it goes on and when it is done."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from storylab.engines.names import FP32
from storylab.stories import Story
from storylab.storytellers import load
from storylab.storytellers.registry import LOADING
from storylab.ui import panels
from storylab.ui.live_plot import figures, frame, loss_plot
from storylab.ui.plots import Line as Curve
from storylab.ui.texts import Say
from storylab.ui.visits import OWN_NAME
from storylab.ui.work import Ticket, Work

if TYPE_CHECKING:
    from storylab.exhibits.finetune import Course, FineTuned

ENDINGS = {"end": "live_ended_end", "stopped": "live_ended_stopped", "time": "live_ended_time"}
"""The texts for what ended a training."""


class Asked(Ticket):
    """Stories, and the storyteller to begin with."""

    def __init__(self, stories: Sequence[Story], bad: int, base: str):
        """Note what is asked for; `bad` rows of the file were no stories."""
        super().__init__()
        self.stories, self.bad, self.base = stories, bad, base


class FineTuning(Work):
    """One training, and its looks."""

    def __init__(self, asked: Asked, say: Say):
        super().__init__(say, asked)
        self.asked = asked
        self.tuned: FineTuned | None = None
        self.course: Course | None = None

    @property
    def worth_waiting(self) -> bool:
        return self.course is not None

    def work(self) -> None:
        with LOADING:  # another thread may be importing transformers
            from storylab.exhibits.finetune import fine_tune
            from storylab.training.processors import use_one_processor

        use_one_processor()
        self.tuned = fine_tune(
            load(self.asked.base, dtype=FP32),
            self.asked.stories,
            name=OWN_NAME,
            on_course=self._note,
            should_stop=self.stop.is_set,
            has_left=self.ticket.left.is_set,
        )

    def _note(self, course: Course) -> None:
        self.course = course

    def shown(self) -> str:
        """Figures, curves and a sample as they stand; at the end what it has come to."""
        say, course, tuned = self.say, self.course, self.tuned
        if course is None:
            return frame(panels.progress(say("live_begins"), 0, 1), True)
        losses, held_out = list(course.losses), list(course.held_out)
        row = figures(
            [
                (say("live_plot_step"), f"{course.step} / {course.steps}", say("live_step_about")),
                (say("live_seconds"), f"{course.seconds:.0f}", say("live_seconds_about")),
                (say("live_loss"), f"{losses[-1][1]:.3g}", say("live_loss_about")),
                (say("live_held_out"), f"{held_out[-1][1]:.3g}" if held_out else say("none"), say("live_held_about")),
            ]
        )
        curves = [
            Curve(say("live_loss"), losses, "var(--live-one)"),
            Curve(say("live_held_out"), held_out, "var(--live-two)", dashed=True),
        ]
        plot = loss_plot(curves, course.steps, say)
        sample = panels.samples(say("live_sample"), [course.sample]) if course.sample else ""
        end = panels.progress(say("live_ending"), 0, 1) if self.stop.is_set() else ""
        return frame(row + plot + (self._outcome(tuned) if tuned else end) + sample, tuned is None)

    def _outcome(self, tuned: FineTuned) -> str:
        say = self.say
        ended = say(ENDINGS[tuned.ended_by], step=tuned.course.step, steps=tuned.course.steps)
        counts = {"learnt": len(tuned.splits.train), "held": len(tuned.splits.validation)}
        note = say("live_outcome", **counts)
        if self.asked.bad:
            note += " " + say("live_bad_rows", bad=self.asked.bad)
        rows = [
            (title, f"{score.perplexity_per_word:.1f}", f"{score.interval[0]:.1f} – {score.interval[1]:.1f}")
            for title, score in ((say("live_before"), tuned.before), (say("live_after"), tuned.after))
        ]
        table = panels.table(["", say("live_perplexity"), say("live_interval")], rows)
        return f'<p class="live-end" role="status">{escape(ended)}</p>{table}{panels.quiet(note)}'
