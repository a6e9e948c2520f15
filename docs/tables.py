"""Writes what comes from the program into the READMEs, docs/api.md and docs/scale.md: ``python -m docs.tables``."""

from pathlib import Path

from storylab.docstrings import field_help
from storylab.limits import Limits, fields, variable
from storylab.markdown import put, table
from storylab.storytellers.catalog import describe

README = Path(__file__).resolve().parent.parent / "README.md"
CHINESE = README.with_name("README.zh-CN.md")
LIMITS = README.parent / "docs" / "limits.md"
IN_BOTH = ("storytellers", "results")
"""The generated parts that the Chinese README shares."""


def millions(count: int | None) -> str:
    """A parameter count in millions, with one decimal; nothing where it isn't known."""
    return f"{count / 1e6:.1f} M" if count else ""


def storytellers() -> str:
    """The catalogue as a Markdown table, a row for each storyteller."""
    rows = [("name", "what it is", "parameters", "weights"), ("---", "---", "---:", "---")]
    for entry in describe():
        name, source = f"`{entry['name']}`", f"`{entry['source']}`"
        rows.append((name, entry["title"], millions(entry["parameters"]), source))
    return table(rows)


def limits() -> str:
    """The limits of a deployment as a Markdown table, from their fields."""
    rows = [("variable", "default", "meaning"), ("---", "---:", "---")]
    said = field_help(Limits)
    return table([*rows, *((f"`{variable(one.name)}`", f"{one.default:,}", said[one.name]) for one in fields())])


def main() -> None:
    """Writes the tables of both READMEs, the endpoints, the sizes of docs/scale.md and the limits in place."""
    from docs import endpoints, sizing  # the first imports gradio

    _fill(README, "storytellers", storytellers())
    for name in IN_BOTH:
        _fill(CHINESE, name, generated(README.read_text(encoding="utf-8"), name))
    _fill(endpoints.PAGE, "endpoints", endpoints.endpoints())
    for name, part in sizing.tables().items():
        _fill(sizing.PAGE, name, part)
    _fill(LIMITS, "limits", limits())


def generated(text: str, name: str) -> str:
    """The part of a page that is generated under a name."""
    return text.split(f"<!-- generated:{name} -->\n")[1].split(f"\n<!-- /generated:{name} -->")[0]


def _fill(page: Path, name: str, part: str) -> None:
    page.write_text(put(page.read_text(encoding="utf-8"), name, part), encoding="utf-8")


if __name__ == "__main__":
    main()
