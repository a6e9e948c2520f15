"""Published results: one record, and pages that are made from it and in step with it and with the weights."""

import copy
import shutil

import pytest

from storylab.errors import StoryLabError
from storylab.evaluation import results
from storylab.evaluation.results import RECORD, card_section, out_of_step, publish, read_record, results_page
from storylab.storytellers.sources import PROJECT

NAMES = ("seq2seq", "encoder")


def figure(value: float) -> dict:
    return {"value": value, "low": value * 0.9, "high": value * 1.1, "stories": 200}


@pytest.fixture
def report() -> dict:
    """A report such as `evaluate` makes, of two storytellers and people."""
    keys = ("perplexity_per_word", "bleu_4", "chrf", "distinct_2", "self_bleu", "repetition_4", "four_sentences")
    empty = {"value": None, "low": None, "high": None, "note": "needs references, which there are none of"}
    human = {key: empty if key in keys[:3] else figure(0.5) for key in keys}
    signed = {"better": "higher", "about": "BLEU", "signature": "nrefs:1|case:mixed", "max_ngram_order": 4}
    return {
        "version": "0.1.0",
        "stories": {"number": 500, "sha256": "ab" * 32},
        "training": None,
        "settings": {"strategy": "sample", "temperature": 0.8, "top_p": 0.9},
        "seed": 0,
        "environment": {"torch": "2.13.0", "transformers": "5.23.0", "dtype": "float32", "device": "cpu"},
        "metrics": {key: {"better": "lower", "about": key} for key in keys} | {"bleu_4": signed},
        "columns": {name: {"title": name, "kind": "storyteller"} for name in NAMES},
        "weights": {name: results.checkpoint_hashes(PROJECT / "checkpoints" / name) for name in NAMES},
        "models": {
            "encoder": {key: figure(0.9) for key in keys} | {"perplexity_per_word": figure(116.5)},
            "seq2seq": {key: figure(0.8) for key in keys} | {"perplexity_per_word": figure(53.1)},
            "human": human,
        },
        "comparisons": [
            {"metric": "perplexity_per_word", "first": "encoder", "second": "seq2seq", "difference": 63.4}
            | {"low": 60.0, "high": 66.0, "p": 0.0001, "p_corrected": 0.0001}
        ],
        "cross_reading": {name: {writer: figure(30.0) for writer in (*NAMES, "human")} for name in NAMES},
        "bad_rows": [],
        "command": "python -m storylab report --models encoder,seq2seq --data test.csv --seed 0",
    }


@pytest.fixture
def project(tmp_path):
    """A copy of what the results are written into."""
    (tmp_path / "docs").mkdir()
    shutil.copy(PROJECT / "README.md", tmp_path)
    for name in NAMES:
        shutil.copytree(PROJECT / "checkpoints" / name, tmp_path / "checkpoints" / name)
    return tmp_path


def test_what_is_published_is_in_step_and_publishing_twice_changes_nothing(report, project):
    files = publish(report, project)
    assert {str(path.relative_to(project)) for path in files} == {
        RECORD,
        "docs/results.md",
        "README.md",
        "checkpoints/encoder/README.md",
        "checkpoints/seq2seq/README.md",
    }
    assert read_record(project) == report and out_of_step(project) == []
    before = {path: path.read_bytes() for path in files}
    publish(report, project)
    assert {path: path.read_bytes() for path in files} == before


def test_other_weights_and_changed_pages_are_found(report, project):
    publish(report, project)
    readme = project / "README.md"
    readme.write_text(readme.read_text(encoding="utf-8").replace("| 53.10 |", "| 35.10 |"), encoding="utf-8")
    weights = project / "checkpoints" / "encoder" / "model.safetensors"
    weights.write_bytes(weights.read_bytes() + b"x")
    other, page = out_of_step(project)
    assert "encoder has other weights" in other and page.startswith("README.md")


def test_the_pages_show_the_record_and_how_it_was_made(report, project):
    publish(report, project)
    page = (project / "docs" / "results.md").read_text(encoding="utf-8")
    assert page.index("`seq2seq` |") < page.index("`encoder` |")  # by perplexity, not as given
    assert "116.5 [104.9, 128.2]" in page and report["command"] in page
    for word in ("0.0107", "0.0324", "BART", "one to one", "nrefs:1", report["weights"]["encoder"]["sha256"]):
        assert word in page
    readme = (project / "README.md").read_text(encoding="utf-8")
    assert "| `seq2seq` | 53.10 |" in readme
    card = (project / "checkpoints" / "seq2seq" / "README.md").read_text(encoding="utf-8")
    assert card.endswith("<!-- /generated:results -->\n") and "53.10 [47.79, 58.41]" in card
    assert "`encoder`" not in card_section(report, "seq2seq")


def test_a_record_that_is_missing_or_damaged_is_one_clear_error(tmp_path):
    with pytest.raises(StoryLabError, match="there are no results here yet"):
        read_record(tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / RECORD).write_text("{", encoding="utf-8")
    with pytest.raises(StoryLabError, match=r"docs/results.json can't be read"):
        read_record(tmp_path)


def test_a_figure_that_is_not_there_is_a_dash(report):
    changed = copy.deepcopy(report)
    changed["cross_reading"]["encoder"]["human"]["value"] = None
    assert "| `encoder` | 30.00 | 30.00 | – |" in results_page(changed)


def test_the_published_results_are_in_step_with_weights_and_pages():
    # `python -m storylab report` writes them again.
    assert out_of_step() == []
    assert read_record()["stories"]["number"] >= 500
