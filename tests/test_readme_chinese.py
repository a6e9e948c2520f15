"""The Chinese README keeps up with the English one: the same commands, tables and order."""

import re

import pytest

from docs.tables import IN_BOTH, generated


@pytest.fixture(scope="module")
def english(root) -> str:
    return (root / "README.md").read_text(encoding="utf-8").split("---\n", 2)[2]


@pytest.fixture(scope="module")
def chinese(root) -> str:
    return (root / "README.zh-CN.md").read_text(encoding="utf-8")


def commands(text: str) -> list[str]:
    blocks = re.findall(r"^```(?:sh|python)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [re.sub(r" *#.*", "", block) for block in blocks]


def test_commands_are_the_same_but_for_their_comments(english, chinese):
    assert commands(chinese) == commands(english)


def test_it_has_the_same_sections_and_pictures(english, chinese):
    assert chinese.count("\n## ") == english.count("\n## ")
    pictures = re.compile(r"!\[[^]]*\]\(([^)]*)\)")
    assert pictures.findall(chinese) == pictures.findall(english)


def test_it_names_the_same_files_and_settings(english, chinese):
    spans = re.compile(r"`([^`\n]+)`")
    assert set(spans.findall(chinese)) == set(spans.findall(english))


@pytest.mark.parametrize("name", IN_BOTH)
def test_generated_tables_are_those_of_the_english_one(english, chinese, name):
    # `make docs` writes them again.
    assert generated(chinese, name) == generated(english, name)


def test_it_has_no_header_and_links_to_the_english_one(chinese):
    assert "](README.md)" in chinese.splitlines()[0]
