"""Decoding at the shapes of GPT-2 124M and SmolLM2 135M, with random weights, one story without an end."""

import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence

import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from benchmarks.decoding import PEER, SETTINGS
from benchmarks.peers import generate_tokens
from benchmarks.rows import Row, Side, compare
from storylab.decoding.sampling import RandomStream, TokenChooser
from storylab.engines.choice import engine_for

TOKENS = 32


def rows(options: Namespace) -> Iterator[Row]:
    """Measure both shapes."""
    for name, make in shapes().items():
        torch.manual_seed(0)
        model = make().eval().requires_grad_(False)
        prompt = torch.randint(1, model.config.vocab_size, (12,)).tolist()
        sides: dict[str, Side] = {PEER: lambda m=model, p=prompt: generate_tokens(m, p, TOKENS, SETTINGS)}
        for dtype in ("fp32", "int8"):
            engine = engine_for(model, "onnx", dtype)
            sides[f"onnx, {dtype}"] = lambda e=engine, p=prompt: continued(e, p, TOKENS)
        yield from compare(f"{name}, one story", sides, options.turns, "tokens/s", {"onnx, int8": 2.7})


def shapes() -> dict[str, Callable[[], PreTrainedModel]]:
    """Larger models, by what they are called."""
    smollm2 = LlamaConfig(
        vocab_size=49152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        tie_word_embeddings=True,
    )
    return {
        "GPT-2 124M": lambda: GPT2LMHeadModel(GPT2Config()),
        "SmolLM2 135M": lambda: LlamaForCausalLM(smollm2),
    }


def continued(engine, prompt: Sequence[int], tokens: int) -> float:
    """Tokens a second of an engine behind a prompt, drawn as a storyteller draws them."""
    chooser, context = TokenChooser(SETTINGS, RandomStream(0)), torch.tensor([list(prompt)])
    started = time.perf_counter()
    texts = engine.begin([prompt], prompt[0])
    for number in range(tokens):
        token = chooser.choose(context, torch.from_numpy(texts.logits[0])).token
        if number < tokens - 1:
            texts.advance([token])
    return tokens / (time.perf_counter() - started)
