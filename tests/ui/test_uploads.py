"""Visitors' files: each goes once nobody needs it, and no visitor takes another's away."""

import os
import time

import pytest

from storylab.ui import uploads
from storylab.ui.uploads import Uploads


@pytest.fixture
def path(tmp_path):
    (tmp_path / "stories.csv").write_text("sentence1\n")
    return tmp_path / "stories.csv"


def test_a_file_goes_when_its_panel_has_used_it(path):
    held = Uploads()
    held.hold("me", "own", str(path))
    held.release("me", "own", str(path))
    assert not path.exists()


def test_a_file_that_nobody_noted_goes_all_the_same(path):
    Uploads().release("me", "own", str(path))
    assert not path.exists()


def test_the_same_file_of_two_visitors_goes_with_the_last(path):
    held = Uploads()
    held.hold("me", "own", str(path))
    held.hold("you", "own", str(path))
    held.release("me", "own", str(path))
    assert path.exists()
    held.leave("you")
    assert not path.exists()


def test_a_file_that_came_anew_is_left_for_whoever_brought_it(path):
    held = Uploads()
    held.hold("me", "own", str(path))
    time.sleep(0.02)  # the clock of files may be coarse
    os.replace(path, path.with_name("again"))
    os.replace(path.with_name("again"), path)
    held.release("me", "own", str(path))
    assert path.exists()


def test_a_visitor_who_takes_another_file_or_leaves_gives_up_the_one_before(path):
    held, other = Uploads(), path.with_name("other.csv")
    other.write_text("sentence1\n")
    held.hold("me", "own", str(path))
    held.hold("me", "stories", str(other))
    held.hold("me", "own", str(other))
    assert not path.exists() and other.exists()
    held.leave("me")
    assert not other.exists()


def test_what_no_page_holds_is_swept_and_what_one_holds_is_not(path, monkeypatch):
    held, loose, left_over = Uploads(), path.with_name("loose.csv"), path.with_name("tmp123")
    for file in (loose, left_over):
        file.write_text("x")
    held.hold("me", "own", str(path))
    came = {str(path), str(loose)}
    held.sweep(came, path.parent)
    assert loose.exists() and left_over.exists()
    monkeypatch.setattr(uploads, "UNCLAIMED", -1)
    held.sweep(came, path.parent)
    assert came == {str(path)} and path.exists() and not loose.exists() and left_over.exists()
    monkeypatch.setattr(uploads, "LEFT_OVER", -1)
    held.sweep(came, path.parent)
    assert path.exists() and not left_over.exists()
