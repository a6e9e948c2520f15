"""MAUVE: against the package's own call, and what is refused."""

import importlib.util

import numpy as np
import pytest
import torch

from storylab.decoding import Settings
from storylab.errors import StoryLabError
from storylab.evaluation.metrics.mauve import Mauve
from storylab.evaluation.report import to_markdown
from storylab.evaluation.run import evaluate
from storylab.stories import read_stories
from storylab.storytellers import load


@pytest.fixture(scope="module")
def reader():
    return load("gpt2-mini")


@pytest.fixture(scope="module")
def stories(tiny_csv):
    return read_stories(tiny_csv, limit=40)


def test_points_are_the_last_states_of_texts_alone_and_padding_changes_none(reader, stories):
    texts = [stories[0].opening, stories[1].text]
    points = Mauve(reader)._points(texts)
    for text, point in zip(texts, points, strict=True):
        ids = torch.tensor([[reader.kind.start, *reader.tokenizer(text, add_special_tokens=False)["input_ids"]]])
        with torch.inference_mode():
            alone = reader.model(input_ids=ids, output_hidden_states=True).hidden_states[-1][0, -1]
        np.testing.assert_allclose(point, alone.numpy(), atol=2e-4)


def test_people_are_like_themselves_and_a_word_said_again_and_again_is_not(reader, stories):
    given = {
        "references": [story.continuation for story in stories],
        "openings": [story.opening for story in stories],
    }
    mauve = Mauve(reader)
    same = mauve.compute(predictions=given["references"], **given)
    other = mauve.compute(predictions=["the " * 30] * len(stories), **given)
    assert same["mauve"] == pytest.approx(1.0) and same["mauve_reader"] == "gpt2-mini"
    assert other["mauve"] < 0.2
    assert mauve.compute(predictions=["the " * 30] * len(stories), **given) == other


def test_a_report_has_it_without_an_interval_and_without_it_for_people(reader, small_seq2seq, stories):
    short = Settings.from_mapping({"max_new_tokens": 20})
    report, _ = evaluate([small_seq2seq], stories[:20], settings=short, mauve_reader=reader)
    assert 0 < report["models"][small_seq2seq.name]["mauve"]["value"] <= 1
    assert report["models"]["human"]["mauve"]["value"] is None
    assert not [found for found in report["comparisons"] if found["metric"] == "mauve"]
    assert "| MAUVE ↑ |" in to_markdown(report)


def test_another_kind_of_reader_and_a_missing_package_are_refused(reader, small_seq2seq, monkeypatch):
    with pytest.raises(StoryLabError, match="causal storyteller"):
        Mauve(small_seq2seq)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(StoryLabError, match=r"pip install '\.\[mauve\]'"):
        Mauve(reader)
