"""What a text must be."""

import pytest

from storylab.errors import StoryLabError
from storylab.inspection.texts import MOST_CHARACTERS, check_text


def test_whitespace_is_put_in_order():
    assert check_text("  He\n\nran.\t") == "He ran."
    assert check_text("") == ""
    assert len(check_text("x" * MOST_CHARACTERS)) == MOST_CHARACTERS


@pytest.mark.parametrize(
    ("text", "message"), [("x" * 2001, "2,001 characters"), ("He \udc00 ran", "surrogate"), (None, "must be text")]
)
def test_what_is_no_text_is_refused_in_words(text, message):
    with pytest.raises(StoryLabError, match=message):
        check_text(text)
