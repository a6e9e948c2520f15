"""The course report's findings, shown by the committed checkpoints and by models trained on the spot."""

import json
import re
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from storylab.cli import main
from storylab.decoding.pathologies import repeated_words
from storylab.errors import StoryLabError
from storylab.exhibits import EXHIBITS, TOUR, begin, watch
from storylab.exhibits.misaligned import SHORT
from storylab.exhibits.openings import KITE, NEARLY
from storylab.exhibits.overfit import RECIPE as ONE_STORY
from storylab.exhibits.overfit import overfit
from storylab.exhibits.packing import JoinedPacks, dropped_share, join, mean_loss, mixed_share
from storylab.exhibits.padding import HELD_OUT, PADDING, RECIPE, STORIES, PaddingLearnt, joined_without_space
from storylab.exhibits.parts import Doing, Loss
from storylab.exhibits.unigram import REPAIRED, REPORTED, unigram_entropy
from storylab.framing import EncodedStory, Packed, PromptTarget, encode_stories
from storylab.inspection.corpus import small_corpus
from storylab.stories import read_stories
from storylab.storytellers import describe, load
from storylab.tokenizers import load_tokenizer
from storylab.training.comparison import compare
from storylab.training.recipe import read_recipe
from storylab.ui.texts import LANGUAGES

pytestmark = pytest.mark.long


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


def limits(tellings):
    """How long each of some tellings may be."""
    return {(telling.settings["sentences"], telling.settings["max_new_tokens"]) for telling in tellings}


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


def run(name):
    exhibit = begin(name)
    for part in watch(name, threading.Event()):
        exhibit.add(part)
    assert_named(exhibit)
    return exhibit


# Each is run once: it takes seconds.


@pytest.fixture(scope="module")
def unigram():
    need("encoder")
    return run("unigram")


@pytest.fixture(scope="module")
def padding():
    need("seq2seq")
    return run("padding")


@pytest.fixture(scope="module")
def misaligned():
    need("gpt2-mini")
    return run("misaligned")


@pytest.fixture(scope="module")
def packing():
    need("gpt2-finetuned", "gpt2-mini-finetuned", "smollm2-finetuned")
    return run("packing")


# The storytellers at hand


def test_zero_shot_beam_search_repeats_itself():
    need("gpt2", "gpt2-mini", "smollm2")
    exhibit = run("repetition")
    (beam,), repairs = told(exhibit, "failure"), told(exhibit, "repair")
    words, times = repeated_words(beam.story)
    assert times >= 2 and len(words.split()) == 4
    assert "loop" in {fault["code"] for fault in beam.pathologies}
    assert {telling.model for telling in repairs} == {beam.model} and len(repairs) == 2
    assert not any(repeated_words(telling.story) for telling in repairs)
    # No other limit than the others have: a text of another length would be none to compare with.
    assert len(limits([beam, *repairs])) == 1


def test_a_low_temperature_repeats_itself_from_seed_to_seed():
    need("seq2seq")
    exhibit = run("temperature")
    low, high = exhibit.shown[:3], exhibit.shown[3:]
    assert {shown.telling.settings["temperature"] for shown in low} == {0.1}
    assert {shown.telling.settings["temperature"] for shown in high} == {1.0}

    def words_in_common(shown) -> float:
        """Share of the words of all three tellings that are in each of them."""
        each = [set(s.telling.text.lower().split()) for s in shown]
        return len(set.intersection(*each)) / len(set.union(*each))

    assert words_in_common(low) > 2 * words_in_common(high)


# Trained on the spot: what is shown, and that nothing else than what is named can be its cause


def test_a_tiny_rate_learns_nothing_in_the_steps_in_which_another_passes_the_word_frequencies(unigram):
    levels, losses = {level.key: level.loss for level in unigram.levels}, last_losses(unigram)
    assert losses["failure"] == pytest.approx(levels["blind"], abs=0.05)
    assert losses["repair"] < 0.7 * levels["unigram"] < levels["unigram"] < levels["blind"]
    right = values(unigram, "accuracy")
    assert right["repair"] > 0.2 > 0.05 > right["failure"]


def test_the_rate_alone_parts_the_two_encoders(unigram):
    assert [row.setting for row in compare(REPORTED, REPAIRED) if row.differs] == ["learning_rate"]
    assert REPORTED.optimizer == "adamw"
    steps = [[point.step for point in unigram.losses if point.side == side] for side in ("failure", "repair")]
    assert steps[0] == steps[1]
    assert REPORTED.learning_rate == 1e-7
    for texts in LANGUAGES.values():  # the page names what it was
        assert "AdamW" in texts["tour_unigram_failure"] and "1e-7" in texts["tour_unigram_failure"]
        assert "AdamW" in texts["tour_unigram_repair"] and f"{REPAIRED.learning_rate:g}" in texts["tour_unigram_repair"]


