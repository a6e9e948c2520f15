"""Who tells in place of a storyteller that isn't there."""

import pytest

from storylab.storytellers.stand_in import stand_in


def row(name, state="ready", kind="causal", base="", parameters=None):
    return {"name": name, "state": state, "kind": kind, "base": base, "parameters": parameters}


ROWS = [
    row("encoder", kind="encoder", parameters=5e6),
    row("mini", parameters=14e6),
    row("mini-tuned", base="mini", parameters=14e6),
    row("middle", parameters=120e6),
    row("large", "downloadable", parameters=135e6),
    row("large-tuned", "downloadable", base="large", parameters=135e6),
    row("unknown", "untrained"),
    row("seq2seq", "broken", kind="seq2seq", parameters=9e6),
]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("mini", "mini"),  # is there itself
        ("large", "middle"),  # the nearest in size of those that are zero-shot too
        ("large-tuned", "mini-tuned"),  # fine-tuned for fine-tuned, however far in size
        ("unknown", "mini"),  # of a size that nobody knows: the first
        ("seq2seq", None),  # nobody of its kind
    ],
)
def test_the_nearest_of_the_same_kind_and_role_stands_in(wanted, found):
    assert stand_in(wanted, ROWS) == found


def test_nobody_stands_in_where_nobody_is_ready():
    assert stand_in("large", [dict(each, state="untrained") for each in ROWS]) is None
