"""A corpus in figures, as HTML: what it holds, how long its stories are for each tokenizer, and what a limit cuts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from storylab.inspection.corpus import LIMITS, Corpus, CorpusStatistics
from storylab.inspection.vocabularies import WORDS, Vocabulary
from storylab.stories import LengthStatistics
from storylab.ui import panels
from storylab.ui.texts import Say

BARS = 160
"""Bars of a histogram, at most: of one length each where they are enough."""
TICKS = 9
"""Numbers under a histogram, at most."""
FIGURES = (
    "stories_figure_stories",
    "stories_figure_words",
    "stories_figure_sentence",
    "stories_figure_types",
    "stories_figure_duplicates",
    "stories_figure_firsts",
)


def figures(corpus: Corpus, found: CorpusStatistics, say: Say) -> str:
    """The corpus by name, its figures, and the rows that were left out."""
    firsts = ", ".join(f"{word} {count}" for word, count in found.first_words)
    types = say("stories_types_once", types=found.types, once=found.once)
    values = (
        f"{found.stories:,}",
        f"{found.words:,}",
        f"{found.words_per_sentence:.1f}",
        types,
        f"{found.duplicates:,}",
        firsts,
    )
    items = (
        f'<div><dt><span class="term" tabindex="0" title="{escape(say(f"{key}_about"))}">{escape(say(key))}</span></dt>'
        f"<dd>{escape(value)}</dd></div>"
        for key, value in zip(FIGURES, values, strict=True)
    )
    return f'<h3>{escape(corpus.name)}</h3><dl class="corpus">{"".join(items)}</dl>{_left_out(corpus, say)}'


def _left_out(corpus: Corpus, say: Say) -> str:
    notes = [panels.quiet(say("stories_first_only", stories=len(corpus.stories)))] if corpus.full else []
    if corpus.bad_rows:
        reasons = "".join(f"<li>{escape(reason)}</li>" for reason in corpus.reasons)
        head = escape(say("stories_left_out", rows=corpus.bad_rows))
        notes.append(f'<div class="left-out" role="note"><p>{head}</p><ul>{reasons}</ul></div>')
    return "".join(notes)


def lengths(found: CorpusStatistics, vocabularies: Sequence[Vocabulary], limit: int, say: Say) -> str:
    """Histograms with a limit, and the tables of lengths and of what each limit cuts."""
    titles = {vocabulary.name: title(vocabulary, say) for vocabulary in vocabularies} | {WORDS: say("stories_words")}
    return (
        histograms(found.lengths, titles, limit, say)
        + panels.region(say("stories_cut_table"), _cut_table(found.lengths, titles, limit, say))
        + panels.region(say("stories_length_table"), _length_table(found, titles, say))
    )


def title(vocabulary: Vocabulary, say: Say) -> str:
    """A tokenizer is called after the storytellers that use it."""
    return say("stories_tokenizer_title", size=vocabulary.size, names=", ".join(vocabulary.storytellers))


def _cut_table(found: Mapping[str, LengthStatistics], titles: Mapping[str, str], limit: int, say: Say) -> str:
    share = lambda measured, at: f"{measured.share_cut(at):.1%}"  # noqa: E731
    rows = [
        [titles[name], share(measured, limit), *(share(measured, at) for at in LIMITS)]
        for name, measured in found.items()
    ]
    heads = [say("stories_cut_at"), say("stories_at_limit", limit=limit), *(str(at) for at in LIMITS)]
    return panels.table(heads, rows, "figures cuts")


def _length_table(found: CorpusStatistics, titles: Mapping[str, str], say: Say) -> str:
    rows = [
        [
            titles[name],
            str(measured.minimum),
            f"{measured.mean:.1f}",
            f"{measured.percentiles[50]:.0f}",
            f"{measured.percentiles[95]:.0f}",
            str(measured.maximum),
            f"{measured.tokens / found.words:.2f}",
        ]
        for name, measured in found.lengths.items()
    ]
    heads = ("stories_tokens_a_story", "stories_minimum", "stories_mean", "stories_median")
    more = ("stories_most", "stories_maximum", "stories_a_word")
    return panels.table([say(key) for key in heads + more], rows, "figures lengths")


def histograms(found: Mapping[str, LengthStatistics], titles: Mapping[str, str], limit: int, say: Say) -> str:
    """How many stories have each length, a row a tokenizer, all on one scale, with the limit as a rule through them."""
    end = max(limit, *(measured.maximum for measured in found.values())) + 4
    rows = "".join(_histogram(titles[name], measured, limit, end, say) for name, measured in found.items())
    step = next(size for size in (8, 16, 32, 64, 128, 256, 512, 1024, 4096, end) if end / size <= TICKS)
    ticks = "".join(f'<span style="left:{100 * at / end:.2f}%">{at}</span>' for at in range(0, end, step))
    rule = f'<div class="rule" style="left:{100 * (limit + 0.5) / end:.2f}%"></div>'
    return (
        f'<div class="lengths"><div class="plots">{rule}{rows}</div>'
        f'<div class="ticks" aria-hidden="true">{ticks}</div>'
        f'<p class="quiet">{escape(say("stories_axis"))}</p></div>'
    )


def _histogram(name: str, measured: LengthStatistics, limit: int, end: int, say: Say) -> str:
    width = -(-end // BARS)
    bars: dict[int, int] = {}
    for length, count in measured.histogram.items():
        bar = (length - limit - 1) // width  # so cut that none stands on both sides of the limit
        bars[bar] = bars.get(bar, 0) + count
    highest = max(bars.values())
    drawn = "".join(_bar(limit + 1 + bar * width, width, count, highest, limit, say) for bar, count in bars.items())
    share = say("stories_cut_share", share=measured.share_cut(limit))
    about = say("stories_histogram", name=name, low=measured.minimum, high=measured.maximum, share=share)
    return (
        f'<div class="length"><p><b>{escape(name)}</b> <span>{escape(share)}</span></p>'
        f'<svg role="img" aria-label="{escape(about)}" viewBox="0 0 {end} 100" preserveAspectRatio="none">'
        f"{drawn}</svg></div>"
    )


def _bar(first: int, width: int, count: int, highest: int, limit: int, say: Say) -> str:
    height = 100 * count / highest
    last = first + width - 1
    span = str(first) if width == 1 else f"{first}–{last}"
    kind = "cut" if first > limit else "kept"
    return (
        f'<rect class="{kind}" x="{first - 0.4:.1f}" y="{100 - height:.1f}" width="{width - 0.2:.1f}" '
        f'height="{height:.1f}"><title>{escape(say("stories_bar", span=span, count=count))}</title></rect>'
    )
