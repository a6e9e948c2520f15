"""The commands that look at stories as data: `stories` and `frame`."""

import argparse
from collections.abc import Iterable
from itertools import groupby

from storylab.inspection.cells import Cell, Framed
from storylab.inspection.corpus import (
    LIMITS,
    MOST_STORIES,
    SMALL,
    Corpus,
    CorpusStatistics,
    companions,
    measure,
    read_corpus,
    typed_story,
)
from storylab.inspection.vocabularies import WORDS, at_hand, find_vocabulary, visible
from storylab.shell import Arguments, add_json, print_json


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add them to the command line."""
    stories = commands.add_parser("stories", help="a corpus in figures, and its lengths for each tokenizer")
    small = "a CSV or hub:OWNER/NAME (default: the small corpus that comes with StoryLab)"
    stories.add_argument("--data", default=str(SMALL), metavar="CSV", help=small)
    stories.add_argument("--tokenizer", nargs="+", metavar="NAME", help="of these storytellers (default: all here)")
    stories.add_argument("--limit", type=int, default=MOST_STORIES, help=f"stories read (default: {MOST_STORIES})")
    lengths = f"tokens to cut at (default: {' '.join(map(str, LIMITS))})"
    stories.add_argument("--limit-at", type=int, nargs="+", default=LIMITS, metavar="TOKENS", help=lengths)
    add_json(stories)
    stories.set_defaults(command=_stories)

    frame = commands.add_parser("frame", help="one story as the tensors of each framing")
    frame.add_argument("sentences", nargs=5, metavar="SENTENCE", help="the story's five sentences")
    frame.add_argument("--model", required=True, metavar="NAME", help="the storyteller whose tokenizer cuts it")
    frame.add_argument("--framing", metavar="NAME", help="only this one, by the name that recipes use")
    add_json(frame)
    frame.set_defaults(command=_frame)


def _stories(options: Arguments) -> None:
    vocabularies = [find_vocabulary(name) for name in options.tokenizer] if options.tokenizer else at_hand()
    corpus = read_corpus(options.data, options.limit)
    found = measure(corpus, vocabularies)
    if options.json:
        given = {"data": corpus.name, "bad_rows": corpus.bad_rows, "reasons": list(corpus.reasons)}
        return print_json(given | found.to_dict(options.limit_at))
    _print_corpus(corpus, found)
    heads = "".join(f"{f'> {limit}':>8}" for limit in options.limit_at)
    print(f"\n{'tokens a story':<24}{'min':>6}{'mean':>8}{'median':>8}{'95%':>8}{'max':>6}{heads}")
    for name, lengths in found.lengths.items():
        figures = f"{lengths.minimum:>6}{lengths.mean:>8.1f}"
        figures += "".join(f"{lengths.percentiles[percent]:>8.1f}" for percent in (50, 95))
        cut = "".join(f"{lengths.share_cut(limit):>8.1%}" for limit in options.limit_at)
        print(f"{name:<24}{figures}{lengths.maximum:>6}{cut}")
    for vocabulary in vocabularies:
        if others := vocabulary.storytellers[1:]:
            print(f"{', '.join(others)}: as {vocabulary.name}")
    print(f"{WORDS}: between blanks; no start or end token is counted; > N: share of the stories cut at N tokens")


def _print_corpus(corpus: Corpus, found: CorpusStatistics) -> None:
    print(f"{corpus.name}: {found.stories:,} stories, {found.words:,} words, {found.words_per_sentence:.1f} a sentence")
    print(f"{found.types:,} different words, {found.once:,} of them once; {found.duplicates:,} duplicates")
    print("first words:", ", ".join(f"{word} {count}" for word, count in found.first_words))
    if corpus.bad_rows:
        print(f"{corpus.bad_rows:,} rows left out; the first:", *corpus.reasons, sep="\n  ")


def _frame(options: Arguments) -> None:
    from storylab.inspection.framed import FRAMINGS, frame

    story, vocabulary = typed_story("\n".join(options.sentences)), find_vocabulary(options.model)
    names = [options.framing] if options.framing else FRAMINGS
    framed = [frame(name, [story, *companions(story)], vocabulary) for name in names]
    cut = vocabulary.cut(story.text)
    if options.json:
        pieces = [piece._asdict() for piece in cut]
        return print_json({"model": options.model, "cut": pieces, "framings": [batch.to_dict() for batch in framed]})
    print(f"{len(cut)} tokens: {'|'.join(visible(piece.text) for piece in cut)}")
    for batch in framed:
        _print_framed(batch)


def _print_framed(batch: Framed) -> None:
    print(f"\n{batch.name}: {batch.labels} labels, {batch.read} positions, {batch.padding} of them padding")
    for tensor in batch.tensors:
        shape = ", ".join(f"{axis} {size}" for axis, size in zip(tensor.axes, tensor.shape, strict=True))
        print(f"  {tensor.name} ({shape})")
        for number, row in enumerate(tensor.rows, 1):
            print(f"    {batch.example} {number}: {'|'.join(_runs(row))}")


def _runs(row: Iterable[Cell]) -> Iterable[str]:
    """The cells as text, equal neighbours together."""
    for text, some in groupby(row, key=lambda cell: cell.text):
        count = len(list(some))
        yield visible(text) if count == 1 else f"{visible(text)} x{count}"
