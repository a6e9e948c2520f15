"""An evaluation from stories to a report, on storytellers trained here and now."""

import copy
import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from storylab.cli import main
from storylab.decoding import Settings
from storylab.errors import StoryLabError
from storylab.evaluation.cross_reading import cross_reading
from storylab.evaluation.generation import Kept, seed_of, tell_stories
from storylab.evaluation.report import ranking, stories_folder, to_markdown, write_report
from storylab.evaluation.run import evaluate, split_by_fit
from storylab.evaluation.score import score
from storylab.evaluation.told import Told
from storylab.stories import Story, read_stories
from storylab.storytellers import load
from storylab.storytellers.kinds import KINDS
from storylab.storytellers.storyteller import Storyteller

SHORT = Settings.from_mapping({"max_new_tokens": 40})


@pytest.fixture(scope="module")
def stories(tiny_csv) -> list[Story]:
    return read_stories(tiny_csv, limit=12)


@pytest.fixture(scope="module")
def finished(small_seq2seq, small_encoder, stories):
    """A report of both storytellers, and its columns."""
    return evaluate([small_seq2seq, small_encoder], stories, settings=SHORT, training=stories)


def spoilt(storyteller: Storyteller, noise: float) -> Storyteller:
    """The same storyteller with noise on its weights."""
    model = copy.deepcopy(storyteller.model)
    random = torch.Generator().manual_seed(0)
    for weights in model.parameters():
        weights.data += noise * weights.data.std() * torch.randn(weights.shape, generator=random)
    return Storyteller("spoilt", "Spoilt", KINDS["seq2seq"](model, storyteller.tokenizer))


# Telling


def test_a_story_has_the_same_seed_wherever_it_stands(stories):
    assert seed_of(stories[3], 0) == seed_of(Story(stories[3].sentences, id="another"), 0)
    assert len({seed_of(story, seed) for story in stories for seed in (0, 1)}) == 2 * len(stories)
    assert all(0 <= seed_of(story, 0) < 2**32 for story in stories)


def test_stories_are_the_same_in_any_order_and_batch_and_alone(small, stories):
    told = tell_stories(small, stories, SHORT, 0)
    backwards = tell_stories(small, stories[::-1], SHORT, 0, batch_size=3)
    assert [story.continuation for story in backwards[::-1]] == [story.continuation for story in told]
    alone = small.tell(stories[5].opening, SHORT, seed_of(stories[5], 0))
    assert " ".join(alone.text.split()) == told[5].continuation
    assert (alone.finished, alone.ended_by, len(alone.story)) == (
        told[5].finished,
        told[5].ended_by,
        told[5].sentences,
    )


def test_another_seed_tells_other_stories(small_encoder, stories):
    first, second = (tell_stories(small_encoder, stories, SHORT, seed) for seed in (0, 1))
    assert [story.continuation for story in first] != [story.continuation for story in second]


class Stopped(Exception):
    """What stands for a power cut."""


def test_what_was_told_before_an_interruption_is_not_told_again(small_seq2seq, stories, tmp_path):
    def stop(done: int) -> None:
        if done == 5:
            raise Stopped

    path = tmp_path / "kept.jsonl"
    whole = tell_stories(small_seq2seq, stories, SHORT, 0)
    with pytest.raises(Stopped):
        tell_stories(small_seq2seq, stories, SHORT, 0, kept=Kept(path, {"a": 1}), on_told=stop)
    with open(path, "a", encoding="utf-8") as file:
        file.write('{"opening": "cut o')
    counts = []
    resumed = tell_stories(small_seq2seq, stories, SHORT, 0, kept=Kept(path, {"a": 1}), on_told=counts.append)
    assert counts == [5, *range(6, len(stories) + 1)]
    assert [replace(story, seconds=0) for story in resumed] == [replace(story, seconds=0) for story in whole]
    assert len(path.read_text(encoding="utf-8").splitlines()) == 1 + len(stories)


