"""The benchmark of training: its peers train the same shape on the same tokens, its figures come from real steps."""

import pytest
import torch
from torch.nn import functional as F

from benchmarks import training, training_peers
from storylab.framing import IGNORED, PromptTarget, encode_stories
from storylab.models import Seq2SeqConfig, Seq2SeqStoryteller
from storylab.stories import read_stories
from storylab.tokenizers import load_tokenizer
from storylab.training.build import FIXED
from storylab.training.recipe import read_recipe

SHAPE = {"width": 32, "heads": 4, "encoder_layers": 2, "decoder_layers": 2, "inner": 48, "positions": 64}


@pytest.fixture(scope="module")
def tokenizer(root):
    return load_tokenizer(root / "train" / "vocabulary")


@pytest.fixture(scope="module")
def encoded(tiny_csv, tokenizer):
    return encode_stories(read_stories(tiny_csv, limit=6), tokenizer)


def test_the_stock_encoder_decoder_is_ours_weight_by_weight(tokenizer, encoded):
    torch.manual_seed(0)
    ours = Seq2SeqStoryteller(Seq2SeqConfig(vocab_size=len(tokenizer), dropout=0.0, **SHAPE))
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    stock = training_peers.StockSeq2Seq(len(tokenizer), SHAPE)
    stock.load_state_dict(stock_weights(ours))
    framed = PromptTarget(encoded, tokenizer, 64).collate([[i] for i in range(6)])
    labels = framed.pop("labels")
    expected = F.cross_entropy(ours(**framed).logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
    found = stock(framed["input_ids"], framed["attention_mask"], labels)["loss"]
    assert found.item() == pytest.approx(expected.item(), rel=1e-4)


def stock_weights(ours: Seq2SeqStoryteller) -> dict[str, torch.Tensor]:
    """The weights under the names that torch's layers have for them."""
    weights = {"tokens.weight": ours.tokens.weight}
    attentions = {"attention": "self_attn", "source_attention": "multihead_attn"}
    norms = ["attention_norm", "source_norm", "feed_forward_norm"]
    for number, side in enumerate(("encoder", "decoder")):
        half = getattr(ours, side)
        weights[f"positions.{number}.weight"] = half.positions.weight
        weights[f"{side}.norm.weight"] = half.norm.weight
        for index, layer in enumerate(half.layers):
            there = f"{side}.layers.{index}."
            weights[there + "linear1.weight"] = layer.feed_forward.expand.weight
            weights[there + "linear2.weight"] = layer.feed_forward.contract.weight
            for place, norm in enumerate([norm for norm in norms if hasattr(layer, norm)], start=1):
                weights[f"{there}norm{place}.weight"] = getattr(layer, norm).weight
            for name, stock_name in attentions.items():
                if attention := getattr(layer, name, None):
                    parts = [attention.query.weight, attention.key.weight, attention.value.weight]
                    weights[f"{there}{stock_name}.in_proj_weight"] = torch.cat(parts)
                    weights[f"{there}{stock_name}.out_proj.weight"] = attention.output.weight
    return weights


def test_the_stock_gpt2_differs_from_the_recipes_in_its_gelu_alone(root, tokenizer):
    recipe = read_recipe(root / "train" / "gpt2-mini.toml")
    config = training_peers.stock_gpt2(len(tokenizer), recipe.model).config
    assert {key: getattr(config, key) for key in recipe.model} == recipe.model
    different = {key for key, value in FIXED["gpt2"].items() if getattr(config, key) != value}
    assert different == {"activation_function"}


def test_peers_count_the_tokens_that_our_framing_counts(tokenizer, encoded):
    from transformers import DataCollatorForSeq2Seq

    batch = DataCollatorForSeq2Seq(tokenizer)(training_peers.pairs(encoded))
    framing = PromptTarget(encoded, tokenizer, 64)
    assert training_peers.real_tokens(batch) == framing.real_tokens(framing.examples(0))


def test_a_row_holds_one_side_against_another_turn_by_turn():
    row = training.row("x", {"peer": [100.0, 200.0, 100.0], "ours": [150.0, 260.0, 120.0]}, "peer", "ours", "a/s", 1.3)
    assert (row.ratio.least, row.ratio.median, row.ratio.greatest) == (1.2, 1.3, 1.5)
    assert row.reached


@pytest.mark.parametrize("name", training.RECIPES)
def test_each_side_measures_real_steps(name, tiny_csv, monkeypatch):
    small = {"gpt2-mini": {"n_embd": 12, "n_layer": 1}, "seq2seq": {"width": 16, "inner": 16, "encoder_layers": 1}}

    def read_small(path):
        recipe = read_recipe(path, ["batch_size=2"])
        recipe.model.update(small[name])
        return recipe

    monkeypatch.setattr(training, "read_recipe", read_small)
    for build in (training.own_loop, training.nanogpt, training.trainer):
        side = build(name, str(tiny_csv))
        assert side.rate(2) > 0
    own = training.own_loop(name, str(tiny_csv), optimizer="adamw")
    parameters = own.model.num_parameters()
    # Six operations a parameter and token (Kaplan et al. 2020), embeddings of places aside and attention beside them.
    assert 2 * parameters < training.operations(own) < 10 * parameters
