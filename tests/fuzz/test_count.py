"""The tests of this folder promise two thousand cases between them; `conftest.py` sees that each runs its own."""

from importlib import import_module
from pathlib import Path

from nonsense import DECLARED


def test_there_are_two_thousand_cases():
    for file in Path(__file__).parent.glob("test_*.py"):
        import_module(file.stem)
    assert sum(DECLARED.values()) >= 2000, DECLARED
