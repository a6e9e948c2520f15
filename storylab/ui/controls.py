"""The fields for settings: made from the options' own descriptions, filled from presets and from links."""

from __future__ import annotations

import gradio as gr

from storylab.decoding import OPTIONS, PRESETS, Settings, check_seed
from storylab.decoding.settings import PRESET_DESCRIPTIONS, Option, option_help
from storylab.ui.texts import text

HIDDEN = {"api_visibility": "private", "show_progress": "hidden"}
"""What every listener of the page has: it is no endpoint, and it covers nothing with a spinner."""
AT_ONCE = {**HIDDEN, "queue": False}
"""The same for those that are done in a moment."""
OWN = "own"
"""What the preset field says once a setting was changed by hand."""


class Controls:
    """An accordion with preset, seed and a field for each option; `inputs` go into `read`."""

    def __init__(self) -> None:
        self.fields: dict[str, gr.components.Component] = {}
        defaults = PRESETS["default"]
        with gr.Accordion(text("settings"), open=False, elem_id="settings"):
            with gr.Row(elem_id="preset-and-seed", elem_classes="fields"):
                choices = [(name, name) for name in PRESETS]
                self.preset = gr.Dropdown(
                    [*choices, (text("preset_own"), OWN)],
                    value="default",
                    label=text("preset"),
                    info=PRESET_DESCRIPTIONS["default"],
                    elem_id="preset",
                )
                self.seed = gr.Number(
                    None,
                    label=text("seed"),
                    info=text("seed_info"),
                    placeholder=text("seed_hint"),
                    elem_id="seed",
                )
                self.new_seed = gr.Button(text("new_seed"), elem_id="new-seed")
            with gr.Row(elem_classes="fields"):
                for name, option in OPTIONS.items():
                    self.fields[name] = _field(option, defaults)
        self._wire()

    @property
    def inputs(self) -> list[gr.components.Component]:
        """The fields whose values `read` takes, in its order."""
        return [self.seed, *self.fields.values()]

    def read(self, seed: float | None, *values: float | str) -> tuple[int, Settings]:
        """Seed and settings from the fields' values; an empty seed draws one.

        Raises:
            StoryLabError: A value is out of range.
        """
        return check_seed(seed), Settings(**dict(zip(self.fields, values, strict=True)))

    @property
    def settings_fields(self) -> list[gr.components.Component]:
        """The preset and the fields that `fill` updates, in its order."""
        return [self.preset, *self.fields.values()]

    def fill(self, settings: Settings, preset: str = OWN) -> list[dict]:
        """Updates that put settings and the preset's name into the fields, and hide what their strategy ignores."""
        return [
            _named(preset),
            *(
                gr.update(value=value, visible=_heeded(OPTIONS[name], settings.strategy))
                for name, value in settings.to_dict().items()
            ),
        ]

    def _wire(self) -> None:
        fields = list(self.fields.values())
        strategy = self.fields["strategy"]
        self.new_seed.click(lambda: check_seed(), outputs=self.seed, **AT_ONCE)
        self.preset.input(self._choose, self.preset, self.settings_fields, **AT_ONCE)
        gr.on([field.input for field in fields], lambda: _named(OWN), outputs=self.preset, **AT_ONCE)
        strategy.input(
            lambda chosen: [gr.update(visible=_heeded(option, chosen)) for option in OPTIONS.values()],
            strategy,
            fields,
            **AT_ONCE,
        )

    def _choose(self, preset: str) -> list[dict]:
        if preset == OWN:
            return [_named(OWN), *(gr.skip() for _ in self.fields)]
        return self.fill(PRESETS[preset], preset)


def _named(preset: str) -> dict:
    return gr.update(value=preset, info=PRESET_DESCRIPTIONS.get(preset, text("preset_own_info")))


def _field(option: Option, defaults: Settings) -> gr.components.Component:
    value = getattr(defaults, option.name)
    label = {"label": text(option.name), "info": option_help()[option.name], "elem_id": f"setting-{option.name}"}
    if option.choices:
        return gr.Radio(option.choices, value=value, elem_classes="wide", **label)
    low = option.low + option.step if option.above else option.low
    visible = _heeded(option, defaults.strategy)
    return gr.Slider(low, option.high, value, step=option.step, visible=visible, **label)


def _heeded(option: Option, strategy: str) -> bool:
    return strategy in option.strategies
