"""Training while one looks on: a story learnt by heart aloud, a storyteller fine-tuned in memory."""

import threading

import pytest

from storylab.errors import StoryLabError
from storylab.exhibits.by_heart import agreement, check_story
from storylab.exhibits.finetune import fine_tune
from storylab.exhibits.openings import KITE
from storylab.exhibits.overfit import overfit_aloud
from storylab.exhibits.own import FEWEST_STORIES, RECIPES, hold_out, read_own
from storylab.stories import Story, read_stories
from storylab.storytellers.storyteller import Storyteller
from storylab.tokenizers import load_tokenizer
from storylab.training.processors import use_one_processor


@pytest.fixture(scope="module")
def tokenizer(root):
    return load_tokenizer(root / "train" / "vocabulary")


@pytest.fixture(scope="module")
def stories(tiny_csv) -> list[Story]:
    return read_stories(tiny_csv)


# By heart


def test_a_model_retells_a_story_word_for_word_and_ends_there_always_at_the_same_step(tokenizer):
    courses = []
    for _ in range(2):
        heard = []
        learnt = overfit_aloud(KITE, tokenizer, on_retelling=heard.append, learning_rate=1e-2)
        assert [one.exact for one in heard] == [False] * (len(heard) - 1) + [True]
        assert learnt.steps == heard[-1].step  # not a step more: these are the weights that told it
        told = learnt.storyteller.tell(KITE.opening, {"strategy": "greedy"}, seed=0)
        assert (told.text, told.ended_by) == (KITE.continuation, "end")
        assert heard[0].right < 0.5 < heard[-1].right == 1.0
        courses.append([(one.step, one.loss, one.text) for one in heard])
    assert courses[0] == courses[1]


def test_learning_aloud_ends_when_it_should_and_when_the_time_is_up(tokenizer):
    heard = []
    learnt = overfit_aloud(
        KITE, tokenizer, on_retelling=heard.append, should_stop=lambda: bool(heard), learning_rate=1e-7
    )
    assert learnt.steps == heard[-1].step + 1 and not heard[-1].exact
    assert overfit_aloud(KITE, tokenizer, on_retelling=heard.append, seconds=0.0).steps == 1


def test_agreement_counts_words_of_the_story_in_their_order():
    words, right = agreement("She ran home fast home", "She ran home and hid")
    assert words == [("She", True), ("ran", True), ("home", True), ("fast", False), ("home", False)]
    assert right == 3 / 5
    assert agreement("", "She ran") == ([], 0.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("One. Two. Three. Four.", "has 4 sentences, 5 are needed"),
        ("", "has 0 sentences"),
        ("One. Two. Three. Four. " + "x" * 600, "623 characters, at most 600"),
    ],
)
def test_what_is_no_story_is_refused(text, said):
    with pytest.raises(StoryLabError, match=said):
        check_story(text)


def test_a_story_may_be_typed_on_lines_of_its_own():
    assert check_story("\n  ".join(KITE.sentences)).sentences == KITE.sentences


def test_one_processor_is_a_matter_of_the_thread_that_asks_for_it():
    import torch

    before, counted = torch.get_num_threads(), {}
    torch.set_num_threads(2)  # the tests run with one

    def alone() -> None:
        use_one_processor()
        counted["alone"] = torch.get_num_threads()

    def other() -> None:
        counted["other"] = torch.get_num_threads()

    for work in (alone, other):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert counted == {"alone": 1, "other": 2}
    torch.set_num_threads(before)


# One's own stories


def test_some_are_held_out_by_their_hash_and_at_least_one(stories):
    splits = hold_out(stories)
    assert len(splits.train) + len(splits.validation) == len(stories) and splits.validation
    assert set(hold_out(stories[::-1]).validation) == set(splits.validation)
    for few in (splits.train[:8], splits.train[8:16]):  # none of them falls on that side by itself
        held = hold_out(few)
        assert len(held.validation) == 1 and len(held.train) == 7 and held.validation[0] not in held.train


def test_bad_rows_are_left_out_and_counted_and_too_few_are_refused(tmp_path, tiny_csv):
    lines = tiny_csv.read_text(encoding="utf-8").splitlines()
    path = tmp_path / "mine.csv"
    path.write_text("\n".join([*lines[:10], "a,b,only one.,,,,", lines[3]]), encoding="utf-8")
    stories, bad = read_own(path)
    assert (len(stories), bad) == (9, 1)
    path.write_text("\n".join(lines[:FEWEST_STORIES]), encoding="utf-8")  # a header and one too few
    with pytest.raises(StoryLabError, match="7 different stories, at least 8"):
        read_own(path)


@pytest.fixture
def base(base, tokenizer) -> Storyteller:
    """A very small GPT-2 of random weights under a name that has a recipe."""
    opened = Storyteller.from_folder("gpt2-mini", "Small", "causal", base)
    return opened


def test_a_storyteller_learns_from_stories_and_its_base_stays_as_it_is(base, stories):
    before = {name: tensor.clone() for name, tensor in base.model.state_dict().items()}
    courses = []
    tuned = fine_tune(base, stories[:12], on_course=lambda course: courses.append(course.step))
    assert tuned.ended_by == "end" and tuned.course.step == tuned.course.steps == courses[-1]
    assert tuned.after.perplexity_per_word < tuned.before.perplexity_per_word
    assert tuned.after.stories == len(tuned.splits.validation) == 12 - len(tuned.splits.train)
    assert tuned.course.held_out[0][0] == 0 and tuned.course.held_out[-1][0] == tuned.course.steps
    assert tuned.course.sample
    same = base.model.state_dict()
    assert all((same[name] == tensor).all() for name, tensor in before.items())
    frozen = tuned.storyteller.model.transformer.h[0].attn.c_attn.weight
    assert (frozen == base.model.transformer.h[0].attn.c_attn.weight).all()  # "the first 2 layers"
    assert (
        tuned.storyteller.tell("My dog ran away.", seed=1).text
        == tuned.storyteller.tell("My dog ran away.", seed=1).text
    )


def test_what_was_learnt_before_stop_is_kept(base, stories):
    courses = []
    tuned = fine_tune(
        base, stories[:12], on_course=courses.append, should_stop=lambda: bool(courses) and courses[-1].step >= 2
    )
    assert (tuned.ended_by, tuned.course.step) == ("stopped", 2)
    assert len(tuned.course.losses) == 2
    with pytest.raises(StoryLabError, match="before its first step"):
        fine_tune(base, stories[:12], should_stop=lambda: True)
    assert fine_tune.__kwdefaults__["seconds"] == 180


def test_only_small_storytellers_can_be_fine_tuned(base, stories):
    base.name = "gpt2"
    with pytest.raises(StoryLabError, match="gpt2 can't be fine-tuned here; gpt2-mini-finetuned"):
        fine_tune(base, stories)
    assert all(recipe.keep == "last" for recipe in RECIPES.values())  # nothing is chosen by what it is measured on
