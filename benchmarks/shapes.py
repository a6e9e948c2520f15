"""Decoding at the shapes of GPT-2 124M and SmolLM2 135M, with random weights, one story without an end.

Against transformers' `generate` in fp32 as the page tells, and greedily against other engines in 8 bits, where these
are installed (see `outside`); and what 8 bits cost in perplexity, by the bundled storytellers (see `loss`).
"""

import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from benchmarks.decoding import PEER, SETTINGS
from benchmarks.loss import losses
from benchmarks.outside import opened
from benchmarks.peers import generate_tokens
from benchmarks.rows import Row, Side, compare
from storylab.decoding import Settings
from storylab.decoding.sampling import RandomStream, TokenChooser
from storylab.engines.choice import engine_for

TOKENS = 32
GREEDY = Settings(strategy="greedy")


def rows(options: Namespace) -> Iterator[Row]:
    """Measure both shapes, and the loss."""
    for name, make in shapes().items():
        torch.manual_seed(0)
        model = make().eval().requires_grad_(False)
        prompt = torch.randint(1, model.config.vocab_size, (12,)).tolist()
        sides: dict[str, Side] = {PEER: lambda m=model, p=prompt: generate_tokens(m, p, TOKENS, SETTINGS)}
        for dtype in ("fp32", "int8"):
            engine = engine_for(model, "onnx", dtype)
            sides[f"onnx, {dtype}"] = lambda e=engine, p=prompt: continued(e, p, TOKENS, SETTINGS)
        yield from compare(f"{name}, one story", sides, options.turns, "tokens/s", {"onnx, int8": 2.7})
        with tempfile.TemporaryDirectory() as folder:
            for peer, tell in opened(model, Path(folder)).items():
                both: dict[str, Side] = {peer: lambda t=tell, p=prompt: t(p, TOKENS)}
                both["onnx, int8"] = lambda e=engine, p=prompt: continued(e, p, TOKENS, GREEDY)
                yield from compare(f"{name}, one story, greedily", both, options.turns, "tokens/s", 1)
    if options.test:
        yield from losses(options.test)
    else:
        print("shapes: the loss of 8 bits is not measured: no stories are named by --test", flush=True)


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


def continued(engine, prompt: Sequence[int], tokens: int, settings: Settings) -> float:
    """Tokens a second of an engine behind a prompt, chosen as a storyteller chooses them."""
    chooser, context = TokenChooser(settings, RandomStream(0)), torch.tensor([list(prompt)])
    started = time.perf_counter()
    texts = engine.begin([prompt], prompt[0])
    for number in range(tokens):
        token = chooser.choose(context, torch.from_numpy(texts.logits[0])).token
        if number < tokens - 1:
            texts.advance([token])
    return tokens / (time.perf_counter() - started)
