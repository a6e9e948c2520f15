"""Freezing by name: what is held still, what goes on learning, and which words mean nothing."""

import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from storylab.errors import StoryLabError
from storylab.framing import Packed, encode_stories
from storylab.models import EncoderConfig, EncoderStoryteller, Seq2SeqConfig, Seq2SeqStoryteller
from storylab.tokenizers import load_tokenizer
from storylab.training.build import build_model
from storylab.training.data import gather_stories
from storylab.training.freezing import freeze, layers_of
from storylab.training.loop import train
from storylab.training.optimizers import make_optimizers
from storylab.training.run import prepare_accelerator
from storylab.training.state import Progress

GPT2_EMBEDDINGS = ("transformer.wte.", "transformer.wpe.")
GPT2_LAYERS = ("transformer.h.0.", "transformer.h.1.", "transformer.h.2.")


def gpt2() -> GPT2LMHeadModel:
    return GPT2LMHeadModel(GPT2Config(vocab_size=20, n_layer=3, n_embd=8, n_head=2, n_positions=16))


def llama(tied: bool) -> LlamaForCausalLM:
    shape = {"hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 3, "num_attention_heads": 2}
    ids = {"bos_token_id": 1, "eos_token_id": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=20, tie_word_embeddings=tied, **shape, **ids))


def held(model: nn.Module) -> set[str]:
    """The names of the parameters that will not be trained."""
    return {name for name, parameter in model.named_parameters() if not parameter.requires_grad}


def starting(model: nn.Module, prefixes: tuple[str, ...]) -> set[str]:
    """The names of the parameters that begin so; each beginning is that of one at least."""
    names = [name for name, _ in model.named_parameters()]
    assert all(any(name.startswith(prefix) for name in names) for prefix in prefixes)
    return {name for name in names if name.startswith(prefixes)}


@pytest.mark.parametrize(
    ("what", "prefixes", "tensors"),  # a layer of GPT-2 has 12: a weight and a bias of 2 norms and 4 matrices
    [
        ("", (), 0),
        ("embeddings", GPT2_EMBEDDINGS, 2),
        ("the first 1 layer", GPT2_LAYERS[:1], 12),
        ("the first 2 layers", GPT2_LAYERS[:2], 24),
        ("embeddings and the first 1 layer", GPT2_EMBEDDINGS + GPT2_LAYERS[:1], 14),
        ("embeddings and the first 2 layers", GPT2_EMBEDDINGS + GPT2_LAYERS[:2], 26),
        ("the first 2 layers and embeddings", GPT2_EMBEDDINGS + GPT2_LAYERS[:2], 26),
    ],
)
def test_what_is_named_is_frozen_in_gpt2_and_nothing_else(what, prefixes, tensors):
    model = gpt2()
    told = freeze(model, what)
    assert len(told) == tensors and set(told) == held(model) == starting(model, prefixes)
    assert model.lm_head.weight.requires_grad is ("embeddings" not in what)  # it shares the embeddings' weights


@pytest.mark.parametrize("tied", [True, False])
def test_the_head_of_a_llama_is_frozen_with_the_embeddings_that_it_shares(tied):
    model = llama(tied)
    freeze(model, "embeddings and the first 2 layers")
    assert held(model) == starting(model, ("model.embed_tokens.", "model.layers.0.", "model.layers.1."))
    assert model.lm_head.weight.requires_grad is not tied
    assert model.model.norm.weight.requires_grad


def test_our_own_models_have_layers_too():
    shape = {"vocab_size": 20, "width": 8, "heads": 2, "inner": 16, "positions": 16}
    encoder = EncoderStoryteller(EncoderConfig(layers=3, **shape))
    freeze(encoder, "embeddings and the first 2 layers")
    trained = {name for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    (last,) = {name.partition(".2.")[0] for name in trained if ".2." in name}
    assert not encoder.head.weight.requires_grad  # tied
    assert all(name.startswith(f"{last}.2.") or name.count(".") == 1 for name in trained)
    assert not any(isinstance(module, nn.Embedding) and module.weight.requires_grad for module in encoder.modules())
    # Of two stacks the longer one counts.
    seq2seq = Seq2SeqStoryteller(Seq2SeqConfig(encoder_layers=1, decoder_layers=3, **shape))
    assert list(layers_of(seq2seq)) == [f"decoder.layers.{index}" for index in range(3)]


def test_layers_are_told_from_the_bottom_up():
    model = llama(tied=True)
    assert list(layers_of(model).values()) == list(model.model.layers)
    with pytest.raises(StoryLabError, match="no stack of layers"):
        layers_of(nn.Linear(2, 2))


@pytest.mark.parametrize("what", ["the first 3 layers", "the first 4 layers", "embeddings and the first 100 layers"])
def test_as_many_layers_as_there_are_or_more_are_refused_with_their_list(what):
    model = gpt2()
    with pytest.raises(StoryLabError) as refused:
        freeze(model, what)
    message = str(refused.value)
    assert "the model has 3: transformer.h.0, transformer.h.1, transformer.h.2" in message and "\n" not in message
    assert not held(model)


@pytest.mark.parametrize(
    "what",
    [
        "everything",
        "Embeddings",
        "embeddings,",
        "embeddings and",
        "embeddings and the head",
        "embeddings or the first 1 layer",
        "the first layer",
        "the first two layers",
        "the first -1 layers",
        "the first 1.5 layers",
        "the last 1 layer",
        "20",
        " ",
    ],
)
def test_words_that_name_nothing_are_refused_with_those_that_do(what):
    model = gpt2()
    with pytest.raises(StoryLabError) as refused:
        freeze(model, what)
    assert '"embeddings and the first N layers"' in str(refused.value) and repr(what) in str(refused.value)
    assert not held(model)


def test_gradients_stop_at_the_lowest_trained_layer():
    model = gpt2()
    freeze(model, "embeddings and the first 2 layers")
    states = model(torch.arange(6)[None], output_hidden_states=True).hidden_states
    # The embeddings' output and that of each layer; freezing from below saves the backward pass of those two.
    assert [state.requires_grad for state in states] == [False, False, False, True]


def copies(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize(
    ("kind", "what"),
    [("base", "embeddings and the first 1 layer"), ("base", "the first 2 layers"), ("llama_base", "embeddings")],
)
def test_what_is_frozen_stays_and_everything_else_moves(request, finetuning, kind, what, optimizer):
    folder = request.getfixturevalue(kind)
    # Weight decay would shrink what an optimizer holds, gradient or none.
    recipe = finetuning(freeze=what, optimizer=optimizer, weight_decay=0.1, epochs=1, batch_size=8, limit=4)
    tokenizer = load_tokenizer(folder)
    model = build_model(recipe, tokenizer, folder)
    optimizers = make_optimizers(model, recipe)
    before, frozen = copies(model), held(model)
    assert frozen
    updated = sum(parameter.numel() for o in optimizers for group in o.param_groups for parameter in group["params"])
    assert updated == sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)

    framing = Packed(encode_stories(gather_stories(recipe)[0].train, tokenizer), tokenizer, 128, 128)
    accelerator = prepare_accelerator(recipe, "cpu")
    progress = train(accelerator.prepare(model), optimizers, recipe, framing, framing, accelerator, Progress())
    assert progress.step == 1
    moved = {name for name, parameter in copies(model).items() if not torch.equal(parameter, before[name])}
    assert moved == set(before) - frozen
