"""Encoder-decoder Transformer: reads the first sentence, writes the other four (framing b)."""

import torch
from torch import Tensor, nn
from transformers import GenerationMixin, PreTrainedConfig, PreTrainedModel
from transformers.cache_utils import Cache, DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput, Seq2SeqLMOutput

from storylab.models.layers import DecoderLayer, EncoderLayer, cast_once, causal_with_history, initialise, padding_mask
from storylab.tokenizers import END_ID, PAD_ID, START_ID


class Seq2SeqConfig(PreTrainedConfig):
    """Shape of an encoder-decoder. `width` must be divisible by `heads`; `positions` bounds both sides."""

    model_type = "storylab-seq2seq"
    attribute_map = {
        "hidden_size": "width",
        "num_attention_heads": "heads",
        "num_hidden_layers": "decoder_layers",
        "max_position_embeddings": "positions",
    }

    vocab_size: int = 8000
    width: int = 320
    heads: int = 5
    encoder_layers: int = 3
    decoder_layers: int = 4
    inner: int = 1280
    positions: int = 256
    dropout: float = 0.1
    is_encoder_decoder: bool = True
    tie_word_embeddings: bool = True
    pad_token_id: int | None = PAD_ID
    bos_token_id: int | None = START_ID
    eos_token_id: int | None = END_ID
    decoder_start_token_id: int | None = START_ID


class SourceEncoder(nn.Module):
    """The reading half: embedded source tokens through bidirectional layers."""

    main_input_name = "input_ids"

    def __init__(self, config: Seq2SeqConfig, tokens: nn.Embedding):
        super().__init__()
        self.tokens = tokens
        self.positions = nn.Embedding(config.positions, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(
            EncoderLayer(config.width, config.heads, config.inner, config.dropout) for _ in range(config.encoder_layers)
        )
        self.norm = nn.LayerNorm(config.width, bias=False)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **_) -> BaseModelOutput:
        """Encode input_ids (batch, length) into last_hidden_state (batch, length, width)."""
        real = torch.ones_like(input_ids) if attention_mask is None else attention_mask.long()
        places = (real.cumsum(dim=1) - 1).clamp(min=0)  # padding may stand on either side
        x, mask = self.dropout(self.tokens(input_ids) + self.positions(places)), padding_mask(attention_mask)
        for layer in self.layers:
            x = layer(x, mask)
        return BaseModelOutput(last_hidden_state=self.norm(x))


class TargetDecoder(nn.Module):
    """The writing half: causal layers that also attend to the encoded source."""

    def __init__(self, config: Seq2SeqConfig, tokens: nn.Embedding):
        super().__init__()
        self.tokens = tokens
        self.positions = nn.Embedding(config.positions, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(
            DecoderLayer(config.width, config.heads, config.inner, config.dropout, layer)
            for layer in range(config.decoder_layers)
        )
        self.norm = nn.LayerNorm(config.width, bias=False)

    def forward(
        self, input_ids: Tensor, source: Tensor, source_real: Tensor | None, cache: EncoderDecoderCache | None
    ) -> Tensor:
        """Decode input_ids (batch, length), the tokens since the cache, into (batch, length, width)."""
        length = input_ids.shape[1]
        history = cache.get_seq_length() if cache is not None else 0
        x = self.dropout(self.tokens(input_ids) + self.positions.weight[history : history + length])
        causal = history == 0 and length > 1
        mask = causal_with_history(length, history, x.device) if history and length > 1 else None
        source, source_mask = cast_once(source), padding_mask(source_real)
        earlier = cache.self_attention_cache if cache is not None else None  # an empty cache counts as false
        for layer in self.layers:
            read = _source_keys_values(layer, source, cache)
            x = layer(x, read, mask, source_mask, causal, earlier)
        return self.norm(x)


def _source_keys_values(layer: DecoderLayer, source: Tensor, cache: EncoderDecoderCache | None):
    """Keys and values of the source for one layer: computed at the first token, from the cache after it."""
    attention = layer.source_attention
    if cache is None:
        return attention.keys_values(source)
    if cache.is_updated.get(attention.layer):
        held = cache.cross_attention_cache.layers[attention.layer]
        return held.keys, held.values
    cache.is_updated[attention.layer] = True
    return cache.cross_attention_cache.update(*attention.keys_values(source), attention.layer)


class Seq2SeqStoryteller(PreTrainedModel, GenerationMixin):
    """Encoder-decoder language model with one embedding for source, target and output (Press and Wolf 2017)."""

    config_class = Seq2SeqConfig
    base_model_prefix = "model"
    main_input_name = "input_ids"
    supports_gradient_checkpointing = False
    _supports_sdpa = True
    _tied_weights_keys = {
        "encoder.tokens.weight": "tokens.weight",
        "decoder.tokens.weight": "tokens.weight",
        "head.weight": "tokens.weight",
    }

    def __init__(self, config: Seq2SeqConfig):
        super().__init__(config)
        self.tokens = nn.Embedding(config.vocab_size, config.width)
        self.encoder = SourceEncoder(config, self.tokens)
        self.decoder = TargetDecoder(config, self.tokens)
        self.head = nn.Linear(config.width, config.vocab_size, bias=False)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        initialise(module, std=0.02)

    def get_encoder(self, *_, **__) -> nn.Module:
        return self.encoder

    def get_input_embeddings(self) -> nn.Embedding:
        return self.tokens

    def get_output_embeddings(self) -> nn.Linear:
        return self.head

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        encoder_outputs: BaseModelOutput | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool | None = None,
        **_,
    ) -> Seq2SeqLMOutput:
        """Logits of the token after each of decoder_input_ids.

        Args:
            input_ids: Source tokens (batch, source length); not needed beside `encoder_outputs`.
            attention_mask: 1 for real source tokens, 0 for padding (batch, source length).
            decoder_input_ids: Target tokens so far (batch, length); with a cache, those since it.
            encoder_outputs: What `get_encoder()` made of the source, so that it is read once.
            past_key_values: Cache of earlier target tokens and of the source.
            use_cache: Whether to return a cache; True starts one where none is given.

        Returns:
            logits (batch, length, vocabulary), the cache and the encoded source.
        """
        if encoder_outputs is None:
            encoder_outputs = self.encoder(input_ids, attention_mask)
        if use_cache and past_key_values is None:
            past_key_values = EncoderDecoderCache(DynamicCache(), DynamicCache())
        source = encoder_outputs[0]  # (batch, source length, width)
        hidden = self.decoder(decoder_input_ids, source, attention_mask, past_key_values)
        return Seq2SeqLMOutput(
            logits=self.head(hidden),  # (batch, length, vocabulary)
            past_key_values=past_key_values,
            encoder_last_hidden_state=source,
        )


__all__ = ["Seq2SeqConfig", "Seq2SeqStoryteller"]