def test_padding_that_is_averaged_in_changes_what_a_trained_encoder_expects(unigram):
    moved = values(unigram, "moved")
    assert moved["failure"] > 0.5 and moved["repair"] < 1e-4
    assert all(len(guess.tokens) == 5 for guess in unigram.guesses) and len(unigram.guesses) == 4


def test_learnt_padding_makes_an_accuracy_look_high(padding):
    over_all, words = values(padding, "accuracy_reported"), values(padding, "accuracy_words")
    assert over_all["failure"] > words["failure"] + 0.3
    assert over_all["repair"] == words["repair"]  # there is no padding among its labels
    assert abs(words["failure"] - words["repair"]) < 0.08  # on words neither is better
    share = values(padding, "padding_share")
    assert share["repair"] == 0 and 0.5 < share["failure"] < 0.7


def test_who_learnt_padding_goes_on_in_it_where_the_other_ends(padding):
    failures, repairs = told(padding, "failure"), told(padding, "repair")
    assert repairs.pop().model == "seq2seq"  # trained otherwise, and said to be
    for failure, repair in zip(failures, repairs, strict=True):
        assert (failure.opening, failure.seed, failure.settings) == (repair.opening, repair.seed, repair.settings)
        assert failure.ended_by == "tokens" and failure.text.endswith(" ".join([PADDING] * 5))
        assert len(failure.text.replace(PADDING, "").split()) > 20  # its story comes before
        assert repair.ended_by == "end" and PADDING not in repair.text
    assert [shown.key for shown in padding.shown] == ["temperature"] * 4 + ["bundled"]


def test_both_padding_models_are_trained_alike_and_measured_on_what_they_have_not_learnt(padding):
    assert {row.setting for row in compare(RECIPE, ONE_STORY) if row.differs} == {
        "epochs",
        "batch_size",
        "matrix_learning_rate",
        "warmup",
        "log_every",
    }
    steps = [[point.step for point in padding.losses if point.side == side] for side in ("failure", "repair")]
    assert steps[0] == steps[1]
    assert len(small_corpus().stories) >= STORIES + HELD_OUT


def test_misaligned_labels_tell_the_the_the(misaligned):
    losses = last_losses(misaligned)
    assert losses["failure"] > losses["repair"] + 1
    greedy = told(misaligned, "failure")[0].text.lower().split()
    assert greedy.count("the") + greedy.count("the.") > len(greedy) / 3
    assert len(set(told(misaligned, "repair")[0].text.split())) > 5


def test_the_misaligned_pair_differs_in_its_labels_alone(misaligned, root):
    first, second = (read_recipe(root / "train" / f"gpt2-mini-prompt{end}.toml", SHORT) for end in ("-misaligned", ""))
    assert [row.setting for row in compare(first, second) if row.differs] == ["framing", "learn_prompt"]
    steps = {max(point.step for point in misaligned.losses if point.side == side) for side in ("failure", "repair")}
    assert len(steps) == 1
    for texts in LANGUAGES.values():  # the page says how many
        assert all(f" {steps.copy().pop()} " in texts[f"tour_misaligned_{side}"] for side in ("failure", "repair"))


def test_a_beam_search_goes_in_circles_after_fine_tuning(packing):
    (beam,), sampled = told(packing, "failure"), told(packing, "repair")
    assert "loop" in {fault["code"] for fault in beam.pathologies}
    assert all(len(set(telling.story)) == 4 and telling.finished for telling in sampled)
    assert len(limits([beam, *sampled])) == 1


def test_joined_packs_lose_stories_and_mix_the_others(packing):
    dropped, mixed, loss = (values(packing, key) for key in ("dropped", "mixed", "pack_loss"))
    assert dropped["repair"] == mixed["repair"] == 0
    assert 0 < dropped["failure"] < 0.5 < mixed["failure"] < 1
    assert loss["failure"] > loss["repair"] + 0.5


