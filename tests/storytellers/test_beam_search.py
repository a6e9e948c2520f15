"""A beam search finds what transformers' `generate` finds, with torch and with the engine."""

import pytest
import torch
from transformers import GenerationConfig

from storylab.decoding import Settings
from storylab.decoding.beams import BeamSearch
from storylab.storytellers import load
from storylab.storytellers.storyteller import Storyteller

PARK, DOG = "Every weekend the Jefferson's go to the park.", "My dog ran away."
SEARCHES = [
    (PARK, {"num_beams": 5, "max_new_tokens": 12}),
    (DOG, {"num_beams": 2, "max_new_tokens": 40}),
    (PARK, {"num_beams": 3, "max_new_tokens": 12, "repetition_penalty": 1.3, "no_repeat_ngram_size": 2}),
    (DOG, {"num_beams": 12, "max_new_tokens": 6, "repetition_penalty": 0.8}),
]


def searched(storyteller: Storyteller, opening: str, settings: Settings) -> BeamSearch:
    """A search that is over."""
    session = storyteller.session([opening])
    context, end = session.context_of(0)[0].tolist(), storyteller.kind.end
    search = BeamSearch(settings, context, end, storyteller.mute, settings.max_new_tokens)
    while growth := search.step(session.logits.float().numpy()):
        session.keep(growth.parents)
        session.advance(growth.tokens)
    return search


def generated(storyteller: Storyteller, opening: str, settings: Settings) -> tuple[list[int], float]:
    """The tokens and the score of the text that `generate` finds."""
    inputs, model = storyteller.kind.prompt(opening), storyteller.model
    config = GenerationConfig(
        num_beams=settings.num_beams,
        do_sample=False,
        early_stopping=False,
        length_penalty=1.0,
        max_new_tokens=settings.max_new_tokens,
        repetition_penalty=settings.repetition_penalty,
        no_repeat_ngram_size=settings.no_repeat_ngram_size,
        suppress_tokens=storyteller.mute or None,
        eos_token_id=storyteller.kind.end,
        pad_token_id=storyteller.kind.end,
        decoder_start_token_id=storyteller.kind.start,
        use_cache=model.generation_config.use_cache,
        return_dict_in_generate=True,
        output_scores=True,
    )
    with torch.inference_mode():
        output = model.generate(**inputs, generation_config=config)
    prompt = 1 if model.config.is_encoder_decoder else inputs["input_ids"].shape[1]
    return output.sequences[0, prompt:].tolist(), float(output.sequences_scores[0])


@pytest.mark.parametrize("name", ["gpt2-mini-finetuned", "seq2seq", "encoder"])
@pytest.mark.parametrize(("opening", "changes"), SEARCHES)
def test_the_search_finds_what_generate_finds(name, opening, changes):
    settings = Settings.from_mapping({"strategy": "beam", "sentences": 10} | changes)
    plain, fast = load(name, engine="torch"), load(name, engine="onnx", dtype="fp32")
    tokens, score = generated(plain, opening, settings)
    for storyteller in (plain, fast):
        search = searched(storyteller, opening, settings)
        found = [choice.token for choice in search.found]
        assert search.score == pytest.approx(score, abs=1e-4)
        assert found == tokens or search.score >= score - 1e-5  # another text only where both are as likely
    told = fast.tell(opening, settings)
    assert told.text == fast.tokenizer.decode(found, skip_special_tokens=True).strip()
    assert told.ended_by == ("end" if found[-1] == fast.kind.end else "tokens")


def test_a_search_ends_before_the_last_token_allowed():
    settings = Settings.from_mapping({"strategy": "beam", "num_beams": 5, "sentences": 10, "max_new_tokens": 60})
    tokens, _ = generated(load("seq2seq", engine="torch"), DOG, settings)
    assert [choice.token for choice in searched(load("seq2seq", dtype="fp32"), DOG, settings).found] == tokens
    assert len(tokens) < 50


def test_the_log_probabilities_are_the_models_own():
    storyteller = load("seq2seq")
    settings = Settings.from_mapping({"preset": "beam", "max_new_tokens": 12, "repetition_penalty": 1.3})
    search, session = searched(storyteller, PARK, settings), storyteller.session([PARK])
    for choice in search.found:
        expected = float(session.logits[0].log_softmax(-1)[choice.token])
        assert choice.log_probability == pytest.approx(expected, abs=1e-4)
        session.advance([choice.token])


@pytest.mark.parametrize("name", ["gpt2-mini-finetuned", "encoder"])
def test_one_beam_is_greedy(name):
    storyteller, same = load(name), {"max_new_tokens": 20, "repetition_penalty": 1.2}
    one = storyteller.tell(PARK, {"strategy": "beam", "num_beams": 1} | same)
    assert one.text == storyteller.tell(PARK, {"strategy": "greedy"} | same).text
