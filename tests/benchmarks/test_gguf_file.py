"""Models as GGUF files, read again by transformers."""

import pytest
import torch
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from benchmarks.gguf_file import write_gguf

MODELS = {
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(vocab_size=96, n_embd=64, n_head=2, n_layer=2)),
    "llama": lambda: LlamaForCausalLM(
        LlamaConfig(
            vocab_size=96,
            hidden_size=64,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=32,
            tie_word_embeddings=True,
        )
    ),
}


@pytest.mark.parametrize("kind", MODELS)
def test_a_file_holds_the_model_in_8_bits(tmp_path, kind):
    torch.manual_seed(0)
    model = MODELS[kind]().eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.1)
    write_gguf(model, [f"t{number}" for number in range(96)], tmp_path / "model.gguf")
    again = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="model.gguf", dtype=torch.float32).eval()
    for name, values in model.state_dict().items():
        read = again.state_dict()[name]
        assert (read - values).abs().max() <= 0.006 * values.abs().max(), name  # half a step of 1/127, in fp16
    ids = torch.tensor([[1, 5, 9, 40]])
    assert torch.allclose(again(ids).logits, model(ids).logits, atol=0.1, rtol=0.05)
