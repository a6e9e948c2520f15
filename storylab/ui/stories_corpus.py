"""The corpus of the Stories tab: the small one, or a visitor's file, in figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from storylab.errors import StoryLabError
from storylab.inspection.corpus import (
    MOST_STORIES,
    Corpus,
    CorpusStatistics,
    measure,
    read_corpus,
    small_corpus,
)
from storylab.inspection.vocabularies import Vocabulary, at_hand
from storylab.limits import limits
from storylab.stories import Story
from storylab.ui import cards, panels, stories_figures
from storylab.ui.controls import AT_ONCE, HIDDEN
from storylab.ui.texts import Labels, Say, speaker
from storylab.ui.visits import Visits
from storylab.watching import note

LIMITS = (16, 256)
"""Between which lengths, in tokens, the slider goes."""
LIMIT = 64
"""Where it stands at first."""


@dataclass(frozen=True)
class Measured:
    """A corpus with its figures; a visitor's is kept for their session alone."""

    corpus: Corpus
    statistics: CorpusStatistics
    vocabularies: tuple[Vocabulary, ...]


def measured(corpus: Corpus) -> Measured:
    """A corpus measured with the tokenizers at hand."""
    vocabularies = tuple(at_hand())
    return Measured(corpus, measure(corpus, vocabularies), vocabularies)


class CorpusPanel:
    """The panel's components and what happens between them."""

    def __init__(self, label: Labels, visits: Visits):
        """Build it; it is filled when the tab is opened."""
        self.uploads = visits.uploads
        with gr.Column(elem_classes="sheet", elem_id="stories-corpus"):
            about = {"megabytes": limits().upload_bytes / 1e6, "stories": MOST_STORIES}
            head = label.made(lambda say: panels.section(say("stories_corpus"), say("stories_corpus_about", **about)))
            gr.HTML(head, apply_default_css=False)
            self.file = gr.File(label=label("stories_file"), file_types=[".csv"], elem_id="stories-file", height=110)
            self.problem = gr.HTML("", elem_id="stories-file-problem", apply_default_css=False)
            opening = label.made(lambda say: panels.progress(say("stories_opening"), 0, 1))
            self.figures = gr.HTML(opening, elem_id="stories-figures", apply_default_css=False)
            self.limit = gr.Slider(
                *LIMITS,
                LIMIT,
                step=1,
                label=label("stories_limit"),
                info=label("stories_limit_info"),
                elem_id="stories-limit",
            )
            self.lengths = gr.HTML("", elem_id="stories-lengths", apply_default_css=False)
        self.held = gr.State(None)

    @property
    def shown(self) -> list[gr.components.Component]:
        """What `show` gives new values."""
        return [self.held, self.problem, self.figures, self.lengths]

    def show(self, held: Measured | None, limit: float, say: Say) -> list:
        """The corpus that a visitor has loaded, else the small one.

        Raises:
            StoryLabError: The small corpus is not there.
        """
        held = held or measured(small_corpus())
        return [
            held,
            "",
            stories_figures.figures(held.corpus, held.statistics, say),
            self._lengths(held, limit, say),
        ]

    def wire(self, number: gr.Number, story: gr.Textbox) -> gr.events.Dependency:
        """Listen to file and slider.

        Args:
            number: Chooses a story; it is told how many there are.
            story: Gets the first story of a file.

        Returns:
            What happens once a file has been read, or was no good.
        """
        self.limit.input(self._cut, [self.held, self.limit], self.lengths, trigger_mode="always_last", **AT_ONCE)
        return self.file.upload(
            self._read,
            [self.file, self.limit],
            [*self.shown, self.file, number, story],
            concurrency_limit=2,
            concurrency_id="stories",
            **HIDDEN,
        )

    def _cut(self, request: gr.Request, held: Measured | None, limit: float) -> str:
        return self._lengths(held or measured(small_corpus()), limit, speaker(request))

    def _lengths(self, held: Measured, limit: float, say: Say) -> str:
        return stories_figures.lengths(held.statistics, held.vocabularies, int(limit), say)

    def _read(self, request: gr.Request, path: str | None, limit: float) -> Iterator[list]:
        """A visitor's file is read, measured and deleted; where it is no good, what was shown stays."""
        say = speaker(request)
        same = [gr.skip()] * len(self.shown)
        if path:
            self.uploads.hold(request.session_hash, "stories", path)
        try:
            yield [same[0], panels.progress(say("stories_reading"), 0, 1), *same[2:], *[gr.skip()] * 3]
            held = measured(_read(Path(path), say))
            number = gr.update(value=1, maximum=len(held.corpus.stories))
            shown = [*self.show(held, limit, say), None, number, as_lines(pick(held, 1))]
        except StoryLabError as error:
            shown = [same[0], cards.problem(str(error)), *same[2:], None, gr.skip(), gr.skip()]
        except Exception as error:  # whatever it is, the visitor is told that, and the log what
            note(error)
            shown = [same[0], cards.problem(say("problem_broken")), *same[2:], None, gr.skip(), gr.skip()]
        finally:
            self.uploads.release(request.session_hash, "stories", path)
        yield shown


def pick(held: Measured | None, number: float | None) -> Story:
    """A story of the corpus by its number, from 1; the nearest where there is none of that number."""
    stories = held.corpus.stories if held else small_corpus().stories
    return stories[min(max(int(number or 1), 1), len(stories)) - 1]


def as_lines(story: Story) -> str:
    """A story as it stands in the field and in links: a sentence a line."""
    return "\n".join(story.sentences)


def _read(path: Path, say: Say) -> Corpus:
    size = path.stat().st_size
    if size > (most := limits().upload_bytes):
        raise StoryLabError(say("problem_large", megabytes=size / 1e6, most=most / 1e6))
    return read_corpus(path)