def test_dropped_and_mixed_are_counted_in_the_packs(tokenizer, tiny_csv):
    stories = encode_stories(read_stories(tiny_csv, limit=4), tokenizer)
    packed, joined = (way(stories, tokenizer, 256, 150) for way in (Packed, JoinedPacks))
    assert (dropped_share(packed), mixed_share(packed)) == (0, 0)
    assert dropped_share(joined) == len(joined.dropped) / 4 > 0
    lengths = [[len(joined.pieces[piece][0]) for piece in pack] for pack in joined.packs]
    assert mixed_share(joined) == sum(sum(pack[1:]) for pack in lengths) / sum(map(sum, lengths))
    packed.packs.pop()  # a pack that gets lost, and a mask that parts nothing, are seen
    assert dropped_share(packed) > 0
    whole = packed.collate
    packed.collate = lambda examples: {
        name: tensor for name, tensor in whole(examples).items() if name != "attention_mask"
    }
    assert mixed_share(packed) > 0


def test_overfitting_can_be_stopped_and_is_watched(tokenizer):
    seen = []
    learnt = overfit(KITE, tokenizer, on_loss=lambda *point: seen.append(point), should_stop=lambda: len(seen) >= 2)
    assert learnt.losses == seen and [step for step, _ in seen][:2] == [5, 10]
    assert learnt.steps < 20


# The kept mistakes


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
    for thread in threading.enumerate():
        if thread.name.startswith("exhibit"):  # it ends with its step
            thread.join(10)
            assert not thread.is_alive()


def test_who_looks_away_ends_the_training():
    parts = watch("padding", threading.Event())
    while not isinstance(next(parts), Loss):
        pass
    (training,) = (thread for thread in threading.enumerate() if thread.name.startswith("exhibit"))
    asked = time.monotonic()
    parts.close()
    assert time.monotonic() - asked < 0.1  # gradio closes it in the event loop, where nothing may wait for a step
    training.join(10)  # 0.05 s on a machine of one's own
    assert not training.is_alive()


def test_work_under_way_is_no_part_that_stays():
    exhibit = begin("padding")
    before = exhibit.to_dict()
    exhibit.add(Doing("training", "failure", 3, 9))
    assert exhibit.to_dict() == before


def test_an_exhibit_that_is_none_is_refused():
    with pytest.raises(StoryLabError, match="there is no exhibit 'nothing'; there are repetition, finetuned"):
        next(watch("nothing", threading.Event()))


@pytest.mark.parametrize("name", EXHIBITS)
def test_an_exhibit_computes_where_it_is_asked_to_or_refuses_at_once(capsys, name):
    need("encoder", "seq2seq", "gpt2-mini", "gpt2-mini-finetuned")
    ended = command(capsys, name, "--device", "nowhere", "--json")
    assert ended.returncode == 2 and ended.out == ""
    assert ended.err.count("\n") == 1 and ("nowhere" in ended.err or "on the processor" in ended.err)


def test_the_tour_has_five_exhibits():
    assert len(TOUR) == len(set(TOUR)) == 5 and set(TOUR) <= EXHIBITS.keys()


def command(capsys, *arguments):
    status = main(["exhibit", *arguments])
    return SimpleNamespace(returncode=status, **capsys.readouterr()._asdict())


def test_the_fine_tuned_twin_tells_four_different_sentences_and_stops(capsys):
    need("gpt2-finetuned", "gpt2-mini-finetuned", "smollm2-finetuned")
    done = command(capsys, "finetuned", "--json")
    assert done.returncode == 0, done.err
    exhibit = json.loads(done.out)
    assert exhibit["name"] == "finetuned"
    tellings = [shown["telling"] for shown in exhibit["shown"]]
    assert len(tellings) == 3
    for telling in tellings:
        assert len(set(telling["story"])) == 4
        assert telling["finished"] and telling["ended_by"] == "end"
    assert sum(repeated_words(telling["story"]) is not None for telling in tellings) <= 1  # 7 in 100 do


def test_the_command_has_one_story_learnt_by_heart_and_nothing_else(capsys):
    done = command(capsys, "overfit")
    assert done.returncode == 0, done.err
    assert f"{KITE.opening} {KITE.continuation}\n" in done.out
    changed = done.out.split(NEARLY)[1].split("\n")[0]  # "red" for "blue": it goes on with the story that it knows
    assert sum(sentence in changed for sentence in KITE.sentences[1:]) >= 3
    first, last, steps = re.search(r"loss ([\d.]+) at step \d+, ([\d.]+) at step (\d+)", done.out).groups()
    assert float(first) > 1 > 0.02 > float(last)
    assert int(steps) < 300  # it stopped because it knew the story


def test_the_command_lists_exhibits_and_refuses_others(capsys):
    refused = command(capsys, "nothing")
    assert refused.returncode == 2 and refused.err.count("\n") == 1
    assert all(name in refused.err for name in EXHIBITS)
    listed = command(capsys)
    assert listed.returncode == 0 and [line.split()[0] for line in listed.out.splitlines()] == list(EXHIBITS)
