"""The Stories tab: a corpus, its lengths, and what models get to see of a story."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from storylab.errors import StoryLabError
from storylab.inspection.corpus import small_corpus, typed_story
from storylab.ui import cards
from storylab.ui.address import Address
from storylab.ui.controls import HIDDEN
from storylab.ui.stories_corpus import LIMIT, LIMITS, CorpusPanel, Measured, as_lines, pick
from storylab.ui.stories_story import StoryPanel, choices
from storylab.ui.stories_tensors import FRAMINGS
from storylab.ui.tab import PageTab
from storylab.ui.texts import Labels, Say, speaker
from storylab.ui.visits import Visits

WORK = {"concurrency_limit": 2, "concurrency_id": "stories", **HIDDEN}
"""Cutting and framing take tens of milliseconds, but the first time the tokenizers are opened."""


class StoriesTab(PageTab):
    """The tab's components and what happens between them."""

    key = "stories"

    def __init__(self, tab: gr.Tab, label: Labels, visits: Visits, address: Address):
        """Build it into a tab, which is filled when it is opened."""
        super().__init__(tab, label, visits, address)
        begin = self.begin()
        self.corpus = CorpusPanel(label, visits)
        self.one = StoryPanel(label)
        self._wire(begin)

    def _wire(self, begin: gr.Button) -> None:
        corpus, one = self.corpus, self.one
        asked, shown = [*one.asked, corpus.limit], one.shown(self.address.query)
        everything = [*corpus.shown, one.number, one.tokenizer, one.story, one.framing, corpus.limit, *shown]
        self.tab.select(self._open, [corpus.held, *asked], [*corpus.shown, one.story, *shown[:-1]], **WORK)
        begin.click(self._try, outputs=everything, **WORK)
        one.run.click(self._show, asked, shown, **WORK)
        gr.on([one.tokenizer.input, one.framing.input], self._show, asked, shown, **WORK)
        corpus.limit.release(self._show, asked, shown, **WORK)
        picked = [corpus.held, one.number, *asked[1:]]
        one.number.input(self._pick, picked, [one.story, *shown], trigger_mode="always_last", **WORK)
        corpus.wire(one.number, one.story).success(self._show, asked, shown, **WORK)

    @property
    def arriving(self) -> dict[gr.blocks.Block, tuple[str, ...]]:
        return {
            self.one.story: (),
            self.one.tokenizer: ("value", "choices"),
            self.one.framing: (),
            self.corpus.limit: (),
        }

    def arrive(self, query: Mapping[str, str], say: Say) -> list[Any]:
        here = query if query.get("tab") == self.key else {}
        names = [name for _, name in choices()]
        tokenizer, framing, limit = (here.get(key) for key in ("tokenizer", "framing", "limit"))
        good = limit and limit.isascii() and limit.isdigit() and LIMITS[0] <= int(limit[:9]) <= LIMITS[1]
        return [
            _good_story(here.get("story", "")) or gr.skip(),
            gr.update(choices=choices(), value=tokenizer if tokenizer in names else next(iter(names), None)),
            framing if framing in FRAMINGS else gr.skip(),
            int(limit) if good else gr.skip(),
        ]

    # What happens. `request` is filled in by gradio.

    def _open(
        self, request: gr.Request, held: Measured | None, text: str, tokenizer: str, framing: str, limit: float
    ) -> list:
        """Fill the tab; the address stays, as nothing was asked for."""
        say = speaker(request)
        try:
            text = text or as_lines(pick(held, 1))
            return [
                *self.corpus.show(held, limit, say),
                text,
                *self.one.show(text, tokenizer, framing, limit, say)[:-1],
            ]
        except StoryLabError as error:
            skipped = [gr.skip()] * (len(self.corpus.shown) + 3)
            return [skipped[0], cards.problem(str(error)), *skipped[1:]]

    def _try(self, request: gr.Request) -> list:
        """The small corpus and its first story, as the tab is first seen, packed."""
        say, framing = speaker(request), "packed"
        try:
            text, (_, tokenizer) = as_lines(small_corpus().stories[0]), choices()[0]
            return [
                *self.corpus.show(None, LIMIT, say),
                gr.update(value=1, maximum=len(small_corpus().stories)),
                tokenizer,
                text,
                framing,
                LIMIT,
                *self.one.show(text, tokenizer, framing, LIMIT, say),
            ]
        except StoryLabError as error:
            return [gr.skip(), cards.problem(str(error)), *[gr.skip()] * 11]

    def _show(self, request: gr.Request, text: str, tokenizer: str, framing: str, limit: float) -> list:
        return self.one.show(text, tokenizer, framing, limit, speaker(request))

    def _pick(
        self,
        request: gr.Request,
        held: Measured | None,
        number: float | None,
        tokenizer: str,
        framing: str,
        limit: float,
    ) -> list:
        """The story of a number, in the field and shown."""
        text = as_lines(pick(held, number))
        return [text, *self.one.show(text, tokenizer, framing, limit, speaker(request))]


def _good_story(text: str) -> str:
    """The story of a link in lines; empty where it is none."""
    try:
        return as_lines(typed_story(text))
    except StoryLabError:
        return ""
