"""Peers of the decoding benchmark: transformers' `generate`, and torch's own encoder on padded prefixes."""

import time
from collections.abc import Sequence

import torch
from torch import nn
from transformers import GenerationConfig, PreTrainedModel

from storylab.decoding import Settings
from storylab.storytellers.storyteller import Storyteller

PADDED = 128


def generation_config(settings: Settings, end: int | None, tokens: int) -> GenerationConfig:
    """The same draw for `generate`: temperature, nucleus, most tokens; without an end, all of them."""
    return GenerationConfig(
        do_sample=True,
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=0,
        max_new_tokens=tokens,
        min_new_tokens=None if end is not None else tokens,
        eos_token_id=end,
        pad_token_id=0,
    )


@torch.inference_mode()
def generate(storyteller: Storyteller, openings: Sequence[str], settings: Settings, seed: int) -> float:
    """Tokens a second of `generate` on all openings as one batch, padded on the left; padding does not count."""
    prompts = [storyteller.kind.prompt(opening)["input_ids"][0] for opening in openings]
    longest, end = max(map(len, prompts)), storyteller.kind.end
    ids = torch.stack([nn.functional.pad(prompt, (longest - len(prompt), 0)) for prompt in prompts])
    mask = torch.stack([(torch.arange(longest) >= longest - len(prompt)).long() for prompt in prompts])
    config = generation_config(settings, end, settings.max_new_tokens)
    config.decoder_start_token_id = storyteller.kind.start
    config.use_cache = storyteller.model.generation_config.use_cache
    torch.manual_seed(seed)
    started = time.perf_counter()
    told = storyteller.model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
    seconds = time.perf_counter() - started
    told = told[:, 1:] if storyteller.model.config.is_encoder_decoder else told[:, longest:]
    ended = (told == end).int()
    return int((ended.cumsum(dim=1) - ended == 0).sum()) / seconds  # each text's tokens up to its end, that among them


@torch.inference_mode()
def generate_tokens(model: PreTrainedModel, prompt: Sequence[int], tokens: int, settings: Settings) -> float:
    """Tokens a second of `generate` behind one prompt, with no end."""
    config = generation_config(settings, None, tokens)
    ids = torch.tensor([list(prompt)])
    started = time.perf_counter()
    model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=config)
    return tokens / (time.perf_counter() - started)


class PaddedEncoder(nn.Module):
    """torch's stock encoder in the shape of a storyteller, which reads every prefix padded to 128 tokens.

    Args:
        config: The storyteller's.
        norm_first: Norms before attention, as the storyteller has them. Behind it, the stock default, torch's fast
            path for inference cuts the padding off.
    """

    def __init__(self, config, norm_first: bool = True):
        super().__init__()
        self.tokens = nn.Embedding(config.vocab_size, config.width)
        self.positions = nn.Parameter(torch.zeros(PADDED, config.width))
        layer = nn.TransformerEncoderLayer(
            config.width, config.heads, config.inner, batch_first=True, norm_first=norm_first
        )
        self.layers = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=not norm_first)
        self.head = nn.Linear(config.width, config.vocab_size)

    @torch.inference_mode()
    def rate(self, start: int, tokens: int) -> float:
        """Tokens a second, told greedily behind a prompt of so many tokens."""
        ids, length = torch.full((1, PADDED), 1), start
        began = time.perf_counter()
        for _ in range(tokens):
            padding = torch.arange(PADDED)[None] >= length
            hidden = self.layers(self.tokens(ids) + self.positions, src_key_padding_mask=padding)
            pooled = hidden[0, :length].mean(dim=0)  # nested tensors cut off what is padded
            ids[0, length] = int(self.head(pooled).argmax())
            length += 1
        return tokens / (time.perf_counter() - began)
