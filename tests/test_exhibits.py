"""The course report's findings, shown by the committed checkpoints and by models trained on the spot."""

import json
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from storylab.cli import main
from storylab.decoding.pathologies import repeated_words
from storylab.errors import StoryLabError
from storylab.exhibits import EXHIBITS, TOUR, begin, show, watch
from storylab.exhibits.openings import KITE, NEARLY
from storylab.exhibits.overfit import LEARNT, overfit
from storylab.exhibits.packing import JoinedPacks, join, mean_loss
from storylab.exhibits.padding import PaddingLearnt, joined_without_space
from storylab.exhibits.parts import Doing, Loss
from storylab.exhibits.unigram import PaddingAveraged, unigram_entropy
from storylab.framing import EncodedStory, Packed, PromptTarget, encode_stories
from storylab.stories import read_stories
from storylab.storytellers import describe, load
from storylab.tokenizers import load_tokenizer
from storylab.ui.texts import LANGUAGES


def need(*names):
    states = {row["name"]: row["state"] for row in describe()}
    if not any(states.get(name) == "ready" for name in names):
        pytest.skip(f"none of {', '.join(names)} is ready")


def values(exhibit, key):
    """A figure of both sides."""
    return {figure.side: figure.value for figure in exhibit.figures if figure.key == key}


def last_losses(exhibit):
    return {point.side: point.loss for point in exhibit.losses}


def told(exhibit, side):
    return [shown.telling for shown in exhibit.shown if shown.side == side]


def assert_named(exhibit):
    """The page has a name for each part."""
    names = {f"tour_told_{shown.key}" for shown in exhibit.shown} | {
        f"tour_level_{level.key}" for level in exhibit.levels
    }
    names |= {f"tour_guess_{guess.key}" for guess in exhibit.guesses}
    names |= {f"tour_figure_{figure.key}" for figure in exhibit.figures}
    assert names <= LANGUAGES["en"].keys()


@pytest.fixture(scope="module")
def tokenizer(root):
    return load_tokenizer(root / "train" / "vocabulary")


# The storytellers at hand


def test_zero_shot_beam_search_repeats_itself():
    need("gpt2", "gpt2-mini", "smollm2")
    exhibit = show("repetition")
    assert_named(exhibit)
    (beam,), repairs = told(exhibit, "failure"), told(exhibit, "repair")
    words, times = repeated_words(beam.story)
    assert times >= 2 and len(words.split()) == 4
    assert "loop" in {fault["code"] for fault in beam.pathologies}
    assert {telling.model for telling in repairs} == {beam.model} and len(repairs) == 2
    assert not any(repeated_words(telling.story) for telling in repairs)


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


# Trained on the spot


def test_a_tiny_rate_learns_nothing_and_padding_changes_what_is_expected():
    need("encoder")
    exhibit = show("unigram")
    assert_named(exhibit)
    levels, losses = {level.key: level.loss for level in exhibit.levels}, last_losses(exhibit)
    assert losses["failure"] == pytest.approx(levels["blind"], abs=0.05)
    assert losses["repair"] < levels["unigram"] / 2 < levels["unigram"] < levels["blind"]
    right = values(exhibit, "accuracy")
    assert right["repair"] > 0.5 > 0.05 > right["failure"]
    moved = values(exhibit, "moved")
    assert moved["failure"] > 0.5 and moved["repair"] < 1e-4
    assert all(len(guess.tokens) == 5 for guess in exhibit.guesses) and len(exhibit.guesses) == 4


def test_learnt_padding_makes_an_accuracy_look_high():
    need("seq2seq")
    exhibit = show("padding")
    assert_named(exhibit)
    over_all, words = values(exhibit, "accuracy_reported"), values(exhibit, "accuracy_words")
    assert over_all["failure"] > 0.6 > 0.35 > words["failure"]
    assert over_all["repair"] == words["repair"]  # there is no padding among its labels
    assert values(exhibit, "padding_share")["repair"] == 0 < values(exhibit, "padding_share")["failure"]
    assert not any(telling.finished for telling in told(exhibit, "failure"))  # it knows no end
    assert all(telling.finished for telling in told(exhibit, "repair"))


def test_misaligned_labels_tell_the_the_the():
    need("gpt2-mini")
    exhibit = show("misaligned")
    assert_named(exhibit)
    losses = last_losses(exhibit)
    assert losses["failure"] > losses["repair"] + 1
    greedy = told(exhibit, "failure")[0].text.lower().split()
    assert greedy.count("the") + greedy.count("the.") > len(greedy) / 3
    assert len(set(told(exhibit, "repair")[0].text.split())) > 5


def test_a_beam_search_goes_in_circles_after_fine_tuning_and_joined_packs_lose_stories():
    need("gpt2-finetuned", "gpt2-mini-finetuned", "smollm2-finetuned")
    exhibit = show("packing")
    assert_named(exhibit)
    assert "loop" in {fault["code"] for fault in told(exhibit, "failure")[0].pathologies}
    assert all(len(set(telling.story)) == 4 and telling.finished for telling in told(exhibit, "repair"))
    assert values(exhibit, "dropped")["repair"] == 0 < values(exhibit, "dropped")["failure"]
    assert values(exhibit, "mixed")["failure"] > 0.5
    loss = values(exhibit, "pack_loss")
    assert loss["failure"] > loss["repair"] + 0.5


def test_one_story_is_learnt_by_heart_in_seconds_and_nothing_else(tokenizer):
    learnt = overfit(KITE, tokenizer)
    assert learnt.losses[0][1] > 1 > LEARNT > learnt.losses[-1][1]
    assert learnt.steps < 300  # it stopped because it knew the story
    tell = lambda opening: learnt.storyteller.tell(opening, {"strategy": "greedy"}, seed=0)  # noqa: E731
    told = tell(KITE.opening)
    assert (told.text, told.ended_by) == (KITE.continuation, "end")
    changed = tell(NEARLY)  # "red" for "blue": it goes on with the story that it knows
    assert len(set(changed.story) & set(KITE.sentences)) >= 3


