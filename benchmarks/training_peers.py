"""Peers of the training benchmark: nanoGPT's loop and transformers' Trainer, on stock modules.

Both train the shape of our recipe in bf16 autocast, with as many examples a step, with torch's
`scaled_dot_product_attention`, AdamW and no dropout. What they train is what their users would: transformers'
`GPT2LMHeadModel`, and for the encoder-decoder torch's own Transformer layers.
"""

import tempfile
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

from storylab.framing import IGNORED, EncodedStory
from storylab.models.layers import squared_relu
from storylab.tokenizers import END_ID, PAD_ID, START_ID
from storylab.training.recipe import Recipe

WARMUP = 1
"""Steps of a turn that don't count."""
Batch = dict[str, Tensor]


class StockSeq2Seq(nn.Module):
    """The encoder-decoder of the recipe in torch's stock layers, with a loss as transformers' models return it."""

    def __init__(self, vocabulary: int, shape: dict):
        super().__init__()
        width = shape["width"]
        plain = {"dropout": 0.0, "activation": squared_relu, "batch_first": True, "norm_first": True, "bias": False}
        size = (width, shape["heads"], shape["inner"])
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.ModuleList(nn.Embedding(shape["positions"], width) for _ in range(2))
        nn.init.normal_(self.tokens.weight, std=0.02)
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(*size, **plain),
            shape["encoder_layers"],
            nn.LayerNorm(width, bias=False),
            enable_nested_tensor=False,
        )
        self.decoder = nn.TransformerDecoder(
            nn.TransformerDecoderLayer(*size, **plain), shape["decoder_layers"], nn.LayerNorm(width, bias=False)
        )

    def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Mean loss and logits; the target is the labels shifted by one, as in transformers' T5 and BART."""
        target = labels.roll(1, dims=1).masked_fill(labels.roll(1, dims=1) == IGNORED, PAD_ID)
        target[:, 0] = START_ID
        padding = attention_mask == 0  # padded targets stand on the right, where causal attention never looks
        places = [torch.arange(ids.shape[1], device=ids.device) for ids in (input_ids, target)]
        source = self.tokens(input_ids) + self.positions[0](places[0])
        x = self.tokens(target) + self.positions[1](places[1])
        causal = nn.Transformer.generate_square_subsequent_mask(target.shape[1])
        memory = self.encoder(source, src_key_padding_mask=padding)
        x = self.decoder(x, memory, tgt_mask=causal, tgt_is_causal=True, memory_key_padding_mask=padding)
        logits = F.linear(x, self.tokens.weight)
        return {"loss": F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED), "logits": logits}


def stock_gpt2(vocabulary: int, shape: dict, activation: str = "gelu_new") -> GPT2LMHeadModel:
    """GPT-2 of transformers in the recipe's shape, without dropout; `gelu_new` is its default."""
    still = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    return GPT2LMHeadModel(GPT2Config(vocab_size=vocabulary, activation_function=activation, **shape, **still))


def pairs(stories: list[EncodedStory]) -> list[dict[str, list[int]]]:
    """Source and target of each story, as the encoder-decoder's users write them: both end in the end token."""
    return [
        {"input_ids": [*story.opening.tolist(), END_ID], "labels": [*story.continuation.tolist(), END_ID]}
        for story in stories
    ]


def random_blocks(tokens: np.ndarray, length: int, size: int) -> Iterator[Batch]:
    """The `get_batch` of nanoGPT: blocks of a long row of tokens, each from a random place."""
    row = torch.from_numpy(tokens.astype(np.int64))
    while True:
        places = torch.randint(len(row) - length, (size,))
        block = torch.stack([row[place : place + length] for place in places])
        yield {"input_ids": block, "labels": block}  # GPT2LMHeadModel shifts them itself


def random_pairs(examples: list[dict], collate: Callable[[list[dict]], Batch], size: int) -> Iterator[Batch]:
    """The same for pairs: random stories, padded to the longest among them."""
    while True:
        yield collate([examples[place] for place in torch.randint(len(examples), (size,))])


def real_tokens(batch: Batch) -> int:
    """Tokens of a batch that are no padding, source and target together."""
    if "attention_mask" not in batch:
        return batch["input_ids"].numel()
    return int(batch["attention_mask"].sum() + (batch["labels"] != IGNORED).sum())


def adamw(model: nn.Module, learning_rate: float) -> torch.optim.Optimizer:
    """AdamW as nanoGPT has it: betas 0.9 and 0.95, weight decay 0.1 for what has two dimensions."""
    matrices = [parameter for parameter in model.parameters() if parameter.dim() >= 2]
    rest = [parameter for parameter in model.parameters() if parameter.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.95))


class NanoGPT:
    """nanoGPT's loop: a random batch, forward in autocast, backward, clip at 1, step, gradients to None."""

    def __init__(
        self,
        model: nn.Module,
        batches: Iterator[Batch],
        optimizers: list[torch.optim.Optimizer],
        accumulation: int,
    ):
        self.model, self.batches = model.train(), batches
        self.optimizers, self.accumulation = optimizers, accumulation
        self.batch = next(batches)

    def step(self) -> int:
        """One step; returns its real tokens."""
        tokens = 0
        for _ in range(self.accumulation):
            with torch.autocast("cpu", torch.bfloat16):
                loss = self.model(**self.batch)["loss"] / self.accumulation
            tokens += real_tokens(self.batch)
            self.batch = next(self.batches)
            loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return tokens

    def rate(self, steps: int) -> float:
        """Real tokens a second of some steps."""
        for _ in range(WARMUP):
            self.step()
        started = time.perf_counter()
        tokens = sum(self.step() for _ in range(steps))
        return tokens / (time.perf_counter() - started)


class CountingTrainer(Trainer):
    """transformers' Trainer that notes when each step began, and its real tokens."""

    def training_step(self, model: nn.Module, inputs: Batch, *args, **kwargs) -> Tensor:
        """As it is."""
        self.noted.append((time.perf_counter(), real_tokens(inputs)))
        return super().training_step(model, inputs, *args, **kwargs)


def trainer_rate(model: nn.Module, examples: list[dict], collate: Callable, recipe: Recipe, steps: int) -> float:
    """Real tokens a second of some steps of the Trainer, all else at its defaults."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            per_device_train_batch_size=recipe.batch_size,
            gradient_accumulation_steps=recipe.accumulation,
            learning_rate=recipe.learning_rate,
            max_steps=WARMUP + steps + 1,
            bf16=True,
            use_cpu=True,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = CountingTrainer(model, arguments, data_collator=collate, train_dataset=examples)
        trainer.noted = []
        trainer.train()
    counted = trainer.noted[WARMUP * recipe.accumulation :]
    *within, last = counted[: steps * recipe.accumulation + 1]
    return sum(tokens for _, tokens in within) / (last[0] - within[0][0])
