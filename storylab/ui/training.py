"""The Training tab: how the storytellers were trained and at what cost, and training while one looks on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from storylab.storytellers.sources import PROJECT
from storylab.training.comparison import list_recipes
from storylab.training.history import AXES, QUANTITIES
from storylab.ui import cards, panels, recipes
from storylab.ui.address import Address
from storylab.ui.controls import AT_ONCE, HIDDEN
from storylab.ui.links import write_query
from storylab.ui.live_finetune import OwnTraining
from storylab.ui.live_overfit import LiveOverfit
from storylab.ui.recipes import Recipes
from storylab.ui.tab import PageTab
from storylab.ui.texts import Labels, Say, speaker
from storylab.ui.trained import trained, with_logs
from storylab.ui.training_cost import cost_table, told_on_the_way
from storylab.ui.training_curves import AXIS, QUANTITY, Curves, draw
from storylab.ui.visits import Visits

OVERFIT = """() => {
  document.getElementById("training-run")?.scrollIntoView({behavior: "smooth", block: "center"});
  window.storylabPress("training-run");
  window.storylabShow("#overfit-look .live", 200);
}"""


class TrainingTab(PageTab):
    """The tab's components and what happens between them."""

    key = "training"

    def __init__(self, tab: gr.Tab, label: Labels, visits: Visits, address: Address):
        super().__init__(tab, label, visits, address)
        begin = self.begin()
        self.curves = Curves(label)
        with gr.Column(elem_classes="sheet"):
            self._head("training_cost")
            self.cost = gr.HTML("", elem_id="training-cost", apply_default_css=False)
        with gr.Column(elem_classes="sheet"):
            self._head("training_told")
            rows = with_logs()
            self.teller = gr.Dropdown(
                [(label.made(lambda say, row=row: cards.title(row, say)), row["name"]) for row in rows],
                value=rows[0]["name"] if rows else None,
                label=label("training_storyteller"),
                elem_id="told-by",
            )
            self.told = gr.HTML("", elem_id="told", apply_default_css=False)
        self.recipes = Recipes(label)
        self.live = (LiveOverfit(tab, label, visits, address), OwnTraining(tab, label, visits, address))
        self.teller.change(self._tell, self.teller, self.told, **AT_ONCE)
        tab.select(self._open, self._fields, self._views, **AT_ONCE)
        gr.on([field.input for field in self._fields], self._link, self._fields, address.query, **AT_ONCE)
        begin.click(None, js=OVERFIT, **HIDDEN)

    def _head(self, key: str) -> None:
        head = self.label.made(lambda say: panels.section(say(key), say(f"{key}_about")))
        gr.HTML(head, apply_default_css=False)

    @property
    def _fields(self) -> list[gr.components.Component]:
        """What a link to the tab fills in."""
        return [*self.curves.fields, self.teller, *self.recipes.fields]

    @property
    def _views(self) -> list[gr.components.Component]:
        """What `_open` fills."""
        choices = [self.curves.chosen, self.teller, self.recipes.first, self.recipes.second]
        return [*choices, *self.curves.drawing, self.cost, self.told, self.recipes.table]

    @property
    def arriving(self) -> dict[gr.blocks.Block, tuple[str, ...]]:
        """The fields; the choices of those that name checkpoints or recipes are read anew."""
        named = [self.curves.chosen, self.teller, self.recipes.first, self.recipes.second]
        mine = {field: ("value", "choices") if field in named else () for field in self._fields}
        return mine | {block: texts for panel in self.live for block, texts in panel.arriving.items()}

    def arrive(self, query: Mapping[str, str], say: Say) -> list[Any]:
        rows, known = with_logs(), list_recipes(PROJECT)
        names = [row["name"] for row in rows]
        asked = [name for name in query.get("curves", "").split(",") if name in names]
        tellers = [(cards.title(row, say), row["name"]) for row in rows]
        pair = zip((query.get("first"), query.get("second")), recipes.at_first(list(known)), strict=True)
        first, second = (given if given in known else usual for given, usual in pair)
        told = query.get("told")
        return [
            gr.update(choices=tellers, value=asked or names),
            _one_of(QUANTITIES, query.get("quantity")),
            _one_of(AXES, query.get("x")),
            gr.update(choices=tellers, value=told if told in names else next(iter(names), None)),
            gr.update(choices=recipes.choices(say), value=first),
            gr.update(choices=recipes.choices(say), value=second),
            query.get("all") != "1",
            *(value for panel in self.live for value in panel.arrive(query, say)),
        ]

    def connect(self, page: gr.Blocks, tabs: Mapping[str, PageTab], bar: gr.Tabs) -> None:
        for panel in self.live:
            page.unload(panel.leave)

    # What happens. `request` is filled in by gradio.

    def _open(self, request: gr.Request, *values: Any) -> list[Any]:
        chosen, quantity, axis, teller, first, second, only = values
        say = speaker(request)
        known, unsound = trained(say)
        tellers = gr.update(choices=[(one.title, one.name) for one in known])
        kept = gr.update(choices=recipes.choices(say))
        return [
            *(tellers, tellers, kept, kept),
            *draw(known, chosen, quantity, axis, say),
            cost_table(known, unsound, say),
            told_on_the_way(known, teller, say),
            recipes.side_by_side(first, second, only, say),
        ]

    def _tell(self, request: gr.Request, teller: str | None) -> str:
        say = speaker(request)
        return told_on_the_way(trained(say)[0], teller, say)

    def _link(self, request: gr.Request, *values: Any) -> str:
        chosen, quantity, axis, teller, first, second, only = values
        return write_query(
            self.key,
            run=False,
            curves=",".join(chosen),
            quantity=quantity if quantity != QUANTITY else None,
            x=axis if axis != AXIS else None,
            told=teller,
            first=first,
            second=second,
            all=None if only else 1,
        )


def _one_of(known: tuple[str, ...], asked: str | None) -> Any:
    return asked if asked in known else gr.skip()
