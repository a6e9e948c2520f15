import pytest
import torch
from torch import nn
from torch.nn import functional as F
from transformers import AutoConfig, AutoModel, GenerationConfig

import storylab.models  # noqa: F401  makes the models known to the Auto classes
from storylab.models.encoder import EncoderConfig, EncoderStoryteller, masked_mean
from storylab.models.layers import Attention, squared_relu
from storylab.tokenizers import END_ID, PAD_ID, START_ID

VOCABULARY = 19
SHAPE = dict(vocab_size=VOCABULARY, width=32, heads=4, layers=3, inner=48, positions=24, dropout=0.5)


@pytest.fixture(scope="module")
def model(randomise) -> EncoderStoryteller:
    return randomise(EncoderStoryteller(EncoderConfig(**SHAPE)))


@pytest.fixture(scope="module")
def causal(randomise) -> EncoderStoryteller:
    return randomise(EncoderStoryteller(EncoderConfig(**SHAPE, causal=True)))


def prefixes(*lengths: int, seed: int = 0) -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return [
        torch.cat([torch.tensor([START_ID]), torch.randint(4, VOCABULARY, (length - 1,), generator=draw)])
        for length in lengths
    ]


def padded(rows: list[torch.Tensor], side: str, width: int, filler: int = PAD_ID) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows filled up to a width on one side, and their mask."""
    before = lambda row: (width - len(row)) if side == "left" else (width - len(row)) // 2 if side == "both" else 0  # noqa: E731
    fill = lambda row, value: F.pad(row, (before(row), width - len(row) - before(row)), value=value)  # noqa: E731
    return torch.stack([fill(r, filler) for r in rows]), torch.stack([fill(torch.ones_like(r), 0) for r in rows])


def logits_of(model, ids: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=mask).logits


def torch_encoder(model: EncoderStoryteller, copy_encoder_layer) -> nn.TransformerEncoder:
    """The same weights in PyTorch's own encoder."""
    config = model.config
    layer = nn.TransformerEncoderLayer(
        config.width,
        config.heads,
        config.inner,
        activation=squared_relu,
        norm_first=True,
        bias=False,
        batch_first=True,
    )
    norm = nn.LayerNorm(config.width, bias=False)
    peer = nn.TransformerEncoder(layer, config.layers, norm, enable_nested_tensor=False)
    for ours, theirs in zip(model.layers, peer.layers, strict=True):
        copy_encoder_layer(ours, theirs)
    with torch.no_grad():
        norm.weight.copy_(model.norm.weight)
    return peer.eval()


# Against PyTorch's own


def test_squared_relu():
    assert squared_relu(torch.tensor([-2.0, 0.0, 3.0])).tolist() == [0, 0, 9]


@pytest.mark.parametrize("side", ["right", "left"])
def test_outputs_are_those_of_torch_with_the_same_weights(model, copy_encoder_layer, side):
    rows = prefixes(9, 1, 5, 12)
    ids, mask = padded(rows, side, 12)
    x = torch.zeros(*ids.shape, model.config.width)
    for row, at in mask.nonzero().tolist():
        index = int(mask[row, :at].sum())
        place = model.positions.weight[index] + model.distances.weight[len(rows[row]) - 1 - index]
        x[row, at] = model.tokens.weight[ids[row, at]] + place
    with torch.no_grad():
        hidden = torch_encoder(model, copy_encoder_layer)(x, src_key_padding_mask=mask == 0)
        means = torch.stack([part[real.bool()].mean(dim=0) for part, real in zip(hidden, mask, strict=True)])
        expected = means @ model.tokens.weight.T
    assert expected.abs().max() > 0.5
    torch.testing.assert_close(logits_of(model, ids, mask)[:, 0], expected, atol=1e-5, rtol=0)


def test_causal_outputs_are_those_of_torch_with_the_same_weights(causal, copy_encoder_layer):
    ids = torch.stack(prefixes(11, 11))
    with torch.no_grad():
        x = causal.tokens(ids) + causal.positions.weight[:11]
        mask = nn.Transformer.generate_square_subsequent_mask(11)
        expected = torch_encoder(causal, copy_encoder_layer)(x, mask=mask) @ causal.tokens.weight.T
    torch.testing.assert_close(logits_of(causal, ids), expected, atol=1e-5, rtol=0)


