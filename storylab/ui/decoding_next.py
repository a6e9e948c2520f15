"""The next token in the Decoding tab: bars that follow the sliders, and a story that is chosen token by token."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from storylab.decoding import OPTIONS, PRESETS, Settings, check_seed
from storylab.errors import StoryLabError
from storylab.inspection.texts import MOST_CHARACTERS
from storylab.ui import cards, decoding_view, panels
from storylab.ui.controls import AT_ONCE, option_field, said_by
from storylab.ui.seed import read_seed
from storylab.ui.texts import Labels, speaker
from storylab.ui.visits import Visits

SLIDERS = ("repetition_penalty", "temperature", "top_k", "top_p", "min_p", "typical_p")
"""The options that change the next token, in the order in which they are applied."""
SCRIPT = (Path(__file__).with_name("scripts") / "decoding.js").read_text(encoding="utf-8")
"""What a click on a token does in the browser."""


def next_settings(values: Sequence[float]) -> Settings:
    """The settings that the sliders stand for.

    Raises:
        StoryLabError: A value is out of range.
    """
    return Settings.from_mapping(dict(zip(SLIDERS, values, strict=True)), "pure")


class NextToken:
    """The panel's components; `wire` gives them what stands above it in the tab."""

    def __init__(self, label: Labels, visits: Visits):
        self.visits = visits
        with gr.Column(elem_classes="sheet", elem_id="decoding-next"):
            head = label.made(lambda say: panels.section(say("decoding_next"), say("decoding_next_about")))
            gr.HTML(head, apply_default_css=False)
            self.text = gr.Textbox(
                "",
                label=label("decoding_text"),
                placeholder=label("decoding_text_hint"),
                lines=2,
                max_lines=6,
                max_length=MOST_CHARACTERS,
                elem_id="decoding-text",
                html_attributes=gr.InputHTMLAttributes(lang="en", autocomplete="off"),
            )
            with gr.Row(elem_classes="buttons"):
                self.draw = gr.Button(label("decoding_draw"), elem_id="decoding-draw")
                self.restart = gr.Button(label("decoding_restart"), elem_id="decoding-restart")
            self.status = gr.HTML("", elem_id="decoding-status", apply_default_css=False)
            with gr.Row(elem_classes="fields"):
                self.sliders = [option_field(OPTIONS[name], PRESETS["default"], label, "next") for name in SLIDERS]
            self.bars = gr.HTML("", js_on_load=SCRIPT, elem_id="decoding-bars", apply_default_css=False, min_height=480)

    def wire(self, opening: gr.Textbox, model: gr.Dropdown, seed: gr.Textbox, used: gr.State) -> None:
        """Listen; `inputs` are what `look` takes, `outputs` what it gives.

        Args:
            opening: The first sentence.
            model: The storyteller's name.
            seed: The seed; empty where one is drawn.
            used: The seed that was used last.
        """
        self.inputs = [model, opening, self.text, *self.sliders]
        self.outputs = [self.bars, self.status]
        follow = {"fn": self.look, "inputs": self.inputs, "outputs": self.outputs, "trigger_mode": "always_last"}
        for field in (*self.sliders, self.text, opening, model):
            field.input(**follow, **AT_ONCE)
        told = [self.text, *self.outputs]
        self.taken = self.bars.take(self._take, self.inputs, told, **AT_ONCE)
        self.drawn = self.draw.click(self._draw, [seed, used, *self.inputs], [used, *told], **AT_ONCE)
        self.restarted = self.restart.click(self._restart, self.inputs, told, **AT_ONCE)

    def look(self, request: gr.Request, model: str, opening: str, text: str, *values: float) -> list[Any]:
        """The bars for a text and the sliders' values, and what is wrong with them."""
        from storylab.inspection.next_token import next_token

        say = speaker(request)
        try:
            storyteller, settings = self.visits.load(request.session_hash, model), next_settings(values)
            stages = next_token(storyteller, opening, text, settings)
        except StoryLabError as error:
            return [gr.skip(), cards.problem(str(error))]
        return [decoding_view.bars(stages, settings, storyteller.kind.end, say), ""]

    def _take(self, request: gr.Request, event: gr.EventData, model: str, opening: str, text: str, *values: float):
        token = said_by(event, "token")
        return self._with(request, token if isinstance(token, int) else -1, model, opening, text, *values)

    def _draw(
        self, request: gr.Request, seed: str, used: int | None, model: str, opening: str, text: str, *values
    ) -> list[Any]:
        from storylab.inspection.next_token import draw_next

        try:
            given = read_seed(seed)
            number = check_seed(used if given is None else given)
            storyteller = self.visits.load(request.session_hash, model)
            drawn = draw_next(storyteller, opening, text, next_settings(values), number)
        except StoryLabError as error:
            return [gr.skip(), gr.skip(), gr.skip(), cards.problem(str(error))]
        return [number, *self._with(request, drawn.token, model, opening, text, *values)]

    def _with(self, request: gr.Request, token: int, model: str, opening: str, text: str, *values: float) -> list[Any]:
        """The text with a token behind it, and the bars for what comes then."""
        from storylab.inspection.next_token import with_token

        try:
            storyteller = self.visits.load(request.session_hash, model)
            if token == storyteller.kind.end:
                return [gr.skip(), gr.skip(), panels.quiet(speaker(request)("decoding_ended"))]
            text = with_token(storyteller, text, token)
        except StoryLabError as error:
            return [gr.skip(), gr.skip(), cards.problem(str(error))]
        return [text, *self.look(request, model, opening, text, *values)]

    def _restart(self, request: gr.Request, model: str, opening: str, text: str, *values: float) -> list[Any]:
        return ["", *self.look(request, model, opening, "", *values)]

    def values(self, settings: Settings) -> list[Any]:
        """The sliders' values for settings."""
        return [getattr(settings, name) for name in SLIDERS]