def test_stories_told_under_other_conditions_are_told_again(small_seq2seq, stories, tmp_path):
    path = tmp_path / "kept.jsonl"
    tell_stories(small_seq2seq, stories, SHORT, 0, kept=Kept(path, {"weights": "old"}))
    counts = []
    tell_stories(small_seq2seq, stories, SHORT, 0, kept=Kept(path, {"weights": "new"}), on_told=counts.append)
    assert counts[0] == 1


def test_a_folder_that_can_not_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoryLabError, match="can't be written"):
        Kept(tmp_path / "file" / "kept.jsonl", {})


# The report


def test_every_teller_has_every_metric_and_a_figure_or_a_reason(finished):
    report, columns = finished
    names = ["small-seq2seq", "small-encoder", "human", "copied-opening", "random-sentences"]
    assert [column.name for column in columns] == list(report["models"]) == list(report["columns"]) == names
    for name in names:
        for key in report["metrics"]:
            figure = report["models"][name][key]
            assert ("note" in figure) == (figure["value"] is None)
            if figure["value"] is not None:
                assert figure["low"] <= figure["high"]
    human = report["models"]["human"]
    assert "references" in human["bleu_4"]["note"]
    assert report["models"]["copied-opening"]["perplexity_per_word"]["note"] == "it is no model"
    assert human["four_sentences"]["value"] == 1 and human["novelty_8"]["value"] == 0
    assert report["models"]["copied-opening"]["repetition_4"]["value"] == 1
    assert report["models"]["copied-opening"]["opening_carried_on"]["value"] == 1
    json.dumps(report, allow_nan=False)


def test_the_perplexity_is_that_of_score(finished, small, stories):
    expected = score(small, stories)
    figure = finished[0]["models"][small.name]["perplexity_per_word"]
    assert figure["value"] == pytest.approx(expected.perplexity_per_word)
    assert (figure["low"], figure["high"]) == pytest.approx(expected.interval)


def test_a_report_is_the_same_twice_but_for_times(finished, small_seq2seq, small_encoder, stories):
    again, _ = evaluate([small_seq2seq, small_encoder], stories, settings=SHORT, training=stories)
    first = copy.deepcopy(finished[0])
    for report in (first, again):
        for name in ("small-seq2seq", "small-encoder"):
            assert report["models"][name].pop("stories_per_second")["value"] > 0
    assert again == first


def test_without_training_stories_there_is_neither_novelty_nor_random_sentences(small_seq2seq, stories):
    report, _ = evaluate([small_seq2seq], stories[:2], settings=SHORT)
    assert "novelty_8" not in report["metrics"] and "random-sentences" not in report["models"]


def test_a_storyteller_beside_itself_is_no_different(small_seq2seq, stories):
    twin = Storyteller("twin", "Twin", small_seq2seq.kind)
    report, _ = evaluate([small_seq2seq, twin], stories, settings=SHORT)
    for same in report["comparisons"]:
        assert (same["difference"], same["low"], same["high"], same["p"]) == (0, 0, 0, 1)


@pytest.mark.rocstories
def test_a_spoilt_storyteller_is_ranked_below_the_original(rocstories):
    original = load("seq2seq")
    stories = read_stories(rocstories / "test.csv", limit=50)
    few_words = Settings.from_mapping({"max_new_tokens": 8})  # it is the perplexity that ranks
    report, _ = evaluate([spoilt(original, 0.1), original], stories, settings=few_words)
    assert ranking(report)[:2] == ["seq2seq", "spoilt"]
    found = next(c for c in report["comparisons"] if c["metric"] == "perplexity_per_word")
    assert (found["first"], found["second"]) == ("spoilt", "seq2seq")
    assert found["low"] > 0 and found["p_corrected"] < 0.01


def test_two_of_one_name_and_nobody_are_refused(small_seq2seq, stories):
    with pytest.raises(StoryLabError, match="same name"):
        evaluate([small_seq2seq, small_seq2seq], stories)
    with pytest.raises(StoryLabError, match="needs a storyteller"):
        evaluate([], stories)
    with pytest.raises(StoryLabError, match="needs a story"):
        evaluate([small_seq2seq], [])


