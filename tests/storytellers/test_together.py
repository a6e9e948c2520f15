"""Many stories at once are the stories told one by one."""

import threading

import pytest

from storylab.decoding import Settings
from storylab.errors import StoryLabError
from storylab.storytellers.together import tell_side_by_side, tell_together

OPENINGS = [
    "Nora found an old blue kite behind her grandmother's couch.",
    "My dog ran away.",
    "My cat ran away.",
    "The rain stopped",
    "Tom sat down.",
    "A robot woke up in an empty house and could not remember its own name.",
    "My dog ran away.",
]
TIMES = {"seconds", "seconds_to_first_token", "tokens_per_second"}


@pytest.fixture(params=["seq2seq", "encoder", "causal"])
def small(request, small_seq2seq, small_encoder, tmp_path_factory):
    """A storyteller of each kind; the causal one has random weights and babbles."""
    if request.param != "causal":
        return small_seq2seq if request.param == "seq2seq" else small_encoder
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    from storylab.storytellers.kinds import CausalKind
    from storylab.storytellers.storyteller import Storyteller

    tokenizer = small_seq2seq.tokenizer
    torch.manual_seed(0)
    shape = {"n_embd": 32, "n_head": 2, "n_layer": 2, "n_positions": 96}
    model = GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), bos_token_id=1, eos_token_id=2, **shape)).eval()
    return Storyteller("causal", "Causal", CausalKind(model, tokenizer))


def without_times(telling) -> dict:
    return {key: value for key, value in telling.to_dict().items() if key not in TIMES}


@pytest.mark.parametrize("batch_size", [1, 2, 32])
@pytest.mark.parametrize("changes", [{}, {"strategy": "greedy"}, {"temperature": 1.5, "repetition_penalty": 1.2}])
def test_a_story_is_the_same_in_any_batch(small, batch_size, changes):
    settings = Settings.from_mapping(changes | {"max_new_tokens": 40})
    seeds = [7, 8, 9, 10, 11, 12, 13]
    found = dict(tell_together(small, OPENINGS, settings, seeds, batch_size))
    assert sorted(found) == list(range(len(OPENINGS)))
    for number, telling in found.items():
        alone = small.tell(OPENINGS[number], settings, seeds[number])
        assert without_times(telling) == without_times(alone)


def test_equal_openings_with_other_seeds_differ(small_encoder):
    settings = Settings.from_mapping({"temperature": 2.0, "max_new_tokens": 30})
    found = dict(tell_together(small_encoder, ["My dog ran away."] * 4, settings, [1, 2, 3, 1]))
    assert found[0].text == found[3].text
    assert len({found[number].text for number in range(3)}) == 3


def test_a_story_stops_at_the_models_positions(small):
    settings = Settings.from_mapping({"max_new_tokens": 512, "sentences": 10, "temperature": 5.0, "top_p": 1.0})
    for number, telling in tell_together(small, OPENINGS[:3], settings, [1, 2, 3]):
        assert without_times(telling) == without_times(small.tell(OPENINGS[number], settings, number + 1))


def test_a_beam_search_is_that_of_a_single_telling(small_seq2seq):
    settings = Settings.from_mapping({"strategy": "beam", "max_new_tokens": 20})
    for number, telling in tell_together(small_seq2seq, OPENINGS[:2], settings, [1, 2]):
        assert telling.text == small_seq2seq.tell(OPENINGS[number], settings, 1).text


def test_nothing_is_told_where_an_opening_is_no_good(small_seq2seq):
    with pytest.raises(StoryLabError, match="empty"):
        list(tell_together(small_seq2seq, ["My dog ran away.", ""], Settings(), [1, 2]))
    with pytest.raises(StoryLabError, match="as many seeds"):
        list(tell_together(small_seq2seq, ["My dog ran away."], Settings(), []))
    assert list(tell_together(small_seq2seq, [], Settings(), [])) == []


def test_tellings_side_by_side_have_settings_of_their_own_and_stop(small):
    changes = [{"strategy": "greedy"}, {"temperature": 1.5}, {"max_new_tokens": 5}]
    settings = [Settings.from_mapping({"max_new_tokens": 40} | change) for change in changes]
    tellings = [small.begin(OPENINGS[1 + number], one, number) for number, one in enumerate(settings)]
    for _ in tell_side_by_side(small, tellings):
        pass
    for number, telling in enumerate(tellings):
        alone = small.tell(OPENINGS[1 + number], settings[number], number)
        assert without_times(telling.telling()) == without_times(alone)
    stop = threading.Event()
    tellings = [small.begin(OPENINGS[1], Settings(temperature=2.0), seed) for seed in range(3)]
    for _ in tell_side_by_side(small, tellings, stop):
        stop.set()
    assert [telling.telling("stopped").tokens for telling in tellings] == [1] * 3
