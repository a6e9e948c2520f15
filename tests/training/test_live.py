"""Training while one looks on: a story learnt by heart aloud, a storyteller fine-tuned in memory."""

import threading
import time

import pytest
import torch
from accelerate.state import AcceleratorState

from storylab.errors import StoryLabError
from storylab.exhibits import finetune
from storylab.exhibits.by_heart import MOST_CHARACTERS, agreement
from storylab.exhibits.finetune import fine_tune
from storylab.exhibits.openings import KITE
from storylab.exhibits.overfit import overfit, overfit_aloud
from storylab.exhibits.own import FEWEST_STORIES, hold_out, read_own
from storylab.inspection.corpus import typed_story
from storylab.stories import Story, read_stories
from storylab.storytellers.registry import LOADING
from storylab.storytellers.storyteller import Storyteller
from storylab.tokenizers import load_tokenizer
from storylab.training.processors import use_one_processor
from storylab.training.turn import Stopped, turn


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


def test_a_story_whose_lines_have_several_sentences_or_no_stop_is_learnt_too(tokenizer):
    story = typed_story("Ann ran\nIt rained. She fell.\nno stop here\nBen came\nThey went home", MOST_CHARACTERS)
    heard = []
    overfit_aloud(story, tokenizer, on_retelling=heard.append, learning_rate=1e-2)
    assert heard[-1].exact and heard[-1].text == "It rained. She fell. no stop here Ben came They went home"
    long = Story(("It was May.", "It rained. " * 11, "Ann ran.", "She fell.", "Ben came."))
    with pytest.raises(StoryLabError, match="14 sentences follow the opening, at most 10 are retold"):
        overfit_aloud(long, tokenizer, on_retelling=heard.append)


def test_a_model_is_not_made_while_another_thread_loads_one(tokenizer, monkeypatch):
    """It would begin with what transformers makes of torch's functions meanwhile."""
    made, plain = threading.Event(), torch.nn.Linear.__init__

    def make(layer, *given, **named) -> None:
        made.set()
        plain(layer, *given, **named)

    monkeypatch.setattr(torch.nn.Linear, "__init__", make)
    thread = threading.Thread(target=overfit, args=(KITE, tokenizer), kwargs={"should_stop": lambda: True})
    with LOADING:
        thread.start()
        assert not made.wait(1)
    assert made.wait(60)
    thread.join()


# One training at a time


def test_a_training_waits_for_its_turn_and_gives_up_when_it_should_stop(tokenizer, base, stories):
    stop, ended, silent = threading.Event(), [], {"on_retelling": lambda heard: None}

    def wait_and_tell(train, *arguments, **settings) -> None:
        try:
            ended.append(train(*arguments, should_stop=stop.is_set, **settings))
        except StoryLabError as error:
            ended.append(error)

    with turn():
        threads = [
            threading.Thread(target=wait_and_tell, args=(overfit_aloud, KITE, tokenizer), kwargs=silent),
            threading.Thread(target=wait_and_tell, args=(fine_tune, base, stories[:12])),
        ]
        for thread in threads:
            thread.start()
        threads[0].join(0.5)
        assert all(thread.is_alive() for thread in threads)
        stop.set()
        for thread in threads:
            thread.join(10)
        assert not any(thread.is_alive() for thread in threads)
    assert sorted(str(one) for one in ended if isinstance(one, StoryLabError)) == [
        "training was stopped before its first step"
    ]
    assert [one.steps for one in ended if not isinstance(one, StoryLabError)] == [0]
    with pytest.raises(Stopped), turn(stop.is_set):
        pass
    with turn():  # nobody holds it
        pass


def test_trainings_at_once_do_not_disturb_each_other(tokenizer, base, stories, monkeypatch):
    """Each resets what accelerate notes for the whole process."""
    courses, ended, reset = [], [], AcceleratorState._reset_state

    def slowly(*given, **named) -> None:
        reset(*given, **named)
        time.sleep(0.05)  # time enough for another training to take a step

    monkeypatch.setattr(AcceleratorState, "_reset_state", slowly)

    def tune() -> None:
        try:
            ended.append(fine_tune(base, stories[:12], on_course=courses.append, should_stop=lambda: len(courses) > 5))
        except BaseException as error:
            ended.append(error)

    tuning = threading.Thread(target=tune, daemon=True)
    tuning.start()
    while tuning.is_alive():
        overfit(KITE, tokenizer, should_stop=lambda: not tuning.is_alive())
    assert [type(one).__name__ for one in ended] == ["FineTuned"]


def test_one_processor_is_a_matter_of_the_thread_that_asks_for_it():
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


def test_threads_that_ask_for_one_processor_at_once_leave_the_others_theirs(monkeypatch):
    before, counted, plain = torch.get_num_threads(), [], torch.set_num_threads
    plain(2)

    def slowly(number: int) -> None:
        plain(number)
        time.sleep(0.02)  # time enough for another thread to come in between

    monkeypatch.setattr(torch, "set_num_threads", slowly)
    threads = [threading.Thread(target=use_one_processor) for _ in range(4)]
    threads.append(threading.Thread(target=lambda: counted.append(torch.get_num_threads())))
    for thread in threads[:4]:
        thread.start()
    for thread in threads[:4]:
        thread.join()
    threads[4].start()
    threads[4].join()
    assert counted == [2]
    plain(before)


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
    assert tuned.after.nll != tuned.before.nll
    with pytest.raises(StoryLabError, match="training was stopped before its first step"):
        fine_tune(base, stories[:12], should_stop=lambda: True)


def test_a_training_ends_when_its_time_is_up(base, stories):
    with pytest.raises(StoryLabError, match="the time was up before its first step"):
        fine_tune(base, stories[:12], seconds=0)
    tuned = fine_tune(base, stories[:12], on_course=lambda course: time.sleep(2), seconds=2)
    assert (tuned.ended_by, tuned.course.step) == ("time", 1)


def test_stop_is_heard_while_the_base_is_measured(base, stories, monkeypatch):
    monkeypatch.setattr(finetune, "AT_ONCE", 1)  # a story a pass
    asked = []

    def should_stop() -> bool:
        asked.append(True)
        return len(asked) > 3

    held = [story for story in stories if story in hold_out(stories).validation]
    assert len(held) > 3
    with pytest.raises(StoryLabError, match="training was stopped before its first step"):
        fine_tune(base, stories, should_stop=should_stop)
    assert len(asked) == 4  # before the turn, before the measurement, and after each of two stories


def test_for_somebody_who_left_nothing_is_measured(base, stories, monkeypatch):
    scored = []
    plain = finetune.score
    monkeypatch.setattr(finetune, "score", lambda *given: scored.append(given) or plain(*given))
    courses = []
    gone = lambda: bool(courses)  # noqa: E731
    with pytest.raises(StoryLabError, match="nobody waited"):
        fine_tune(base, stories[:12], on_course=courses.append, should_stop=gone, has_left=gone)
    assert len(scored) == 1  # the base, before the first step


def test_only_small_storytellers_can_be_fine_tuned(base, stories):
    base.name = "gpt2"
    with pytest.raises(StoryLabError, match="gpt2 can't be fine-tuned here; gpt2-mini-finetuned"):
        fine_tune(base, stories)