def test_overfitting_can_be_stopped_and_is_watched(tokenizer):
    seen = []
    learnt = overfit(KITE, tokenizer, on_loss=lambda *point: seen.append(point), should_stop=lambda: len(seen) >= 2)
    assert learnt.losses == seen and [step for step, _ in seen][:2] == [5, 10]
    assert learnt.steps < 20


# The kept mistakes


def test_padding_averaged_pads_and_has_no_mask(tokenizer, tiny_csv):
    stories = encode_stories(read_stories(tiny_csv, limit=2), tokenizer)
    framing = PaddingAveraged(stories, tokenizer, 256)
    batch = framing.collate(framing.examples(0)[:3])
    assert batch.keys() == {"input_ids", "labels"}
    assert batch["input_ids"].shape == (3, 128)
    assert batch["input_ids"][0, -1] == tokenizer.pad_token_id


def test_padding_learnt_has_padding_for_labels_and_no_end(tokenizer, tiny_csv):
    stories = read_stories(tiny_csv, limit=2)
    joined = [joined_without_space(story, tokenizer) for story in stories]
    framing = PaddingLearnt(joined, tokenizer, 256)
    batch = framing.collate(framing.examples(0))
    labels = batch["labels"]
    assert labels.shape == (2, 128) and (labels[:, -1] == tokenizer.pad_token_id).all()
    assert not (labels == tokenizer.eos_token_id).any()
    assert (batch["decoder_input_ids"][:, 1:] == labels[:, :-1]).all()  # shifted by one, as it should be
    words = labels[0][labels[0] != tokenizer.pad_token_id]
    assert tokenizer.decode(words) == "".join(stories[0].sentences[1:])
    right = PromptTarget(encode_stories(stories, tokenizer), tokenizer, 256).collate(framing.examples(0))["labels"]
    assert not (right == tokenizer.pad_token_id).any()


def test_joined_packs_drop_what_overflows():
    assert join([4, 4, 4, 2, 9], 10) == ([[0, 1], [3]], [2, 4])
    assert join([5, 5], 10) == ([[0, 1]], [])


def test_masked_packs_are_read_as_if_each_story_stood_alone(root):
    need("gpt2-mini-finetuned")
    storyteller = load("gpt2-mini-finetuned")
    stories = encode_stories(read_stories(root / "train" / "tiny.csv", limit=4), storyteller.tokenizer)
    together = mean_loss(storyteller, Packed(stories, storyteller.tokenizer, 512, 512))
    alone = mean_loss(storyteller, Packed(stories, storyteller.tokenizer, 512, 100))
    joined = mean_loss(storyteller, JoinedPacks(stories, storyteller.tokenizer, 512, 512))
    assert together == pytest.approx(alone, abs=1e-3)
    assert abs(joined - alone) > 0.1


def test_the_unigram_entropy_is_that_of_the_labels():
    story = EncodedStory(np.array([7]), np.array([5, 5, 5]))
    assert unigram_entropy([story], end=2) == pytest.approx(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))


# Looking on


def test_an_exhibit_stops_in_the_midst_of_a_training():
    stop, seen, exhibit = threading.Event(), [], begin("unigram")
    for part in watch("unigram", stop):
        seen.append(part)
        exhibit.add(part)
        if isinstance(part, Loss):
            stop.set()
            asked = time.monotonic()
    assert time.monotonic() - asked < 10  # 0.2 s on a machine of one's own
    assert sum(isinstance(part, Loss) for part in seen) <= 2
    assert not exhibit.shown and exhibit.losses
    assert not any(thread.name.startswith("exhibit") for thread in threading.enumerate())


def test_who_looks_away_ends_the_training():
    parts = watch("padding", threading.Event())
    while not isinstance(next(parts), Loss):
        pass
    parts.close()
    assert not any(thread.name.startswith("exhibit") for thread in threading.enumerate())


def test_work_under_way_is_no_part_that_stays():
    exhibit = begin("padding")
    before = exhibit.to_dict()
    exhibit.add(Doing("training", "failure", 3, 9))
    assert exhibit.to_dict() == before


def test_an_exhibit_that_is_none_is_refused():
    with pytest.raises(StoryLabError, match="there is no exhibit 'nothing'; there are repetition, finetuned"):
        show("nothing")


def test_the_tour_has_five_exhibits():
    assert len(TOUR) == len(set(TOUR)) == 5 and set(TOUR) <= EXHIBITS.keys()


def test_the_command_prints_an_exhibit_and_lists_them(capsys):
    def run(*arguments):
        status = main(["exhibit", *arguments])
        return SimpleNamespace(returncode=status, **capsys.readouterr()._asdict())

    done = run("overfit", "--json")
    assert done.returncode == 0, done.err
    exhibit = json.loads(done.out)
    assert exhibit["name"] == "overfit" and exhibit["shown"][0]["telling"]["text"] == KITE.continuation
    assert {figure["key"] for figure in exhibit["figures"]} == {"steps", "seconds"}
    assert exhibit["losses"][-1]["loss"] < LEARNT
    assert KITE.continuation in run("overfit").out
    refused = run("nothing")
    assert refused.returncode == 2 and refused.err.count("\n") == 1
    assert all(name in refused.err for name in EXHIBITS)
    listed = run()
    assert listed.returncode == 0 and [line.split()[0] for line in listed.out.splitlines()] == list(EXHIBITS)
