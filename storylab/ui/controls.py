"""The fields for settings: made from the options' own descriptions, filled from presets and from links."""

from __future__ import annotations

from typing import Any

import gradio as gr

from storylab.decoding import OPTIONS, PRESETS, Settings, check_seed
from storylab.decoding.settings import PRESET_DESCRIPTIONS, Option, option_help
from storylab.limits import limits
from storylab.ui.links import LUCK, MOST_SEEDS
from storylab.ui.seed import read_seed, seed_field
from storylab.ui.texts import Labels, Say, speaker

HIDDEN = {"api_visibility": "private", "show_progress": "hidden", "show_progress_on": []}
"""What every listener of the page has: it is no endpoint, and it covers nothing with a spinner.

Whatever a spinner may lie on, gradio's page goes through again at each message of each listener: with the outputs of
all listeners, every piece of a story that is told would cost the browser a tenth of a second.
"""
AT_ONCE = {**HIDDEN, "queue": False}
"""The same for those that are done in a moment."""
OWN = "own"
"""What the preset field says once a setting was changed by hand."""


def said_by(event: gr.EventData, name: str) -> Any:
    """What a script on the page said of an event under a name; None where it said nothing, or no object."""
    try:
        return getattr(event, name, None)
    except TypeError:  # from the browser: anything
        return None


class Controls:
    """An accordion with preset, seed and a field for each option; `inputs` go into `read`."""

    def __init__(self, label: Labels) -> None:
        self.fields: dict[str, gr.components.Component] = {}
        defaults = PRESETS["default"]
        with gr.Accordion(label("settings"), open=False, elem_id="settings"):
            with gr.Row(elem_id="preset-and-seed", elem_classes="fields"):
                choices = [(name, name) for name in PRESETS]
                self.preset = gr.Dropdown(
                    [*choices, (label("preset_own"), OWN)],
                    value="default",
                    label=label("preset"),
                    info=label.made(lambda say: _about("default", say)),
                    elem_id="preset",
                )
                self.seed = seed_field(label, "seed")
                self.new_seed = gr.Button(label("new_seed"), elem_id="new-seed")
                self.seeds = gr.Slider(
                    1, MOST_SEEDS, 1, step=1, label=label("seeds"), info=label("seeds_info"), elem_id="seeds"
                )
                self.luck = gr.Radio(
                    [(label(f"luck_{luck}"), luck) for luck in LUCK],
                    value="same",
                    label=label("luck"),
                    info=label("luck_info"),
                    elem_id="luck",
                )
            with gr.Row(elem_classes="fields"):
                for name, option in OPTIONS.items():
                    self.fields[name] = option_field(option, defaults, label)
        self._wire()

    @property
    def inputs(self) -> list[gr.components.Component]:
        """The fields whose values `read` takes, in its order."""
        return [self.seed, *self.fields.values()]

    def read(self, seed: str, *values: float | str) -> tuple[int, Settings]:
        """Seed and settings from the fields' values; an empty seed draws one.

        Raises:
            StoryLabError: A value is out of range.
        """
        settings = Settings(**dict(zip(self.fields, values, strict=True)))
        return check_seed(read_seed(seed)), limits().check(settings)

    @property
    def settings_fields(self) -> list[gr.components.Component]:
        """The preset and the fields that `fill` updates, in its order."""
        return [self.preset, *self.fields.values()]

    def fill(self, settings: Settings, say: Say, preset: str = OWN) -> list[dict]:
        """Updates that put settings and the preset's name into the fields, and hide what their strategy ignores."""
        return [
            _named(preset, say),
            *(
                gr.update(value=value, visible=_heeded(OPTIONS[name], settings.strategy))
                for name, value in settings.to_dict().items()
            ),
        ]

    def _wire(self) -> None:
        fields = list(self.fields.values())
        strategy = self.fields["strategy"]
        self.new_seed.click(lambda: str(check_seed()), outputs=self.seed, **AT_ONCE)
        self.preset.input(self._choose, self.preset, self.settings_fields, **AT_ONCE)
        gr.on([field.input for field in fields], self._changed, outputs=self.preset, **AT_ONCE)
        strategy.input(
            lambda chosen: [gr.update(visible=_heeded(option, chosen)) for option in OPTIONS.values()],
            strategy,
            fields,
            **AT_ONCE,
        )

    def _changed(self, request: gr.Request) -> dict:
        return _named(OWN, speaker(request))

    def _choose(self, request: gr.Request, preset: str) -> list[dict]:
        if preset == OWN:
            return [self._changed(request), *(gr.skip() for _ in self.fields)]
        return self.fill(PRESETS[preset], speaker(request), preset)


def _named(preset: str, say: Say) -> dict:
    return gr.update(value=preset, info=_about(preset, say))


def _about(preset: str, say: Say) -> str:
    return say("preset_own_info") if preset == OWN else say.or_else(f"preset_{preset}", PRESET_DESCRIPTIONS[preset])


def option_field(option: Option, defaults: Settings, labels: Labels, place: str = "setting") -> gr.components.Component:
    """The field for an option, with its meaning below its name.

    Args:
        option: Its limits and its name.
        defaults: Where it stands at first; it is hidden where their strategy does not heed it.
        labels: The page's texts.
        place: What its id in the page begins with.
    """
    value = getattr(defaults, option.name)
    info = labels.made(lambda say: say.or_else(f"help_{option.name}", option_help()[option.name]))
    label = {"label": labels(option.name), "info": info, "elem_id": f"{place}-{option.name}"}
    if option.choices:
        return gr.Radio(option.choices, value=value, elem_classes="wide", **label)
    visible = _heeded(option, defaults.strategy)
    high = limits().tokens if option.name == "max_new_tokens" else option.high
    return gr.Slider(option.low, high, value, step=option.step, visible=visible, **label)


def _heeded(option: Option, strategy: str) -> bool:
    return strategy in option.strategies
