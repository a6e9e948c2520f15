"""Markdown that the program writes."""

import pytest

from storylab.errors import StoryLabError
from storylab.markdown import escaped, put, table

PLACE = "<!-- generated:a -->\nold\n<!-- /generated:a -->"


def test_a_table_has_a_line_a_row():
    assert table([["a", "b"], ["---", "---:"], ["1", "2"]]) == "| a | b |\n| --- | ---: |\n| 1 | 2 |"


def test_a_part_takes_the_place_of_the_one_before_and_of_nothing_else():
    text = f"before\n{PLACE}\nafter\n<!-- generated:b -->x<!-- /generated:b -->\n"
    filled = put(text, "a", r"new \1")
    assert filled == text.replace("old", r"new \1")
    assert put(filled, "a", r"new \1") == filled


def test_a_part_without_a_place_comes_at_the_end_and_then_stays_there():
    once = put("# Title\n\nText.\n", "results", "1")
    assert once == "# Title\n\nText.\n\n## Results\n\n<!-- generated:results -->\n1\n<!-- /generated:results -->\n"
    assert put(once, "results", "2") == once.replace("\n1\n", "\n2\n")


def test_two_places_of_one_name_are_refused():
    with pytest.raises(StoryLabError, match="one place for 'a' is needed, 2 were found"):
        put(PLACE + PLACE, "a", "new")


def test_escaped_text_has_no_markup_left():
    assert escaped("<b>*x*</b> [y](z) `a|b`") == r"\<b\>\*x\*\</b\> \[y\]\(z\) \`a\|b\`"
