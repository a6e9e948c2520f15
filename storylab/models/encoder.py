"""Encoder-only next-token predictor: reads a whole prefix both ways, names the token after it (framing a)."""

import torch
from torch import Tensor, nn
from transformers import GenerationMixin, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from storylab.models.layers import EncoderLayer, initialise, padding_mask
from storylab.tokenizers import END_ID, PAD_ID, START_ID


class EncoderConfig(PreTrainedConfig):
    """Shape of an encoder. `width` must be divisible by `heads`; `positions` bounds the prefix.

    `causal` is for a training's first stage only: each position sees what is before it and predicts the
    token after itself, so that one pass learns from every prefix of a story at once.
    """

    model_type = "storylab-encoder"
    attribute_map = {
        "hidden_size": "width",
        "num_attention_heads": "heads",
        "num_hidden_layers": "layers",
        "max_position_embeddings": "positions",
    }

    vocab_size: int = 8000
    width: int = 256
    heads: int = 4
    layers: int = 4
    inner: int = 1024
    positions: int = 256
    dropout: float = 0.1
    causal: bool = False
    tie_word_embeddings: bool = True
    pad_token_id: int | None = PAD_ID
    bos_token_id: int | None = START_ID
    eos_token_id: int | None = END_ID


def masked_mean(hidden: Tensor, real: Tensor | None) -> Tensor:
    """Mean over the real positions of hidden (batch, length, width); padding has no part in it."""
    if real is None:
        return hidden.mean(dim=1)
    weights = real.to(hidden.dtype)[:, :, None]  # (batch, length, 1)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1)  # (batch, width)


class EncoderStoryteller(PreTrainedModel, GenerationMixin):
    """Bidirectional Transformer encoder, masked mean over positions, linear map to the vocabulary.

    A token's place is told twice: counted from the start, and counted back from the token to be predicted,
    because the mean over positions would otherwise not know which token came last.
    """

    config_class = EncoderConfig
    base_model_prefix = "model"
    main_input_name = "input_ids"
    _supports_sdpa = True
    _tied_weights_keys = {"head.weight": "tokens.weight"}

    def __init__(self, config: EncoderConfig):
        super().__init__(config)
        self.tokens = nn.Embedding(config.vocab_size, config.width)
        self.positions = nn.Embedding(config.positions, config.width)
        self.distances = nn.Embedding(config.positions, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(
            EncoderLayer(config.width, config.heads, config.inner, config.dropout) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.width, bias=False)
        self.head = nn.Linear(config.width, config.vocab_size, bias=False)
        self.post_init()
        if self.generation_config is not None:
            self.generation_config.use_cache = False  # the next token hangs on the whole prefix: nothing to cache

    def _init_weights(self, module: nn.Module) -> None:
        initialise(module, std=0.02)

    def get_input_embeddings(self) -> nn.Embedding:
        return self.tokens

    def get_output_embeddings(self) -> nn.Linear:
        return self.head

    def prepare_inputs_for_generation(self, input_ids: Tensor, attention_mask: Tensor | None = None, **_) -> dict:
        """The whole prefix, also where somebody asks `generate` for a cache and it would hand in the last token."""
        return {"input_ids": input_ids, "attention_mask": attention_mask}

    def embed(self, input_ids: Tensor, real: Tensor | None) -> Tensor:
        """Token and place, (batch, length) -> (batch, length, width); padding may stand on either side."""
        if real is None:
            real = torch.ones_like(input_ids)
        counted = real.long().cumsum(dim=1)  # (batch, length): 1 for the first real token, 2 for the next, ...
        x = self.tokens(input_ids) + self.positions((counted - 1).clamp(min=0))
        if self.config.causal:
            return x
        distances = (counted[:, -1:] - counted).clamp(max=self.config.positions - 1)  # padding on the left
        return x + self.distances(distances)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **_) -> CausalLMOutput:
        """Logits of the token after the prefix.

        Args:
            input_ids: Prefixes (batch, length), padded on either side; in the causal stage on the right.
            attention_mask: 1 for real tokens, 0 for padding (batch, length).

        Returns:
            logits (batch, 1, vocabulary); in the causal stage (batch, length, vocabulary).
        """
        x, mask = self.dropout(self.embed(input_ids, attention_mask)), padding_mask(attention_mask)
        if self.config.causal:  # padding on the right is never seen from the left
            mask = None
        for layer in self.layers:
            x = layer(x, mask, causal=self.config.causal)
        x = self.norm(x)
        pooled = x if self.config.causal else masked_mean(x, attention_mask)[:, None]
        return CausalLMOutput(logits=self.head(pooled))


__all__ = ["EncoderConfig", "EncoderStoryteller"]
