"""Pages that are generated are what the program writes."""

from docs import tables
from storylab.markdown import put


def test_table_of_limits_is_what_the_program_writes():
    # `make docs` writes it again.
    page = tables.LIMITS.read_text(encoding="utf-8")
    assert put(page, "limits", tables.limits()) == page
