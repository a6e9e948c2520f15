"""Writes the tables of the README that come from the program: ``python -m docs.tables``."""

import re
from pathlib import Path

from storylab.storytellers.catalog import describe

README = Path(__file__).resolve().parent.parent / "README.md"


def millions(count: int | None) -> str:
    """A parameter count in millions, with one decimal; nothing where it isn't known."""
    return f"{count / 1e6:.1f} M" if count else ""


def storytellers() -> str:
    """The catalogue as a Markdown table, a row for each storyteller."""
    rows = [("name", "what it is", "parameters", "weights"), ("---", "---", "---:", "---")]
    for entry in describe():
        name, source = f"`{entry['name']}`", f"`{entry['source']}`"
        rows.append((name, entry["title"], millions(entry["parameters"]), source))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def fill(text: str, name: str, table: str) -> str:
    """Puts a table between the two comments that bear its name.

    Args:
        text: Markdown with ``<!-- generated:NAME -->`` and ``<!-- /generated:NAME -->`` in it.
        name: which place to fill.
        table: what to write there.

    Returns:
        The text with everything between the two comments replaced.

    Raises:
        ValueError: the text has no such place, or several.
    """
    opening, closing = f"<!-- generated:{name} -->", f"<!-- /generated:{name} -->"
    place = re.compile(f"{re.escape(opening)}.*?{re.escape(closing)}", re.DOTALL)
    filled, places = place.subn(lambda _: f"{opening}\n{table}\n{closing}", text)
    if places != 1:
        raise ValueError(f"one place for {name!r} is needed, {places} were found")
    return filled


def main() -> None:
    """Writes the README's tables in place."""
    text = README.read_text(encoding="utf-8")
    README.write_text(fill(text, "storytellers", storytellers()), encoding="utf-8")


if __name__ == "__main__":
    main()
