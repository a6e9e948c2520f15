"""What the tests of pre-training and fine-tuning share: the project's vocabulary, bases of random weights."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from storylab.training.recipe import Recipe


@pytest.fixture(scope="session")
def vocabulary(root) -> Path:
    """The folder with the vocabulary that the project's models share."""
    return root / "train" / "vocabulary"


@pytest.fixture(scope="session")
def make_base(vocabulary, tmp_path_factory) -> Callable[..., Path]:
    """A function that writes a base into a folder of its own: 3 layers, 64 wide, random weights in fp32.

    The weights are larger than a new model's, so that no layer is idle.
    """
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    from storylab.tokenizers import load_tokenizer

    def make(kind: str = "gpt2", seed: int = 0, **changes) -> Path:
        tokenizer = load_tokenizer(vocabulary)
        torch.manual_seed(seed)
        ids = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
        plain = {"vocab_size": len(tokenizer), "initializer_range": 0.05, **ids}
        if kind == "gpt2":
            still = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
            shape = {"n_layer": 3, "n_embd": 64, "n_head": 4, "n_positions": 128} | still
            model = GPT2LMHeadModel(GPT2Config(**plain | shape | changes))
        else:
            shape = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4}
            shape |= {"num_key_value_heads": 2, "max_position_embeddings": 128, "tie_word_embeddings": True}
            model = LlamaForCausalLM(LlamaConfig(**plain | shape | changes))
        folder = tmp_path_factory.mktemp("base") / f"{kind}-{seed}"
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def base(make_base) -> Path:
    """The folder of a very small GPT-2."""
    return make_base()


@pytest.fixture(scope="session")
def other_base(make_base) -> Path:
    """Another of the same shape."""
    return make_base(seed=1)


@pytest.fixture(scope="session")
def llama_base(make_base) -> Path:
    """A very small Llama, the architecture of SmolLM2, its head tied to its embeddings."""
    return make_base("llama")


@pytest.fixture(scope="session")
def finetuning(tiny_csv) -> "Callable[..., Recipe]":
    """A function that makes a recipe of four steps upon a base called `tiny`, changed as its arguments say."""
    from storylab.training.recipe import Recipe

    def make(**changes) -> Recipe:
        plain = {
            "name": "tuned",
            "model_type": "causal",
            "base": "tiny",
            "framing": "packed",
            "stories": str(tiny_csv),
            "limit": 8,
            "pack_length": 128,
            "batch_size": 4,
            "epochs": 2,
            "learning_rate": 3e-3,
            "warmup": 0,
            "precision": "fp32",
            "log_every": 1,
            "evaluate_every": 1000,
            "save_every": 1000,
            "sample": "",
            "keep": "last",
        }
        return Recipe(**plain | changes)

    return make
