"""The loss in parts against the plain one: the logits of all tokens, one cross-entropy, its gradient."""

import pytest
import torch
from torch.nn import functional as F
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from storylab.framing import IGNORED
from storylab.models import EncoderConfig, EncoderStoryteller, Seq2SeqConfig, Seq2SeqStoryteller
from storylab.training import attention
from storylab.training import loss as losses
from storylab.training.loss import head_loss, summed_loss

VOCABULARY = 50


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Three tokens a part, so that 40 make many parts, the last of them short."""
    monkeypatch.setattr(losses, "LOGITS_AT_ONCE", 3 * VOCABULARY)


def gradients(model, value) -> dict[str, torch.Tensor]:
    model.zero_grad()
    value.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def plain_loss(model, batch, label_smoothing: float = 0.0):
    logits = model(**{name: tensor for name, tensor in batch.items() if name != "labels"}).logits
    rows, labels = logits.flatten(0, 1).float(), batch["labels"].flatten()
    return F.cross_entropy(rows, labels, ignore_index=IGNORED, reduction="sum", label_smoothing=label_smoothing)


def models() -> dict[str, torch.nn.Module]:
    torch.manual_seed(0)
    own = {"vocab_size": VOCABULARY, "width": 16, "heads": 2, "inner": 32, "positions": 32, "dropout": 0.0}
    still = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    made = {
        "gpt2": GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, n_embd=16, n_head=2, n_layer=1, **still)),
        "llama": LlamaForCausalLM(
            LlamaConfig(
                vocab_size=VOCABULARY,
                hidden_size=16,
                intermediate_size=32,
                num_hidden_layers=1,
                num_attention_heads=2,
                num_key_value_heads=1,
            )
        ),
        "encoder": EncoderStoryteller(EncoderConfig(**own, layers=1)),
        "causal encoder": EncoderStoryteller(EncoderConfig(**own, layers=1, causal=True)),
        "seq2seq": Seq2SeqStoryteller(Seq2SeqConfig(**own, encoder_layers=1, decoder_layers=1)),
    }
    for model in made.values():
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return made


def batch_for(name: str) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    ids = torch.randint(4, VOCABULARY, (4, 10), generator=draw)
    labels = torch.randint(4, VOCABULARY, (4, 1 if name == "encoder" else 10), generator=draw)
    if name != "encoder":
        labels[0, 6:], labels[2, :3] = IGNORED, IGNORED
    batch = {"input_ids": ids, "labels": labels}
    return batch | {"decoder_input_ids": ids.flip(0)} if name == "seq2seq" else batch


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("name", ["gpt2", "llama", "encoder", "causal encoder", "seq2seq"])
def test_loss_and_gradients_are_those_of_one_cross_entropy(name, smoothing):
    model, batch = models()[name], batch_for(name)
    expected, found = plain_loss(model, batch, smoothing), summed_loss(model, batch, smoothing)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    # What comes after the loss scales it: the mean over all labels of a step.
    plain, parts = gradients(model, expected / 7), gradients(model, found / 7)
    assert plain.keys() == parts.keys()
    for tensor in plain:
        torch.testing.assert_close(parts[tensor], plain[tensor], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["gpt2", "seq2seq"])
def test_in_bf16_the_gradients_differ_by_rounding_alone(name):
    model, batch = models()[name], batch_for(name)
    exact = gradients(model, plain_loss(model, batch))

    def error(loss) -> float:
        """How far bf16 takes the gradient from that in fp32, as a share of it."""
        with torch.autocast("cpu", torch.bfloat16):
            value = loss(model, batch)
        found = gradients(model, value)
        return float(sum((found[t] - exact[t]).norm() for t in exact) / sum(exact[t].norm() for t in exact))

    assert 0 < error(summed_loss) < 1.2 * error(plain_loss)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("largest", [-3.0, 6.2, 8.0, 60.0])
def test_a_sure_token_has_the_loss_and_the_gradient_of_its_logits(dtype, largest):
    """Where the label's share is nearly one, what is left of it must not be lost in rounding."""
    logits = torch.tensor([[largest, 0, 0, 0], [0, largest, 1, -1]], dtype=dtype)
    labels = torch.tensor([0, 1])
    exact = logits.double().requires_grad_()
    expected = F.cross_entropy(exact, labels, reduction="sum")
    expected.backward()
    loss, gradient = losses._with_gradient(logits, labels, 0.0)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4, abs=1e-6)
    rounding = 2 * torch.finfo(dtype).eps
    torch.testing.assert_close(gradient.double(), exact.grad, rtol=rounding, atol=1e-7)


@pytest.mark.parametrize("name", ["gpt2", "encoder", "seq2seq"])
def test_on_a_processor_attention_is_computed_by_products(name, monkeypatch):
    model, batch, calls = models()[name], batch_for(name), []
    computed = attention.product_attention
    monkeypatch.setattr(attention, "product_attention", lambda *about: calls.append(about) or computed(*about))
    summed_loss(model, batch)
    assert len(calls) == (3 if name == "seq2seq" else 1)
    plain_loss(model, batch)
    assert len(calls) == (3 if name == "seq2seq" else 1)


def test_without_gradients_it_is_the_same_number():
    model, batch = models()["seq2seq"].eval(), batch_for("seq2seq")
    with torch.no_grad():
        assert summed_loss(model, batch).item() == pytest.approx(plain_loss(model, batch).item(), rel=1e-6)


def test_a_frozen_head_gets_no_gradient_and_what_is_below_it_does():
    hidden, weight = torch.randn(8, 16, requires_grad=True), torch.randn(VOCABULARY, 16)
    head_loss(hidden, weight, torch.arange(8)).backward()
    assert weight.grad is None and hidden.grad.abs().sum() > 0


def test_a_batch_without_labels_costs_nothing_and_teaches_nothing():
    model, batch = models()["gpt2"], batch_for("gpt2")
    batch["labels"] = torch.full_like(batch["labels"], IGNORED)
    value = summed_loss(model, batch)
    assert value.item() == 0
    assert all(not gradient.any() for gradient in gradients(model, value).values())


def test_the_head_is_itself_again_afterwards_even_where_the_model_fails():
    model, batch = models()["gpt2"], batch_for("gpt2")
    summed_loss(model, batch)
    assert model(batch["input_ids"]).logits.shape == (4, 10, VOCABULARY)
    with pytest.raises(IndexError):
        summed_loss(model, {"input_ids": batch["input_ids"] + VOCABULARY, "labels": batch["labels"]})
    assert model(batch["input_ids"]).logits.shape == (4, 10, VOCABULARY)


def test_a_model_that_changes_its_logits_after_the_head_has_its_own_loss():
    from transformers import Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    shape |= {"num_key_value_heads": 1, "head_dim": 8, "initializer_range": 2.0, "final_logit_softcapping": 1.0}
    model, batch = Gemma2ForCausalLM(Gemma2Config(vocab_size=VOCABULARY, **shape)), batch_for("gpt2")
    assert model(batch["input_ids"]).logits.abs().max() <= 1
    assert summed_loss(model, batch).item() == pytest.approx(plain_loss(model, batch).item(), rel=1e-5)
