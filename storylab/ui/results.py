"""The Results tab: the published figures, run on one's own file, and a blind vote."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import gradio as gr

from storylab.errors import StoryLabError
from storylab.evaluation.report import HEADINGS, Report, heading, number, p_value, ranking
from storylab.evaluation.results import read_record
from storylab.ui import cards, charts, panels
from storylab.ui.address import Address
from storylab.ui.controls import AT_ONCE, HIDDEN
from storylab.ui.links import write_query
from storylab.ui.own_stories import OwnStories
from storylab.ui.tab import PageTab, press
from storylab.ui.texts import Labels, Say, speaker
from storylab.ui.visits import Visits
from storylab.ui.vote import BlindVote

COLUMNS = (
    "perplexity_per_word",
    "bleu_4",
    "chrf",
    "rouge_l",
    "distinct_2",
    "self_bleu",
    "repetition_4",
    "four_sentences",
    "length",
)
"""The metrics of the leaderboard; the chart and the comparison have all of them."""


class ResultsTab(PageTab):
    """The tab's components and what happens between them."""

    key = "results"

    def __init__(self, tab: gr.Tab, label: Labels, visits: Visits, address: Address):
        """Build it into a tab, which is filled when it is first opened."""
        super().__init__(tab, label, visits, address)
        vote = self.begin()
        try:
            self.report: Report | None = read_record()
        except StoryLabError as error:
            self.report = None
            gr.HTML(cards.problem(str(error)), apply_default_css=False)
        if self.report:
            self._published(tab, self.report, label)
        self.own = OwnStories(tab, label, visits)
        BlindVote(tab, self.report, label)
        vote.click(None, js=press("vote-ask"), **HIDDEN)

    def connect(self, page: gr.Blocks, tabs: Mapping[str, PageTab], bar: gr.Tabs) -> None:
        page.unload(self.own.leave)

    @property
    def arriving(self) -> dict[gr.blocks.Block, Collection[str]]:
        return dict.fromkeys((self.metric, self.first, self.second), ()) if self.report else {}

    def arrive(self, query: Mapping[str, str], say: Say) -> list[Any]:
        named = zip(("metric", "first", "second"), self.arriving, strict=False)
        known = lambda field, value: value in [key for _, key in field.choices]  # noqa: E731
        return [query[name] if known(field, query.get(name)) else gr.skip() for name, field in named]

    def _published(self, tab: gr.Tab, report: Report, label: Labels) -> None:
        metrics = [
            (label.made(lambda say, key=key: _heading(report, key, say)), key)
            for key in HEADINGS
            if key in report["metrics"]
        ]
        tellers = [name for name in ranking(report) if report["columns"][name]["kind"] == "storyteller"]
        with gr.Column(elem_classes="sheet"):
            figures = {"stories": report["stories"]["number"], "command": report["command"]}
            _section("leaderboard", label, **figures)
            self.leaderboard = gr.Dataframe(
                _leaderboard(report, Say()),
                headers=_headers(report, Say()),
                datatype=["str", *["number"] * len(COLUMNS)],
                interactive=False,
                wrap=True,
                elem_id="leaderboard",
            )
            self.metric = gr.Dropdown(metrics, value="perplexity_per_word", label=label("metric"), elem_id="metric")
            self.whiskers = gr.Plot(label=label("metric"), show_label=False, elem_id="whiskers")
        with gr.Column(elem_classes="sheet"):
            _section("differences", label)
            with gr.Row():
                self.first = gr.Dropdown(tellers, value=tellers[0], label=label("one"), elem_id="first")
                self.second = gr.Dropdown(tellers, value=tellers[-1], label=label("other"), elem_id="second")
            first_pair = label.made(lambda say: self._differ(tellers[0], tellers[-1], say))
            self.differences = gr.HTML(first_pair, elem_id="differences", apply_default_css=False)
        with gr.Column(elem_classes="sheet"):
            _section("cross_reading", label)
            self.matrix = gr.Plot(label=label("cross_reading"), show_label=False, elem_id="matrix")
        if samples := report.get("samples"):
            with gr.Column(elem_classes="sheet"):
                _section("samples", label)
                openings = list(samples)
                self.opening = gr.Dropdown(openings, value=openings[0], label=label("opening"), elem_id="sampled")
                self.samples = gr.HTML(
                    label.made(lambda say: self._told(openings[0], say)), elem_id="samples", apply_default_css=False
                )
            self.opening.input(self._samples, self.opening, self.samples, **AT_ONCE)
        filled = [self.leaderboard, self.whiskers, self.matrix, self.differences]
        tab.select(self._open, [self.metric, self.first, self.second], filled, **AT_ONCE)
        self.metric.input(self._whiskers, self.metric, self.whiskers, **AT_ONCE)
        pair = [self.first, self.second]
        gr.on([field.input for field in pair], self._differences, pair, self.differences, **AT_ONCE)
        fields = [self.metric, *pair]
        gr.on([field.input for field in fields], self._link, fields, self.address.query, **AT_ONCE)

    def _open(self, request: gr.Request, metric: str, first: str, second: str) -> list[Any]:
        say = speaker(request)
        leaderboard = gr.update(value=_leaderboard(self.report, say), headers=_headers(self.report, say))
        matrix = charts.heat_map(self.report["cross_reading"], say)
        return [leaderboard, self._whiskers(metric), matrix, self._differ(first, second, say)]

    def _link(self, metric: str, first: str, second: str) -> str:
        return write_query("results", run=False, metric=metric, first=first, second=second)

    def _whiskers(self, metric: str) -> Any:
        return charts.whiskers(self.report, metric)

    def _differences(self, request: gr.Request, first: str, second: str) -> str:
        return self._differ(first, second, speaker(request))

    def _differ(self, first: str, second: str, say: Say) -> str:
        """Two storytellers on every metric; the record has each pair once, in one order."""
        rows = []
        for found in self.report["comparisons"]:
            names = (found["first"], found["second"])
            if {first, second} != set(names) or found["difference"] is None:
                continue
            sign, ends = (1, ("low", "high")) if names == (first, second) else (-1, ("high", "low"))
            key, values = found["metric"], self.report["models"]
            low, high = (number(sign * found[end], key) for end in ends)
            rows.append(
                (
                    _heading(self.report, key, say),
                    *(number(values[name][key]["value"], key) for name in (first, second)),
                    f"{number(sign * found['difference'], key)} [{low}, {high}]",
                    p_value(found["p_corrected"]),
                )
            )
        if not rows:
            return cards.problem(say("problem_same"))
        return panels.table([say("metric"), first, second, say("difference"), "p"], rows)

    def _samples(self, request: gr.Request, opening: str) -> str:
        return self._told(opening, speaker(request))

    def _told(self, opening: str, say: Say) -> str:
        columns = self.report["columns"]
        told = self.report["samples"][opening].items()
        stories = "".join(
            panels.samples(cards.title(columns[name] | {"name": name}, say), texts) for name, texts in told
        )
        return f'<div class="samples">{stories}</div>'


def _headers(report: Report, say: Say) -> list[str]:
    return ["", *(_heading(report, key, say) for key in COLUMNS)]


def _leaderboard(report: Report, say: Say) -> list[list[Any]]:
    """A row a teller: numbers, so that the table can be sorted by them."""
    figure = lambda name, key: report["models"][name].get(key, {}).get("value")  # noqa: E731
    rounded = lambda value: None if value is None else round(value, 3)  # noqa: E731
    titles = {name: cards.title(column | {"name": name}, say) for name, column in report["columns"].items()}
    return [[titles[name], *(rounded(figure(name, key)) for key in COLUMNS)] for name in ranking(report)]


def _section(key: str, label: Labels, **values: object) -> None:
    """The head of a panel: its title and what it is about."""
    head = label.made(lambda say: panels.section(say(key), say(f"{key}_about", **values)))
    gr.HTML(head, apply_default_css=False)


def _heading(report: Report, key: str, say: Say) -> str:
    """What people call a metric, in their language where it has words for it, with an arrow to the better side."""
    english = HEADINGS[key]
    return heading(report, key).replace(english, say.or_else(f"metric_{key}", english))
