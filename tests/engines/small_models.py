"""A small model of each architecture that an engine knows, with random weights that make it say something."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from storylab.models import EncoderConfig, EncoderStoryteller, Seq2SeqConfig, Seq2SeqStoryteller

VOCABULARY, POSITIONS, START = 300, 160, 1


@dataclass
class Small:
    """A model, and how torch computes the logits after a prompt and what has been told since."""

    model: PreTrainedModel
    expected: Callable[[list[int], list[int]], torch.Tensor]


def gpt2(**changes) -> GPT2LMHeadModel:
    shape = {"n_embd": 64, "n_head": 2, "n_layer": 2, "n_positions": POSITIONS} | changes
    return GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, **shape))


def llama(**changes) -> LlamaForCausalLM:
    shape = {"hidden_size": 96, "intermediate_size": 112, "num_hidden_layers": 2, "num_attention_heads": 6} | changes
    return LlamaForCausalLM(
        LlamaConfig(vocab_size=VOCABULARY, num_key_value_heads=2, max_position_embeddings=POSITIONS, **shape)
    )


SHAPE = {"vocab_size": VOCABULARY, "width": 64, "heads": 2, "inner": 96, "positions": POSITIONS}
MAKERS: dict[str, Callable[[], PreTrainedModel]] = {
    "gpt2": gpt2,
    "llama": llama,
    "seq2seq": lambda: Seq2SeqStoryteller(Seq2SeqConfig(encoder_layers=2, decoder_layers=2, **SHAPE)),
    "encoder": lambda: EncoderStoryteller(EncoderConfig(layers=2, **SHAPE)),
}


@pytest.fixture(params=sorted(MAKERS))
def small(request) -> Small:
    torch.manual_seed(0)
    model = MAKERS[request.param]().eval().requires_grad_(False)
    for parameter in model.parameters():  # as initialised, layers add nothing and every bias is nought
        parameter.add_(torch.randn_like(parameter) * 0.15)

    @torch.inference_mode()
    def expected(prompt: list[int], told: list[int]) -> torch.Tensor:
        if request.param == "seq2seq":
            output = model(input_ids=torch.tensor([prompt]), decoder_input_ids=torch.tensor([[START, *told]]))
        else:
            output = model(input_ids=torch.tensor([prompt + told]))
        return output.logits[0, -1]

    return Small(model, expected)
