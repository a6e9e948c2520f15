"""Markdown that the program writes: tables, strangers' text, and parts of pages that people wrote."""

import re
from collections.abc import Sequence

from storylab.errors import StoryLabError


def table(rows: Sequence[Sequence[str]]) -> str:
    """A table of rows of cells; the second row says how columns are aligned."""
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def escaped(text: str) -> str:
    """Somebody else's text as plain text."""
    return "".join(f"\\{character}" if character in "\\`*_{}[]<>()#+-.!|" else character for character in text)


def put(text: str, name: str, part: str) -> str:
    """Put a part between the two comments that bear its name; where there are none, at the end, with a heading.

    Args:
        text: Markdown, perhaps with `<!-- generated:NAME -->` and `<!-- /generated:NAME -->` in it.
        name: Which place to fill.
        part: What to write there.

    Raises:
        StoryLabError: The text has several such places.
    """
    opening, closing = f"<!-- generated:{name} -->", f"<!-- /generated:{name} -->"
    place = re.compile(f"{re.escape(opening)}.*?{re.escape(closing)}", re.DOTALL)
    filled, places = place.subn(lambda _: f"{opening}\n{part}\n{closing}", text)
    if places > 1:
        raise StoryLabError(f"one place for {name!r} is needed, {places} were found")
    return filled if places else f"{text.rstrip()}\n\n## {name.capitalize()}\n\n{opening}\n{part}\n{closing}\n"
