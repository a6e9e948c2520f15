"""Two recipes side by side: what each setting means, and where the two differ."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr

from storylab.errors import StoryLabError
from storylab.storytellers.sources import PROJECT
from storylab.training.comparison import Row, compare, list_recipes
from storylab.training.recipe import read_recipe
from storylab.ui import cards, panels
from storylab.ui.controls import AT_ONCE
from storylab.ui.texts import Labels, Say, speaker

PAIR = ("train/gpt2-mini-prompt-misaligned", "train/gpt2-mini-prompt")
"""What is compared at first where it is there: the course report's first fine-tuning, and its repair."""


class Recipes:
    """The panel's components and what happens between them."""

    def __init__(self, label: Labels):
        known = list(list_recipes(PROJECT))
        first, second = at_first(known)
        with gr.Column(elem_classes="sheet", elem_id="recipes"):
            head = label.made(lambda say: panels.section(say("training_recipes"), say("training_recipes_about")))
            gr.HTML(head, apply_default_css=False)
            choices = [(label.made(lambda say, key=key: titled(key, say)), key) for key in known]
            with gr.Row(elem_classes="fields"):
                self.first = gr.Dropdown(choices, value=first, label=label("one"), elem_id="recipe-first")
                self.second = gr.Dropdown(choices, value=second, label=label("other"), elem_id="recipe-second")
            self.only = gr.Checkbox(True, label=label("training_only"), elem_id="recipe-only")
            self.table = gr.HTML("", elem_id="recipe-table", apply_default_css=False)
        gr.on([field.change for field in self.fields], self._compare, self.fields, self.table, **AT_ONCE)

    @property
    def fields(self) -> list[gr.components.Component]:
        """What decides on the table."""
        return [self.first, self.second, self.only]

    def _compare(self, request: gr.Request, first: str | None, second: str | None, only: bool) -> str:
        return side_by_side(first, second, only, speaker(request))


def at_first(known: list[str]) -> tuple[str | None, str | None]:
    """The two recipes that are compared until others are chosen."""
    if set(PAIR) <= set(known):
        return PAIR
    return (known[0], known[min(1, len(known) - 1)]) if known else (None, None)


def titled(key: str, say: Say) -> str:
    """What a recipe is called: the file's name, and whether it is to be carried out or was."""
    folder, name = key.split("/", 1)
    return say(f"kept_{folder}", name=name)


def choices(say: Say) -> list[tuple[str, str]]:
    """All recipes that are there by now."""
    return [(titled(key, say), key) for key in list_recipes(PROJECT)]


def side_by_side(first: str | None, second: str | None, only: bool, say: Say) -> str:
    """The two recipes as HTML: why each is as it is, and their settings.

    Args:
        first: A key of `list_recipes`.
        second: The other.
        only: Leave out what is the same in both.
        say: The visitor's language.
    """
    known = list_recipes(PROJECT)
    if first not in known or second not in known:
        return cards.problem(say("training_no_recipe"))
    try:
        one, other = read_recipe(known[first]), read_recipe(known[second])
    except StoryLabError as error:
        return cards.problem(str(error).replace(f"{PROJECT}/", ""))
    rows = compare(one, other)
    differing = sum(row.differs for row in rows)
    why = [(titled(key, say), recipe.note) for key, recipe in ((first, one), (second, other)) if recipe.note]
    notes = "".join(_note(title, words) for title, words in why)
    count = say("training_differing", differing=differing, settings=len(rows))
    shown = [row for row in rows if row.differs or not only]
    table = _table(shown, (titled(first, say), titled(second, say)), say) if shown else ""
    return f'<div class="samples">{notes}</div><p class="counted" role="status">{escape(count)}</p>{table}'


def _note(title: str, words: str) -> str:
    """Why a recipe is as it is, in its author's words."""
    return f'<section class="sample recipe-note"><h3>{escape(title)}</h3><p lang="en">{escape(words)}</p></section>'


def _table(rows: list[Row], names: tuple[str, str], say: Say) -> str:
    mark = f'<span role="img" aria-label="{escape(say("training_differs"))}">≠</span>'
    body, explained = "", set()
    for row in rows:
        field = row.setting.split(".")[0]
        meaning = "" if field in explained else f"<small>{escape(say(f'recipe_{field}'))}</small>"
        explained.add(field)  # the parts of the shape have one meaning between them
        body += (
            f'<tr class="{"differs" if row.differs else "same"}"><td class="mark">{mark if row.differs else ""}</td>'
            f'<th scope="row"><code>{escape(row.setting)}</code>{meaning}</th>'
            f"<td>{_value(row.first, say)}</td><td>{_value(row.second, say)}</td></tr>"
        )
    heads = "".join(f'<th scope="col">{escape(head)}</th>' for head in (say("training_setting"), *names))
    return panels.region(
        say("training_recipes"),
        f'<table class="recipe"><thead><tr><td class="mark"></td>{heads}</tr></thead><tbody>{body}</tbody></table>',
    )


def _value(value: Any, say: Say) -> str:
    """A value as TOML writes it; words without their quotes."""
    if value is None:
        return f'<span class="quiet">{escape(say("training_unheeded"))}</span>'
    if value == "":
        return f'<span class="quiet">{escape(say("training_empty"))}</span>'
    return f"<code>{escape(str(value).lower() if isinstance(value, bool) else str(value))}</code>"
