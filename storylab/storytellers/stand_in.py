"""Who tells in place of a storyteller that isn't there."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from storylab.storytellers.remote.source import REMOTE

Row = Mapping[str, Any]


def stand_in(name: str, rows: Iterable[Row]) -> str | None:
    """The ready storyteller nearest to one that isn't ready; itself where it is; None where none is near.

    Near is one of the same kind in the same role, zero-shot for zero-shot and fine-tuned for fine-tuned, and among
    those the one nearest in size.

    Args:
        name: The storyteller that was asked for.
        rows: All storytellers, as `describe()` lists them.
    """
    known = {row["name"]: row for row in rows}
    wanted = known.get(name)
    if wanted is None:
        return None
    if wanted["state"] == "ready":
        return name
    if wanted["kind"] == REMOTE:  # the opening goes to whom it was meant for, or to nobody
        return None
    near = [
        row
        for row in known.values()
        if row["state"] == "ready" and row["kind"] == wanted["kind"] and bool(row["base"]) == bool(wanted["base"])
    ]
    return min(near, key=lambda row: _distance(row, wanted))["name"] if near else None


def _distance(one: Row, other: Row) -> float:
    """How many times larger one is than the other, as a logarithm; a size that isn't known is far from any."""
    if not one["parameters"] or not other["parameters"]:
        return math.inf
    return abs(math.log(one["parameters"] / other["parameters"]))
