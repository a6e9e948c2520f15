r"""Metrics of told stories, each a class of `evaluate`'s that is made directly and works offline.

`compute` takes columns, one entry a story, all in the same order:

| input | what it holds |
| --- | --- |
| `predictions` | the told continuation without its opening, sentences joined by one space |
| `references` | the human continuation of the same opening, written likewise |
| `openings` | the opening |
| `sentences` | how many sentences were told |
| `finished` | whether the storyteller ended the story by itself |
| `nll`, `words` | its loss of the human continuation, and what that is divided by |

A metric says in `inputs` which of them it reads and passes over the others, so that all metrics may be given
everything at once:

    evaluate.combine(standard_metrics()).compute(predictions=..., references=..., openings=..., ...)

The results are flat: `bleu_4` is a number, and beside it stands what it takes to compute it again
(`bleu_4_signature`, `bleu_4_max_ngram_order`, `bleu_4_version`). sacreBLEU's scores run from 0 to 100, shares
from 0 to 1; each class says which, and which direction is better.

For intervals and paired tests, `statistics` gives a row of numbers a story and `value` what a sum of rows is
worth: `metric.interval(metric.statistics(...))`. Nothing is computed from the texts again.
"""

from collections.abc import Iterable

from storylab.evaluation.metrics.base import INPUTS, Better, OfflineMetric, StoryMetric
from storylab.evaluation.metrics.diversity import Distinct, Novelty, Repetition
from storylab.evaluation.metrics.opening import OpeningCarriedOn
from storylab.evaluation.metrics.overlap import Bleu, Chrf, RougeL
from storylab.evaluation.metrics.perplexity import PerplexityPerWord
from storylab.evaluation.metrics.self_bleu import SelfBleu
from storylab.evaluation.metrics.shape import FourSentences, Length, LengthRatio

__all__ = [
    "INPUTS",
    "Better",
    "Bleu",
    "Chrf",
    "Distinct",
    "FourSentences",
    "Length",
    "LengthRatio",
    "Novelty",
    "OfflineMetric",
    "OpeningCarriedOn",
    "PerplexityPerWord",
    "Repetition",
    "RougeL",
    "SelfBleu",
    "StoryMetric",
    "standard_metrics",
]


def standard_metrics(inputs: Iterable[str] = tuple(INPUTS), training: Iterable[str] | None = None) -> list[StoryMetric]:
    """The metrics of a report, in the order of its columns, as far as the inputs at hand allow.

    Args:
        inputs: The names of the inputs at hand; a row of human stories, for one, has no references.
        training: The whole texts of the training stories; None leaves out the novelty.
    """
    metrics = [
        PerplexityPerWord(),
        *[Bleu(order) for order in (1, 2, 3, 4)],
        Chrf(),
        RougeL(),
        *[Distinct(n) for n in (1, 2, 4)],
        SelfBleu(),
        Repetition(4),
        FourSentences(),
        Length(),
        LengthRatio(),
        OpeningCarriedOn(),
    ]
    if training is not None:
        metrics.append(Novelty(training, 8))
    return [metric for metric in metrics if set(metric.inputs) <= set(inputs)]
