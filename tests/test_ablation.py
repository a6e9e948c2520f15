"""The ablation: trainings that are kept, a record of them, a page made from the record, and the published one."""

import json

import pytest

from benchmarks import ablation
from benchmarks.ablation import BUNDLED, REFERENCE, Variant

SHORT = ("limit=16", "epochs=1", "warmup=1", "log_every=1", "evaluate_every=2", "save_every=2", "sample=")


@pytest.fixture
def project(root, tmp_path, monkeypatch):
    """A project of two variants of the tiny recipe, that trains in seconds."""
    (tmp_path / "train").symlink_to(root / "train")
    (tmp_path / "checkpoints").symlink_to(root / "checkpoints")
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr(ablation, "PROJECT", tmp_path)
    monkeypatch.setattr(ablation, "COMMON", SHORT)
    monkeypatch.setattr(ablation, "TOLD", 3)
    smaller = Variant("smaller", "half as wide", "tiny", ("model.width=48",))
    monkeypatch.setattr(ablation, "VARIANTS", (Variant(REFERENCE, "", "tiny"), smaller))
    header, *rows = (root / "train" / "tiny.csv").read_text(encoding="utf-8").splitlines()
    for part, some in (("stories", rows[:48]), ("validation", rows[48:56]), ("test", rows[56:])):
        (tmp_path / f"{part}.csv").write_text("\n".join([header, *some]), encoding="utf-8")
    return tmp_path


def run(project) -> int:
    return ablation.main([f"--{part}={project / part}.csv" for part in ("stories", "validation", "test")])


def test_variants_are_trained_once_measured_and_told(project):
    assert run(project) == 0
    record = json.loads((project / ablation.RECORD).read_text(encoding="utf-8"))
    assert list(record["variants"]) == list(record["training"]) == [REFERENCE, "smaller", BUNDLED.name]
    assert record["training"]["smaller"]["tokens"] == record["training"][REFERENCE]["tokens"] > 0
    assert record["training"]["smaller"]["validation"][-1][1] > 1
    page = (project / ablation.PAGE).read_text(encoding="utf-8")
    assert page == ablation.page(record) and "| `smaller` | half as wide |" in page
    weights = project / "runs" / "ablation" / "checkpoints" / "smaller" / "model.safetensors"
    made = weights.stat().st_mtime_ns
    assert run(project) == 0 and weights.stat().st_mtime_ns == made
    again = json.loads((project / ablation.RECORD).read_text(encoding="utf-8"))
    assert again["models"]["smaller"]["perplexity_per_word"] == record["models"]["smaller"]["perplexity_per_word"]


def test_a_difference_is_that_of_the_variant_whichever_stands_first(project):
    found = {"metric": "perplexity_per_word", "difference": 2.5, "p_corrected": 0.04}
    for first, second, shown in (("smaller", REFERENCE, "+2.50"), (REFERENCE, "smaller", "-2.50")):
        record = {"comparisons": [found | {"first": first, "second": second}]}
        assert ablation._against_reference(record, "smaller") == (shown, "0.040")
    assert ablation._against_reference(record, REFERENCE) == ("", "")


def test_stories_that_are_not_there_are_one_line(project, capsys):
    assert ablation.main(["--stories", "none.csv", "--validation", "none.csv", "--test", "none.csv"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("benchmarks: none.csv") and error.count("\n") == 1


def test_every_variant_is_a_sound_recipe_and_changes_something(root):
    class Options:
        stories = validation = test = ""

    recipes = {variant.name: variant.read(Options) for variant in ablation.VARIANTS}
    fields = [{**vars(recipe), "name": "", "title": "", "note": ""} for recipe in recipes.values()]
    assert len(recipes) == len(fields) and all(fields.count(one) == 1 for one in fields)


def test_the_published_page_is_what_its_record_makes(root):
    record = json.loads((root / ablation.RECORD).read_text(encoding="utf-8"))
    assert (root / ablation.PAGE).read_text(encoding="utf-8") == ablation.page(record)
    for variant in ablation.VARIANTS:
        assert record["variants"][variant.name]["question"] == variant.question