# Padding, order and the future


def test_the_masked_mean_is_over_real_positions_only():
    hidden = torch.tensor([[[1.0, 2.0], [3.0, 6.0], [50.0, 50.0]], [[9.0, 9.0], [4.0, 0.0], [6.0, 2.0]]])
    real = torch.tensor([[1, 1, 0], [0, 1, 1]])
    torch.testing.assert_close(masked_mean(hidden, real), torch.tensor([[2.0, 4.0], [5.0, 1.0]]))
    torch.testing.assert_close(masked_mean(hidden, None), hidden.mean(dim=1))


@pytest.mark.parametrize("side", ["right", "left", "both"])
@pytest.mark.parametrize("further", [0, 1, 5])
@pytest.mark.parametrize("filler", [PAD_ID, 7])
def test_padding_further_changes_no_logits(model, side, further, filler):
    rows = prefixes(7, 3, 1, 10)
    alone = torch.cat([logits_of(model, row[None]) for row in rows])
    together = logits_of(model, *padded(rows, side, 10 + further, filler))
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_prefix_may_fill_every_position(model, side):
    (row,) = prefixes(model.config.positions)
    expected = logits_of(model, row[None])
    together = logits_of(model, *padded([row, row[:5]], side, len(row)))
    torch.testing.assert_close(together[:1], expected, atol=1e-5, rtol=0)


def test_padding_a_causal_encoder_on_the_right_changes_no_logits(causal):
    (row,) = prefixes(7)
    ids, mask = padded([row], "right", 12)
    torch.testing.assert_close(logits_of(causal, ids, mask)[:, :7], logits_of(causal, row[None]), atol=1e-5, rtol=0)


def test_the_prefix_is_read_both_ways_and_in_order(model):
    (row,) = prefixes(8)
    before = logits_of(model, row[None])
    for at in range(8):
        changed = row.clone()
        changed[at] = 4 + (changed[at] - 3) % (VOCABULARY - 4)
        assert (logits_of(model, changed[None]) - before).abs().max() > 1e-2, at
    swapped = row[[0, 2, 1, 3, 4, 5, 6, 7]]
    assert row[1] != row[2]
    assert (logits_of(model, swapped[None]) - before).abs().max() > 1e-2


def test_a_future_token_changes_no_earlier_logits_of_a_causal_encoder(causal):
    (row,) = prefixes(10)
    before = logits_of(causal, row[None])[0]
    for at in range(10):
        changed = row.clone()
        changed[at] = 4 + (changed[at] - 3) % (VOCABULARY - 4)
        after = logits_of(causal, changed[None])[0]
        torch.testing.assert_close(after[:at], before[:at], atol=1e-6, rtol=0)
        assert ((after - before)[at:].abs().amax(dim=1) > 1e-4).all()


def test_a_width_that_heads_do_not_divide_is_refused():
    with pytest.raises(ValueError, match="width of 30 can't be divided into 4 heads"):
        Attention(30, 4)


# Generation


def scores_of(model):
    """Log-probabilities of the token after a whole prefix, read alone."""
    return lambda tokens: logits_of(model, torch.tensor([tokens]))[0, -1].log_softmax(dim=-1)


def trimmed(tokens: list[int], start: int) -> list[int]:
    """Tokens up to the first end after the start; beams and batches are filled up past it."""
    end = next((i for i, token in enumerate(tokens) if i >= start and token == END_ID), len(tokens) - 1)
    return tokens[: end + 1]


@pytest.fixture(scope="module")
def cases(randomise) -> list[tuple[EncoderStoryteller, list[int]]]:
    """Models and prefixes; some end by the end token, others at the limit, as the test below sees to."""
    small = EncoderConfig(**SHAPE | {"vocab_size": 7})
    return [(randomise(EncoderStoryteller(small), seed, gain=4), [1, 4, 5, 6][: 2 + seed % 3]) for seed in range(12)]


