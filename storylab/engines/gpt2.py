"""GPT-2 as a graph (Radford et al. 2019; the layers are those of transformers' `GPT2LMHeadModel`)."""

from transformers import GPT2LMHeadModel

from storylab.engines.causal import STEP, CausalGraph

GELUS = {"gelu_new": "tanh", "gelu_pytorch_tanh": "tanh", "gelu": "none"}
"""How GPT-2's activations approximate the error function."""


def fits(model: GPT2LMHeadModel) -> bool:
    """Whether the graph computes what the model's config asks for."""
    config = model.config
    return (
        config.activation_function in GELUS
        and config.scale_attn_weights
        and not config.scale_attn_by_inverse_layer_idx
        and not config.add_cross_attention
        and config.n_embd // config.n_head % STEP == 0
    )


def graph_of(model: GPT2LMHeadModel, block: int | None) -> CausalGraph:
    """The graph of a model that `fits`."""
    config, body = model.config, model.transformer
    graph = CausalGraph(block, config.n_head, config.n_head, config.n_embd // config.n_head)
    linear = lambda x, layer: graph.linear(x, layer.weight, layer.bias, columns_first=True)  # noqa: E731
    x = graph.embed(graph.rows, body.wte.weight, model.lm_head.weight)
    x = graph.op("Add", [x, graph.embed(graph.places(), body.wpe.weight)])
    for number, layer in enumerate(body.h):
        joint = linear(graph.layer_norm(x, layer.ln_1), layer.attn.c_attn)
        x = graph.op("Add", [x, linear(graph.attention([joint], number), layer.attn.c_proj)])
        inner = linear(graph.layer_norm(x, layer.ln_2), layer.mlp.c_fc)
        inner = graph.op("Gelu", [inner], approximate=GELUS[config.activation_function])
        x = graph.op("Add", [x, linear(inner, layer.mlp.c_proj)])
    graph.logits(graph.layer_norm(graph.pick(x), body.ln_f), model.lm_head.weight)
    return graph
