"""Llama as a graph, the architecture of SmolLM2 (Touvron et al. 2023; transformers' `LlamaForCausalLM`).

Root mean square norms, rotary positions, fewer heads of keys than of queries, a gated feed-forward.
"""

import torch
from transformers import LlamaForCausalLM

from storylab.engines.causal import CausalGraph

ROTARY = {"default", "linear", "llama3"}
"""Kinds of rotary positions whose frequencies stay the same however long a text grows."""


def fits(model: LlamaForCausalLM) -> bool:
    """Whether the graph computes what the model's config asks for."""
    config = model.config
    plain = config.hidden_act == "silu" and not config.attention_bias and not config.mlp_bias
    return plain and config.rope_parameters["rope_type"] in ROTARY and config.head_dim % 16 == 0


def graph_of(model: LlamaForCausalLM, block: int | None) -> CausalGraph:
    """The graph of a model that `fits`."""
    config, body = model.config, model.model
    graph = CausalGraph(block, config.num_attention_heads, config.num_key_value_heads, config.head_dim)
    rotary = body.rotary_emb
    angles = torch.arange(config.max_position_embeddings).float()[:, None] * rotary.inv_freq[None]  # (positions, w/2)
    turns = tuple(graph.weight(f(angles) * rotary.attention_scaling) for f in (torch.cos, torch.sin))
    norm = lambda x, layer: graph.op(  # noqa: E731
        "SimplifiedLayerNormalization", [x, graph.weight(layer.weight)], axis=-1, epsilon=layer.variance_epsilon
    )
    linear = lambda x, layer: graph.linear(x, layer.weight)  # noqa: E731
    x = graph.embed(graph.rows, body.embed_tokens.weight, model.lm_head.weight)
    for number, layer in enumerate(body.layers):
        read, attention, gated = norm(x, layer.input_layernorm), layer.self_attn, layer.mlp
        each = [linear(read, part) for part in (attention.q_proj, attention.k_proj, attention.v_proj)]
        mixed = graph.attention(each, number, turns, do_rotary=1, rotary_interleaved=0)
        x = graph.op("Add", [x, linear(mixed, attention.o_proj)])
        read = norm(x, layer.post_attention_layernorm)
        gate = linear(read, gated.gate_proj)
        gate = graph.op("Mul", [gate, graph.op("Sigmoid", [gate])])
        x = graph.op("Add", [x, linear(graph.op("Mul", [gate, linear(read, gated.up_proj)]), gated.down_proj)])
    graph.logits(norm(graph.pick(x), body.norm), model.lm_head.weight)
    return graph
