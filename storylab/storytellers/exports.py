"""Tellings as files: JSON as `tell --json` prints it, CSV for a table, Markdown for reading."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence

from storylab.markdown import escaped
from storylab.storytellers.telling import Telling

COLUMNS = (
    "model",
    "seed",
    "opening",
    "text",
    "finished",
    "ended_by",
    "tokens",
    "seconds",
    "tokens_per_second",
    "settings",
    "pathologies",
)
"""Of the CSV; settings are JSON, pathologies their codes."""


FORMULA = ("=", "+", "-", "@", "\t")
"""What a formula of a spreadsheet begins with (OWASP, "CSV Injection")."""


def to_json(tellings: Sequence[Telling]) -> str:
    """A list of what `tell --json` prints."""
    return json.dumps([telling.to_dict() for telling in tellings], indent=2, ensure_ascii=False) + "\n"


def to_csv(tellings: Sequence[Telling]) -> str:
    """A row a telling; a text that a spreadsheet would take for a formula has an apostrophe before it, as it asks."""
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for telling in tellings:
        row = {name: value for name, value in telling.to_dict().items() if name in COLUMNS}
        row |= {name: f"'{row[name]}" for name in ("opening", "text") if row[name].startswith(FORMULA)}
        row["settings"] = json.dumps(telling.settings)
        row["pathologies"] = " ".join(fault["code"] for fault in telling.pathologies)
        writer.writerow(row)
    return file.getvalue()


def to_markdown(tellings: Sequence[Telling]) -> str:
    """A section a telling: who told it, with which seed and settings, and the story."""
    return "\n".join(_section(telling) for telling in tellings)


def _section(telling: Telling) -> str:
    settings = ", ".join(f"{name} {value}" for name, value in telling.settings.items())
    story = "".join(f"{number}. {escaped(line)}\n" for number, line in enumerate([telling.opening, *telling.story], 1))
    ending = f"Seed {telling.seed}; {telling.tokens} tokens, ended by {telling.ended_by}; {settings}."
    return f"## {escaped(telling.model)}\n\n{story}\n{escaped(ending)}\n"


FORMATS: Mapping[str, Callable[[Sequence[Telling]], str]] = {"json": to_json, "csv": to_csv, "md": to_markdown}
"""By the ending of the file's name."""