@pytest.mark.parametrize("num_beams", [1, 3])
def test_generation_agrees_with_a_plain_loop(cases, greedy, beam, num_beams):
    found = []
    for model, prefix in cases:
        expected = (greedy if num_beams == 1 else beam)(scores_of(model), prefix, 10)
        made = model.generate(torch.tensor([prefix]), max_new_tokens=10, num_beams=num_beams, do_sample=False)
        assert trimmed(made[0].tolist(), len(prefix)) == expected
        found.append(expected)
    ended = {tokens[-1] == END_ID for tokens in found}
    assert ended == {True, False}, "the cases should end in both ways"


def test_a_batch_padded_on_the_left_generates_what_each_generates_alone(model):
    rows = prefixes(7, 3, 5)
    ids, mask = padded(rows, "left", 7)
    together = model.generate(ids, attention_mask=mask, max_new_tokens=8, do_sample=False)
    for row, made in zip(rows, together, strict=True):
        alone = model.generate(row[None], max_new_tokens=8, do_sample=False)
        assert trimmed(made[7:].tolist(), 0) == trimmed(alone[0, len(row) :].tolist(), 0)


def lengths_read(model, prefix: torch.Tensor, **options) -> list[int]:
    """How many tokens each call of the model saw while it wrote four more."""
    lengths = []
    watch = model.register_forward_pre_hook(
        lambda _, args, kwargs: lengths.append(kwargs["input_ids"].shape[1]), with_kwargs=True
    )
    try:
        model.generate(prefix[None], min_new_tokens=4, do_sample=False, **options)
    finally:
        watch.remove()
    return lengths


@pytest.mark.parametrize("generation_config", ["kept", "lost"])
def test_generation_reads_the_whole_prefix_again(model, tmp_path, generation_config):
    """A cache would leave it with the last token alone (and nothing would complain)."""
    (prefix,) = prefixes(5)
    model.save_pretrained(tmp_path)
    if generation_config == "lost":  # the contract's list of a checkpoint's files doesn't hold it
        (tmp_path / "generation_config.json").unlink()
    for some in (model, AutoModel.from_pretrained(tmp_path)):
        assert lengths_read(some, prefix, max_new_tokens=4) == [5, 6, 7, 8]
        assert lengths_read(some, prefix, max_new_tokens=4, num_beams=3) == [5, 6, 7, 8]
        settings = GenerationConfig(max_new_tokens=4, eos_token_id=END_ID, pad_token_id=PAD_ID)
        assert lengths_read(some, prefix, generation_config=settings) == [5, 6, 7, 8]


# Saving and size


def test_a_saved_model_opens_as_it_was(model, tmp_path):
    model.save_pretrained(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"config.json", "generation_config.json", "model.safetensors"}
    config = AutoConfig.from_pretrained(tmp_path)
    assert isinstance(config, EncoderConfig)
    assert {name: getattr(config, name) for name in SHAPE} == SHAPE
    assert (config.pad_token_id, config.bos_token_id, config.eos_token_id) == (PAD_ID, START_ID, END_ID)
    opened, report = AutoModel.from_pretrained(tmp_path, output_loading_info=True)
    assert isinstance(opened, EncoderStoryteller)
    assert not report["missing_keys"] and not report["unexpected_keys"] and not report["mismatched_keys"]
    assert opened.head.weight is opened.tokens.weight
    assert not opened.training
    assert opened.state_dict().keys() == model.state_dict().keys()
    for name, weight in model.state_dict().items():
        assert torch.equal(opened.state_dict()[name], weight), name
    ids, mask = padded(prefixes(7, 3), "right", 9)
    assert torch.equal(logits_of(opened, ids, mask), logits_of(model, ids, mask))


def test_the_default_model_has_2_to_8_million_parameters():
    model = EncoderStoryteller(EncoderConfig())
    assert 2e6 <= model.num_parameters() <= 8e6
    assert model.head.weight is model.tokens.weight
