"""The loss of a session that is made to tell stories is the loss that scoring finds."""

from pathlib import Path

import pytest

from benchmarks.loss import session_loss
from storylab.evaluation.score import score
from storylab.stories import read_stories
from storylab.storytellers import load

TINY = Path(__file__).parents[2] / "train/tiny.csv"


@pytest.mark.parametrize("name", ["gpt2-mini", "seq2seq", "encoder"])
def test_a_sessions_loss_is_that_of_scoring(name):
    stories = read_stories(TINY)[:2]
    whole = score(load(name, engine="torch"), stories).nll
    assert session_loss(load(name, dtype="fp32"), stories) == pytest.approx(whole, rel=1e-5)
    assert session_loss(load(name, dtype="int8"), stories) == pytest.approx(whole, rel=0.03)