def test_stories_that_do_not_fit_are_named_with_the_reason(small_seq2seq, small_encoder, stories):
    long = Story((stories[0].opening, "Rain. " * 300, "It fell.", "It fell.", "It fell."))
    wordy = Story(("So " * 150 + "it began.", *stories[0].sentences[1:]))
    fitting, others = split_by_fit([small_seq2seq, small_encoder], [stories[0], long, wordy, stories[1]])
    assert fitting == [stories[0], stories[1]]
    assert others[0] == (2, "it is too long for small-seq2seq, small-encoder")
    assert others[1][0] == 3


# Reading each other


def test_who_reads_people_has_the_perplexity_of_score(small_seq2seq, small_encoder, stories):
    told = {"human": [Told(story.opening, story.continuation) for story in stories]}
    matrix = cross_reading([small_seq2seq, small_encoder], told)
    for reader in (small_seq2seq, small_encoder):
        figure = matrix[reader.name]["human"]
        assert figure["value"] == pytest.approx(score(reader, stories).perplexity_per_word)
        assert figure["low"] < figure["value"] < figure["high"] and figure["stories"] == len(stories)


def test_empty_and_endless_stories_are_read_or_left_out(small_seq2seq, small_encoder, stories):
    endless = Told(stories[0].opening, "Rain fell. " * 300)
    matrix = cross_reading([small_seq2seq, small_encoder], {"odd": [Told(stories[0].opening, ""), endless]})
    assert all(row["odd"]["stories"] == 1 and row["odd"]["value"] > 1 for row in matrix.values())
    matrix = cross_reading([small_seq2seq], {"endless": [endless]})
    assert matrix["small-seq2seq"]["endless"] == {"value": None, "low": None, "high": None, "stories": 0}


def test_a_writer_is_least_surprising_to_itself(finished):
    matrix = finished[0]["cross_reading"]
    assert list(matrix["small-encoder"]) == ["small-seq2seq", "small-encoder", "human"]
    for writer in ("small-seq2seq", "small-encoder"):
        own = matrix[writer][writer]["value"]
        assert all(own <= matrix[reader][writer]["value"] for reader in matrix)


# Files


