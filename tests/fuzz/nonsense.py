"""What people, programs and attackers send where something sound is wanted, as Hypothesis strategies; and the count."""

import functools
import math
from collections import Counter
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

DECLARED: dict[str, int] = {}
"""Cases that each test promises, by its name."""
RUN: Counter[str] = Counter()
"""Cases that were run."""

MARKUP = (
    "<img src=x onerror=\"window.storylabHit='img'\">",
    "<script>window.storylabHit='script'</script>",
    "<svg onload=\"window.storylabHit='svg'\">",
    "</textarea></script><iframe srcdoc=\"<script>parent.storylabHit='iframe'</script>\"></iframe>",
    "[click](javascript:window.storylabHit='link') ![x](x.png) **bold** # head",
    "| a | b |\n| --- | --- |\n| 1 | <b onclick=\"window.storylabHit='b'\">2</b> |",
    "{{window.storylabHit='braces'}} ${window.storylabHit='dollar'} {0} %s",
    '"><details open ontoggle="window.storylabHit=1">',
    '__i18n__{"key": "opening"}',
)
SPECIAL = ("<s>", "</s>", "<unk>", "<pad>", "<|endoftext|>", "<|im_start|>user", "<0x0A>", "▁", "[CLS]", "Ġthe")
PATHS = (
    "../../etc/passwd",
    "/etc/passwd",
    "..\\..\\x",
    "%2e%2e/",
    "file:///etc/passwd",
    "hub:a/b",
    "~root",
    "CON",
    ".",
)
WRITINGS = ("\u202egnp.exe", "שלום", "مرحبا", "e" + "\u0301" * 500, "👩\u200d👧", "𝕳𝖊𝖑𝖑𝖔", "\ufeffx", "ﷺ", "\u200b")
QUOTED = ("'; DROP TABLE votes;--", "$(id)", "`id`", "--nonsense", "%00")
BROKEN = ("", " ", "\n\t\r", "\0", "a\0b", "\x1b[31m", "\x07", "\ud800", "a\udfffb", "\ufffe", "\u2028")
NUMBERS = (math.nan, math.inf, -math.inf, -1, -0.0, 1e308, 5e-324, 10**30, -(10**30), 10**4000, 2**32, 2**63, 0.5)

anything = st.characters(exclude_categories=())
"""Every code point, lone surrogates among them."""
known = st.sampled_from([*MARKUP, *SPECIAL, *PATHS, *WRITINGS, *QUOTED, *BROKEN])
texts = st.one_of(known, st.text(anything, max_size=60), st.builds("{}{}".format, known, known))
long_texts = st.sampled_from(("x", "é", "My dog. ")).map(lambda part: part * 1_000_000)
numbers = st.one_of(st.sampled_from(NUMBERS), st.integers(), st.floats())
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)
"""What JSON can hold, and some more."""


def cases(number: int, /, **strategies: st.SearchStrategy) -> Callable[[Callable], Callable]:
    """Make a function a test of at least so many cases; `conftest.py` looks whether they were run.

    Args:
        number: How many.
        **strategies: What its arguments are drawn from; the others are fixtures.
    """

    def make(test: Callable) -> Callable:
        @functools.wraps(test)
        def counted(*arguments, **named):
            RUN[test.__name__] += 1
            return test(*arguments, **named)

        DECLARED[test.__name__] = number
        unchecked = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
        return settings(max_examples=number, suppress_health_check=unchecked, database=None)(
            given(**strategies)(counted)
        )

    return make


def is_one_line(message: object) -> bool:
    """Whether a message is one that a person can read: some words, one line, not endless, and fit to be sent."""
    text = str(message)
    text.encode()
    return 0 < len(text) <= 1500 and len(text.splitlines()) == 1 and "Traceback" not in text
