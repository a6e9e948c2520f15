"""One story of the Stories tab: how each tokenizer cuts it, and what models get of it in each framing."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from storylab.errors import StoryLabError
from storylab.inspection.corpus import companions, typed_story
from storylab.inspection.vocabularies import at_hand, words
from storylab.ui import cards, panels, stories_tensors
from storylab.ui.links import write_query
from storylab.ui.stories_corpus import as_lines
from storylab.ui.stories_figures import title
from storylab.ui.texts import Labels, Say

SCRIPT = (Path(__file__).with_name("scripts") / "stories.js").read_text(encoding="utf-8")
FRAMING = "autoregressive"
"""The framing that is shown at first."""


class StoryPanel:
    """The panel's components, and what they show."""

    def __init__(self, label: Labels):
        """Build it; it is filled when the tab is opened."""
        with gr.Column(elem_classes="sheet", elem_id="stories-one"):
            head = label.made(lambda say: panels.section(say("stories_one"), say("stories_one_about")))
            gr.HTML(head, apply_default_css=False)
            with gr.Row(elem_classes="fields"):
                self.number = gr.Number(
                    1,
                    precision=0,
                    minimum=1,
                    label=label("stories_number"),
                    info=label("stories_number_info"),
                    elem_id="stories-number",
                )
                self.tokenizer = gr.Dropdown(
                    choices(),
                    label=label("stories_tokenizer"),
                    info=label("stories_tokenizer_info"),
                    elem_id="stories-tokenizer",
                )
            self.story = gr.Textbox(
                label=label("stories_typed"),
                info=label("stories_typed_info"),
                lines=5,
                max_lines=10,
                elem_id="stories-story",
                html_attributes=gr.InputHTMLAttributes(lang="en"),
            )
            with gr.Row(elem_classes="buttons"):
                self.run = gr.Button(label("stories_run"), variant="primary", elem_id="stories-run", elem_classes="run")
            self.problem = gr.HTML("", elem_id="stories-problem", apply_default_css=False)
            self.cuts = gr.HTML("", elem_id="stories-cuts", js_on_load=SCRIPT, apply_default_css=False)
            self.framing = gr.Radio(
                [(label(key), name) for name, key in stories_tensors.FRAMINGS.items()],
                value=FRAMING,
                label=label("stories_framing"),
                info=label("stories_framing_info"),
                elem_id="stories-framing",
            )
            self.tensors = gr.HTML("", elem_id="stories-tensors", js_on_load=SCRIPT, apply_default_css=False)

    @property
    def asked(self) -> list[gr.components.Component]:
        """What `show` reads."""
        return [self.story, self.tokenizer, self.framing]

    def shown(self, address: gr.HTML) -> list[gr.components.Component]:
        """What `show` gives new values."""
        return [self.problem, self.cuts, self.tensors, address]

    def show(self, text: str, tokenizer: str, framing: str, limit: float, say: Say) -> list:
        """The story that is typed, and the link to it; of one that is no good, what is wrong, and all else stays."""
        try:
            story = typed_story(text)
            vocabularies = at_hand()
            if not vocabularies:
                raise StoryLabError(say("stories_no_tokenizer"))
            cut = [(vocabulary, vocabulary.cut(story.text)) for vocabulary in vocabularies]
            from storylab.inspection.framed import frame  # torch, which opening the tokenizers has imported

            chosen = next((v for v in vocabularies if v.name == tokenizer), vocabularies[0])
            batch = frame(framing, [story, *companions(story)], chosen)
        except StoryLabError as error:
            return [cards.problem(str(error)), gr.skip(), gr.skip(), gr.skip()]
        pieces = [(title(vocabulary, say), found) for vocabulary, found in cut]
        pieces.append((say("stories_words"), words(story.text)))
        query = write_query("stories", story=as_lines(story), tokenizer=chosen.name, framing=framing, limit=int(limit))
        return ["", stories_tensors.cuts(pieces, say), stories_tensors.framed(batch, say), query]


def choices() -> list[tuple[str, str]]:
    """The tokenizers at hand, called after the storytellers that use them."""
    return [(", ".join(vocabulary.storytellers), vocabulary.name) for vocabulary in at_hand()]