def test_sacrebleus_own_command_prints_the_same_scores(finished, tmp_path):
    report, columns = finished
    write_report(report, columns, tmp_path / "report.json")
    folder = stories_folder(tmp_path / "report.json")
    for name in ("small-seq2seq", "small-encoder", "random-sentences"):
        command = [sys.executable, "-m", "sacrebleu", folder / "references.txt", "-i", folder / f"{name}.txt"]
        command += ["-m", "bleu", "chrf", "--chrf-word-order", "2", "--force", "-w", "8"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        for key, found in zip(("bleu_4", "chrf"), json.loads(done.stdout), strict=True):
            assert found["score"] == pytest.approx(report["models"][name][key]["value"], abs=1e-6)
            assert found["signature"] == report["models"][name][key]["signature"]


def test_the_markdown_holds_every_column_every_metric_and_its_command(finished):
    report = finished[0] | {"command": "python -m storylab evaluate", "bad_rows": ["x.csv, row 3: <b>bad</b>"]}
    text = to_markdown(report)
    for name in report["models"]:
        assert f"`{name}`" in text
    assert "perplexity per word ↓" in text and "novelty-8" in text
    assert "    python -m storylab evaluate" in text
    assert "<b>" not in text and "bad" in text
    header = next(line for line in text.splitlines() if line.startswith("| metric"))
    rows = [line for line in text.splitlines() if line.startswith("| BLEU")]
    assert len(rows) == 4 and all(row.count("|") == header.count("|") for row in rows)


@pytest.fixture(scope="module")
def checkpoint(small_checkpoints) -> str:
    return str(small_checkpoints / "small-seq2seq")


def test_the_command_writes_report_and_stories_and_keeps_good_rows(checkpoint, tiny_csv, tmp_path, capsys):
    lines = tiny_csv.read_text(encoding="utf-8").splitlines()
    data = tmp_path / "some.csv"
    data.write_text("\n".join([*lines[:4], "too,few", *lines[4:6]]), encoding="utf-8")
    out = tmp_path / "made" / "report.json"
    arguments = ["evaluate", "--models", checkpoint, "--data", str(data), "--seed", "3", "--out", str(out)]
    assert main(arguments) == 0
    report = json.loads(out.read_text(encoding="utf-8"))
    assert report["stories"]["number"] == 5 and report["seed"] == 3
    (bad,) = report["bad_rows"]
    assert "row 4 (line 5)" in bad
    assert report["command"] == "python -m storylab evaluate --models small-seq2seq --data some.csv --seed 3"
    assert str(tmp_path) not in out.read_text(encoding="utf-8")
    assert "left out: 1" in capsys.readouterr().err
    assert report["weights"]["small-seq2seq"]["sha256"]
    folder = stories_folder(out)
    assert len((folder / "small-seq2seq.txt").read_text(encoding="utf-8").splitlines()) == 5
    told = [json.loads(line) for line in (folder / "small-seq2seq.jsonl").read_text(encoding="utf-8").splitlines()[1:]]
    assert sorted(story["continuation"] for story in told) == sorted(
        (folder / "small-seq2seq.txt").read_text(encoding="utf-8").splitlines()
    )
    assert not list(folder.glob("*.part.*"))
    assert out.with_suffix(".md").read_text(encoding="utf-8").startswith("# Evaluation")


def test_without_out_the_command_prints_markdown(checkpoint, tiny_csv, capsys):
    assert main(["evaluate", "--models", checkpoint, "--data", str(tiny_csv), "--limit", "2"]) == 0
    assert capsys.readouterr().out.startswith("# Evaluation\n\n2 stories")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--models", "nobody", "--data", "TINY"], "nobody"),
        (["--models", "MODEL,MODEL", "--data", "TINY"], "same name"),
        (["--models", "MODEL", "--data", "gone.csv"], "gone.csv"),
        (["--models", "MODEL", "--data", "TINY", "--seed", "-1"], "seed"),
        (["--models", "MODEL", "--data", "TINY", "--limit", "0"], "limit"),
        (["--models", "MODEL", "--data", "TINY", "--training", "gone.csv"], "gone.csv"),
        (["--models", "MODEL", "--data", "TINY", "--training", "TINY"], "is also story 1 of train"),
        (["--models", "MODEL", "--data", "TINY", "--out", "report.md"], ".json"),
        (["--models", "MODEL", "--data", "TINY", "--out", "."], ".json"),
    ],
)
def test_bad_arguments_are_one_clear_line(arguments, said, checkpoint, tiny_csv, capsys):
    named = {"TINY": str(tiny_csv), "MODEL": checkpoint, "MODEL,MODEL": f"{checkpoint},{checkpoint}"}
    assert main(["evaluate", *(named.get(argument, argument) for argument in arguments)]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("storylab: ") and said in error


def test_a_file_without_a_story_is_refused_with_the_first_reason(checkpoint, tmp_path, capsys):
    data = tmp_path / "long.csv"
    columns = ",".join(f"sentence{number}" for number in range(1, 6))
    data.write_text(f"{columns}\n{'word ' * 100}.,b,c,d,e\n", encoding="utf-8")
    assert main(["evaluate", "--models", checkpoint, "--data", str(data)]) == 2
    assert "no story to tell on" in capsys.readouterr().err


def test_the_cloze_command(checkpoint, tmp_path, capsys, small_stories):
    names = [f"InputSentence{n}" for n in range(1, 5)] + [f"RandomFifthSentenceQuiz{n}" for n in (1, 2)]
    rows = [",".join([*names, "AnswerRightEnding"])]
    for number, story in enumerate(small_stories):
        quoted = ['"' + sentence.replace('"', '""') + '"' for sentence in story.sentences]
        endings = [quoted[4], '"Seven of of purple the the."']
        rows.append(",".join([*quoted[:4], *(endings if number % 2 == 0 else endings[::-1]), str(number % 2 + 1)]))
    path = tmp_path / "cloze.csv"
    path.write_text("\n".join(rows), encoding="utf-8")
    assert main(["cloze", "--model", checkpoint, "--data", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["items"] == len(small_stories) and found["accuracy"] == 1.0 and found["interval"] == [1.0, 1.0]
    assert main(["cloze", "--model", checkpoint, "--data", str(path)]) == 0
    assert "100.0% right" in capsys.readouterr().out
