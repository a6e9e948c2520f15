"""Rows of comparisons, and the record and page that they are written to."""

import pytest

from benchmarks import record
from benchmarks.record import Size
from benchmarks.rows import Row, Spread, compare, take_turns


def test_sides_take_turns_after_one_that_does_not_count():
    order = []
    sides = {name: lambda name=name: order.append(name) or len(order) for name in "ab"}
    assert take_turns(sides, 2) == {"a": [3, 5], "b": [4, 6]}
    assert order == list("ababab")


def test_a_ratio_is_taken_turn_by_turn_and_held_against_what_is_asked():
    figures = {"peer": iter([0, 1, 2, 4]), "quick": iter([0, 3, 4, 20]), "slow": iter([0, 1, 1, 1])}
    sides = {name: lambda each=each: next(each) for name, each in figures.items()}
    quick, slow = compare("counting", sides, 3, "a second", at_least={"quick": 3}, at_most={"slow": 0.4})
    assert quick.ratio == Spread(3, 2, 5) and quick.peer_figure == Spread(2, 1, 4) and quick.reached
    assert slow.ratio.median == 0.5 and slow.at_least is None and slow.reached is False


def test_a_part_takes_the_place_of_what_was_measured_before(tmp_path):
    row = lambda at_least: Row("w", "p", "o", "u", *[Spread.of([1.0, 2.0])] * 3, at_least)  # noqa: E731
    sizes = [Size("reading", 1000, 0.5, 2**20, True), Size("reading", 10_000, 5.0, 2**21, True)]
    record.keep(tmp_path, "beams", [row(None)])
    record.keep(tmp_path, "growth", sizes)
    record.keep(tmp_path, "beams", [row(1), row(2)])
    assert record.read(tmp_path) == {"beams": [row(1), row(2)], "growth": sizes}
    page = (tmp_path / "speed.md").read_text()
    assert page.count("| w | p | o | u | 1.5 (1 to 2) |") == 2 and page.count("| yes |") == page.count("| no |") == 1
    assert "| reading | 0.5 s, 1 MiB | 5 s, 2 MiB |" in page


@pytest.mark.parametrize("part", record.read(record.DOCS))
def test_the_page_shows_what_was_measured(part):
    assert record.markdown(record.read(record.DOCS)[part]) in (record.DOCS / "speed.md").read_text(encoding="utf-8")
