"""Attention story by story is attention under the mask of the pack: the same loss, the same gradients."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from storylab.framing import IGNORED, EncodedStory, Packed
from storylab.training import loss as losses
from storylab.training import story_attention
from storylab.training.loss import summed_loss
from storylab.training.story_attention import Layout, attending

VOCABULARY, POSITIONS = 60, 40
TOKENS = SimpleNamespace(bos_token_id=1, eos_token_id=2, pad_token_id=0)


@pytest.fixture(params=["gpt2", "llama"])
def model(request):
    torch.manual_seed(0)
    shape = {"vocab_size": VOCABULARY, "initializer_range": 0.3, "bos_token_id": 1, "eos_token_id": 2}
    if request.param == "gpt2":
        still = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
        return GPT2LMHeadModel(GPT2Config(n_layer=2, n_embd=32, n_head=4, n_positions=POSITIONS, **still, **shape))
    shape |= {"hidden_size": 32, "intermediate_size": 64, "max_position_embeddings": POSITIONS}
    return LlamaForCausalLM(LlamaConfig(num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, **shape))


def packs() -> Packed:
    """Packs of several stories, most of which are padded."""
    draw = np.random.default_rng(0)
    shapes = [(4, 9), (2, 12), (6, 8), (3, 3), (5, 10), (1, 8), (7, 7), (2, 2), (4, 9)]
    stories = [EncodedStory(*(draw.integers(3, VOCABULARY, size=size) for size in shape)) for shape in shapes]
    return Packed(stories, TOKENS, POSITIONS, pack_length=40)


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    framing = packs()
    batch = framing.collate(framing.examples(0))
    assert story_attention.pays(batch["stories"], batch["labels"])
    return batch


def gradients(model, batch) -> tuple[float, dict[str, torch.Tensor]]:
    model.zero_grad()
    loss = summed_loss(model, batch)
    loss.backward()
    return loss.item(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_loss_and_gradients_are_those_under_the_mask(model, batch):
    loss, found = gradients(model, batch)
    expected_loss, expected = gradients(model, {name: part for name, part in batch.items() if name != "stories"})
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-4, rtol=1e-4)


def test_in_bf16_and_with_frozen_layers_the_gradients_are_near(model, batch):
    body = model.get_decoder()
    layers = body.h if hasattr(body, "h") else body.layers
    layers[0].requires_grad_(False)
    masked = {name: part for name, part in batch.items() if name != "stories"}
    with torch.autocast("cpu", torch.bfloat16):
        (loss, found), (expected_loss, expected) = gradients(model, batch), gradients(model, masked)
    assert loss == pytest.approx(expected_loss, rel=1e-2)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        assert (found[name] - gradient).norm() < 0.1 * gradient.norm(), name


def test_a_long_story_among_short_ones_keeps_the_mask(model, monkeypatch):
    short, long = np.arange(3, 6), np.arange(3, 3 + POSITIONS - 4)
    framing = Packed([EncodedStory(short, short)] * 20 + [EncodedStory(long, short[:2])], TOKENS, POSITIONS, POSITIONS)
    batch = framing.collate(framing.examples(0))
    assert not story_attention.pays(batch["stories"], batch["labels"])
    seeing = batch | {"attention_mask": torch.ones_like(batch["attention_mask"])}
    assert summed_loss(model, seeing).item() != summed_loss(model, batch).item()  # it is read


def test_the_mask_is_not_read(model, batch):
    blind = batch | {"attention_mask": torch.zeros_like(batch["attention_mask"])}
    assert summed_loss(model, blind).item() == summed_loss(model, batch).item()


def test_models_with_other_attention_keep_the_mask(model, batch, monkeypatch):
    whole = summed_loss(model, batch).item()
    monkeypatch.setattr(losses, "PLAIN", set())
    seeing = batch | {"attention_mask": torch.ones_like(batch["attention_mask"])}
    assert summed_loss(model, batch).item() == pytest.approx(whole, rel=1e-5)
    assert summed_loss(model, seeing).item() != pytest.approx(whole, rel=1e-3)


def test_every_token_has_one_slot(batch):
    stories, labels = batch["stories"], batch["labels"]
    framing = packs()
    assert len(stories) == len(framing.pieces)
    layout = Layout.of(stories, labels.numel())
    assert int((~layout.empty).sum()) == int((~layout.padding).sum()) == sum(len(ids) for ids, _ in framing.pieces)
    places = torch.arange(labels.numel())[~layout.padding]
    assert torch.equal(layout.places[layout.slots[places]], places)
    positions = batch["position_ids"].flatten()
    for row in stories:
        assert positions[row[row >= 0]].tolist() == list(range(int((row >= 0).sum())))
    assert bool((labels.flatten()[layout.padding] == IGNORED).all())


def test_attention_is_what_it_was_behind_the_loss(model, batch):
    before = model.config._attn_implementation
    with pytest.raises(ZeroDivisionError), attending(model):
        assert model.config._attn_implementation == story_attention.NAME
        raise ZeroDivisionError
    assert model.config._attn_implementation == before
    summed_loss(model, batch)
    assert model.config._attn_implementation == before
    shown = {name: part for name, part in batch.items() if name not in ("labels", "stories")}
    assert model(**shown).logits.isfinite().all()
