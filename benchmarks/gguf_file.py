"""GPT-2 and Llama models as GGUF files, llama.cpp's own, with matrices in Q8_0."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import gguf
import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

GPT2 = {
    "ln_1": "attn_norm",
    "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output",
    "ln_2": "ffn_norm",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
}
"""The parts of a layer, as transformers and as llama.cpp call them."""
LLAMA = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def write_gguf(model: PreTrainedModel, tokens: Sequence[str], path: Path) -> None:
    """Write a model.

    Args:
        model: GPT-2 or Llama, with one table for reading and writing tokens.
        tokens: What each is called.
        path: The file.
    """
    config, is_llama = model.config, model.config.model_type == "llama"
    writer = gguf.GGUFWriter(path, config.model_type)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    if is_llama:
        writer.add_feed_forward_length(config.intermediate_size)
        writer.add_head_count_kv(config.num_key_value_heads)
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
        writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
        writer.add_vocab_size(config.vocab_size)
    else:
        writer.add_feed_forward_length(config.n_inner or 4 * config.n_embd)
        writer.add_layer_norm_eps(config.layer_norm_epsilon)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.NORMAL] * len(tokens))
    writer.add_token_merges(["t 0"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    for name, values in _llama(model) if is_llama else _gpt2(model):
        values = values.detach().contiguous().numpy()
        if values.ndim == 1 or name == "position_embd.weight":
            writer.add_tensor(name, values.astype(np.float32))
        else:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _gpt2(model: PreTrainedModel) -> Iterator[tuple[str, Tensor]]:
    """Its tensors by llama.cpp's names, matrices as (out, in)."""
    inner = model.transformer
    yield "token_embd.weight", inner.wte.weight
    yield "position_embd.weight", inner.wpe.weight
    yield "output.weight", inner.wte.weight
    for side in ("weight", "bias"):
        yield f"output_norm.{side}", getattr(inner.ln_f, side)
        for number, layer in enumerate(inner.h):
            for theirs, name in GPT2.items():
                values = getattr(layer.get_submodule(theirs), side)
                yield f"blk.{number}.{name}.{side}", values.mT if values.ndim == 2 else values


def _llama(model: PreTrainedModel) -> Iterator[tuple[str, Tensor]]:
    """Its tensors by llama.cpp's names, matrices as (out, in)."""
    heads = {"attn_q": model.config.num_attention_heads, "attn_k": model.config.num_key_value_heads}
    yield "token_embd.weight", model.model.embed_tokens.weight
    yield "output_norm.weight", model.model.norm.weight
    for number, layer in enumerate(model.model.layers):
        for theirs, name in LLAMA.items():
            values = layer.get_submodule(theirs).weight
            yield f"blk.{number}.{name}.weight", _turned(values, heads[name]) if name in heads else values


def _turned(matrix: Tensor, heads: int) -> Tensor:
    """Rows of a matrix (heads * width, in) in llama.cpp's order: it turns neighbours, transformers the two halves."""
    return torch.stack(matrix.unflatten(0, (heads, 2, -1)).unbind(1), dim=2).flatten(0, 2)
