"""The course report's findings, shown by the committed checkpoints."""

import json
import subprocess
import sys

import pytest

from storylab.decoding.pathologies import repeated_words
from storylab.errors import StoryLabError
from storylab.exhibits import EXHIBITS, show
from storylab.exhibits.exhibits import KITE, NEARLY
from storylab.exhibits.overfit import LEARNT, overfit
from storylab.storytellers import describe
from storylab.tokenizers import load_tokenizer


def need(*names):
    states = {row["name"]: row["state"] for row in describe()}
    if not any(states.get(name) == "ready" for name in names):
        pytest.skip(f"none of {', '.join(names)} is ready")


def test_zero_shot_beam_search_repeats_itself():
    need("gpt2", "gpt2-mini", "smollm2")
    beam, _ = show("repetition").shown
    words, times = repeated_words(beam.telling.story)
    assert times >= 2 and len(words.split()) == 4
    assert "loop" in {fault["code"] for fault in beam.telling.pathologies}


def test_the_fine_tuned_twin_tells_four_different_sentences_and_stops():
    need("gpt2-finetuned", "gpt2-mini-finetuned", "smollm2-finetuned")
    tellings = [shown.telling for shown in show("finetuned").shown]
    for telling in tellings:
        assert len(set(telling.story)) == 4
        assert telling.finished and telling.ended_by == "end"
    assert sum(repeated_words(telling.story) is not None for telling in tellings) <= 1  # 7 in 100 do


def test_a_low_temperature_repeats_itself_from_seed_to_seed():
    need("seq2seq")
    low, high = show("temperature").shown[:3], show("temperature").shown[3:]
    assert {shown.telling.settings["temperature"] for shown in low} == {0.1}
    assert {shown.telling.settings["temperature"] for shown in high} == {1.0}

    def words_in_common(shown) -> float:
        """Share of the words of all three tellings that are in each of them."""
        each = [set(s.telling.text.lower().split()) for s in shown]
        return len(set.intersection(*each)) / len(set.union(*each))

    assert words_in_common(low) > 2 * words_in_common(high)


def test_one_story_is_learnt_by_heart_in_seconds_and_nothing_else(root):
    learnt = overfit(KITE, load_tokenizer(root / "train" / "vocabulary"))
    assert learnt.losses[0][1] > 1 > LEARNT > learnt.losses[-1][1]
    assert learnt.steps < 300  # it stopped because it knew the story
    tell = lambda opening: learnt.storyteller.tell(opening, {"strategy": "greedy"}, seed=0)  # noqa: E731
    told = tell(KITE.opening)
    assert (told.text, told.ended_by) == (KITE.continuation, "end")
    changed = tell(NEARLY)  # "red" for "blue": it goes on with the story that it knows
    assert len(set(changed.story) & set(KITE.sentences)) >= 3


def test_overfitting_can_be_stopped_and_is_watched(root):
    seen = []
    learnt = overfit(
        KITE,
        load_tokenizer(root / "train" / "vocabulary"),
        on_loss=lambda *point: seen.append(point),
        should_stop=lambda: len(seen) >= 2,
    )
    assert learnt.losses == seen and [step for step, _ in seen][:2] == [5, 10]
    assert learnt.steps < 20


def test_an_exhibit_that_is_none_is_refused():
    with pytest.raises(StoryLabError, match="there is no exhibit 'nothing'; there are repetition, finetuned"):
        show("nothing")


def test_the_command_prints_an_exhibit(root):
    def run(*arguments):
        command = [sys.executable, "-m", "storylab", "exhibit", *arguments]
        return subprocess.run(command, cwd=root, capture_output=True, text=True)

    done = run("overfit", "--json")
    assert done.returncode == 0, done.stderr
    exhibit = json.loads(done.stdout)
    assert exhibit["name"] == "overfit" and exhibit["shown"][0]["telling"]["text"] == KITE.continuation
    assert KITE.continuation in run("overfit").stdout
    refused = run("nothing")
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1
    assert all(name in refused.stderr for name in EXHIBITS)
