"""A storyteller tells with an engine what it tells with torch."""

import pytest
import torch

from storylab.decoding import Settings
from storylab.errors import StoryLabError
from storylab.storytellers import load
from storylab.storytellers.engine_session import EngineSession
from storylab.storytellers.together import tell_together

NAMES = ["seq2seq", "encoder", "gpt2-mini", "gpt2-mini-finetuned"]
OPENINGS = [
    "Every weekend the Jefferson's go to the park.",
    "Tom sat down.",
    "A robot woke up in an empty house and could not remember its own name.",
    "My dog ran away.",
    "Nora found an old blue kite behind her grandmother's couch.",
]
SEEDS = [3, 4, 5, 6, 7]


def texts(storyteller, settings: Settings) -> list[str]:
    return [storyteller.tell(opening, settings, seed).text for opening, seed in zip(OPENINGS, SEEDS, strict=True)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("changes", [{}, {"strategy": "greedy"}, {"repetition_penalty": 1.2}])
def test_the_engine_tells_what_torch_tells(name, changes):
    settings = Settings.from_mapping(changes | {"max_new_tokens": 24})
    plain, fast = load(name, engine="torch"), load(name, engine="onnx", dtype="fp32")
    assert plain.engine is None and isinstance(fast.session(OPENINGS[:1]), EngineSession)
    assert texts(fast, settings) == texts(plain, settings)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["fp32", "int8"])
def test_a_story_is_the_same_alone_and_in_a_batch(name, dtype):
    settings, storyteller = Settings.from_mapping({"max_new_tokens": 24}), load(name, dtype=dtype, engine="onnx")
    together = dict(tell_together(storyteller, OPENINGS, settings, SEEDS))
    assert [together[number].text for number in range(len(OPENINGS))] == texts(storyteller, settings)


def test_texts_of_unlike_lengths_end_at_their_own_last_position():
    storyteller = load("gpt2-mini", engine="onnx")
    settings = Settings.from_mapping({"max_new_tokens": 512, "sentences": 10, "temperature": 5.0, "top_p": 1.0})
    for number, telling in tell_together(storyteller, OPENINGS[1:3], settings, SEEDS[1:3]):
        alone = storyteller.tell(OPENINGS[1 + number], settings, SEEDS[1 + number])
        assert (telling.text, telling.tokens, telling.ended_by) == (alone.text, alone.tokens, alone.ended_by)


def test_torch_tells_where_the_engine_cannot_be_started(monkeypatch):
    from storylab.storytellers import registry

    def fail(self, model):
        raise RuntimeError("no such operator")

    storyteller = registry._open("seq2seq", "cpu", "fp32", "auto")
    insisted = registry._open("seq2seq", "cpu", "fp32", "onnx")
    for one in (storyteller, insisted):
        monkeypatch.setattr(one.engine, "_open", fail.__get__(one.engine))
    telling = storyteller.tell(OPENINGS[0], seed=1)
    assert storyteller.engine is None and telling.text == load("seq2seq", engine="torch").tell(OPENINGS[0], seed=1).text
    with pytest.raises(StoryLabError, match="seq2seq can't be told by ONNX Runtime: no such operator"):
        insisted.tell(OPENINGS[0], seed=1)


@pytest.mark.parametrize("dtype", ["fp32", "int8"])
def test_the_model_is_put_away_while_the_engine_tells_and_opened_again_for_reading(dtype):
    from storylab.evaluation.score import score
    from storylab.stories import Story
    from storylab.storytellers import registry

    story = Story((OPENINGS[0], "They play.", "They eat.", "They rest.", "They go home."))
    storyteller = registry._open("encoder", "cpu", dtype, "auto")
    before, weights = storyteller.model, storyteller.model.state_dict()
    expected = score(storyteller, [story]).nll
    told = storyteller.tell(OPENINGS[0], seed=1)
    assert storyteller.model is not before
    assert all(torch.equal(weights[name], tensor) for name, tensor in storyteller.model.state_dict().items())
    assert score(storyteller, [story]).nll == expected
    assert storyteller.tell(OPENINGS[0], seed=1).text == told.text


def test_the_environment_names_an_engine(monkeypatch):
    monkeypatch.setenv("STORYLAB_ENGINE", "torch")
    assert load("encoder").engine is None
    assert load("encoder", engine="auto").engine is not None
    monkeypatch.setenv("STORYLAB_ENGINE", "abacus")
    with pytest.raises(StoryLabError, match="engine must be one of auto, torch, onnx, not 'abacus'"):
        load("encoder")


def test_the_environment_names_what_to_compute_in(monkeypatch):
    monkeypatch.setenv("STORYLAB_DTYPE", "int8")
    assert load("encoder").dtype == "int8" and load("encoder", dtype="fp32").dtype == "float32"
    monkeypatch.setenv("STORYLAB_DTYPE", "int3")
    with pytest.raises(StoryLabError, match="dtype must be one of auto, fp32, bf16, int8, not 'int3'"):
        load("encoder")


def test_8_bits_need_the_engine():
    with pytest.raises(StoryLabError, match="encoder can't be loaded: int8 is computed by ONNX Runtime only"):
        load("encoder", dtype="int8", engine="torch")
    storyteller = load("encoder", dtype="int8")
    assert storyteller.dtype == "int8" and load("encoder", dtype="fp32").dtype == "float32"


@pytest.mark.parametrize(("capability", "dtype"), [("AVX512", "int8"), ("AVX2", "int8"), ("DEFAULT", "float32")])
def test_8_bits_tell_by_default_where_the_processor_gains_and_read_with_the_weights_as_stored(
    monkeypatch, capability, dtype
):
    from storylab.storytellers import registry

    monkeypatch.delenv("STORYLAB_DTYPE", raising=False)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    storyteller, settings = registry._open("encoder", "cpu", "auto", "auto"), {"max_new_tokens": 16}
    told = storyteller.tell(OPENINGS[0], settings, seed=1).text
    assert storyteller.dtype == dtype
    named = "int8" if dtype == "int8" else "fp32"
    assert told == load("encoder", dtype=named, engine="onnx").tell(OPENINGS[0], settings, seed=1).text
    exact = load("encoder", dtype="fp32").model.state_dict()
    assert all(torch.equal(exact[name], weights) for name, weights in storyteller.model.state_dict().items())
    assert registry._open("encoder", "cpu", "auto", "torch").dtype == "float32"
