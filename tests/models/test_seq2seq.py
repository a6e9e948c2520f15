import pytest
import torch
from torch import nn
from torch.nn import functional as F
from transformers import AutoConfig, AutoModelForSeq2SeqLM
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

import storylab.models  # noqa: F401  makes the models known to the Auto classes
from storylab.models.layers import squared_relu
from storylab.models.seq2seq import Seq2SeqConfig, Seq2SeqStoryteller
from storylab.tokenizers import END_ID, PAD_ID, START_ID

VOCABULARY = 19
SHAPE = dict(
    vocab_size=VOCABULARY, width=32, heads=4, encoder_layers=2, decoder_layers=3, inner=48, positions=24, dropout=0.5
)


@pytest.fixture(scope="module")
def model(randomise) -> Seq2SeqStoryteller:
    return randomise(Seq2SeqStoryteller(Seq2SeqConfig(**SHAPE)))


def tokens(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(4, VOCABULARY, shape, generator=torch.Generator().manual_seed(seed))


def sources(*lengths: int) -> list[torch.Tensor]:
    return [torch.cat([tokens(length - 1, seed=length), torch.tensor([END_ID])]) for length in lengths]


def targets(batch: int, length: int) -> torch.Tensor:
    return torch.cat([torch.full((batch, 1), START_ID), tokens(batch, length - 1, seed=99)], dim=1)


def padded(rows: list[torch.Tensor], side: str, width: int, filler: int = PAD_ID) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows filled up to a width on one side, and their mask."""
    room = lambda row: (width - len(row), 0) if side == "left" else (0, width - len(row))  # noqa: E731
    ids = [F.pad(row, room(row), value=filler) for row in rows]
    return torch.stack(ids), torch.stack([F.pad(torch.ones_like(row), room(row)) for row in rows])


def logits_of(model, source, target, mask=None) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=source, attention_mask=mask, decoder_input_ids=target).logits


# Against PyTorch's own


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_outputs_are_those_of_torch_with_the_same_weights(model, copy_encoder_layer, copy_decoder_layer):
    config = model.config
    peer = nn.Transformer(
        config.width,
        config.heads,
        config.encoder_layers,
        config.decoder_layers,
        config.inner,
        activation=squared_relu,
        norm_first=True,
        bias=False,
        batch_first=True,
    ).eval()
    for ours, theirs in zip(model.encoder.layers, peer.encoder.layers, strict=True):
        copy_encoder_layer(ours, theirs)
    for ours, theirs in zip(model.decoder.layers, peer.decoder.layers, strict=True):
        copy_decoder_layer(ours, theirs)
    with torch.no_grad():
        peer.encoder.norm.weight.copy_(model.encoder.norm.weight)
        peer.decoder.norm.weight.copy_(model.decoder.norm.weight)
        source, mask = padded(sources(9, 2, 6), "right", 9)
        target = targets(3, 7)
        embedding = model.tokens.weight
        hidden = peer(
            embedding[source] + model.encoder.positions.weight[:9],
            embedding[target] + model.decoder.positions.weight[:7],
            tgt_mask=peer.generate_square_subsequent_mask(7),
            src_key_padding_mask=mask == 0,
            memory_key_padding_mask=mask == 0,
        )
        expected = hidden @ embedding.T
    assert expected.abs().max() > 0.5
    torch.testing.assert_close(logits_of(model, source, target, mask), expected, atol=1e-5, rtol=0)


# Padding and the future


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("further", [0, 1, 5])
@pytest.mark.parametrize("filler", [PAD_ID, 7])
def test_padding_the_source_further_changes_no_logits(model, side, further, filler):
    rows, target = sources(7, 3, 10), targets(3, 6)
    alone = torch.cat([logits_of(model, row[None], target[i : i + 1]) for i, row in enumerate(rows)])
    source, mask = padded(rows, side, 10 + further, filler)
    torch.testing.assert_close(logits_of(model, source, target, mask), alone, atol=1e-5, rtol=0)


def test_padding_the_target_further_changes_no_logits(model):
    (source,), target = sources(6), targets(1, 8)
    before = logits_of(model, source[None], target)
    after = logits_of(model, source[None], F.pad(target, (0, 5), value=PAD_ID))
    torch.testing.assert_close(after[:, :8], before, atol=1e-5, rtol=0)


def test_a_future_token_changes_no_earlier_logits(model):
    (source,), target = sources(6), targets(1, 10)
    before = logits_of(model, source[None], target)[0]
    for at in range(10):
        changed = target.clone()
        changed[0, at] = 4 + (changed[0, at] - 3) % (VOCABULARY - 4)
        after = logits_of(model, source[None], changed)[0]
        torch.testing.assert_close(after[:at], before[:at], atol=1e-6, rtol=0)
        assert ((after - before)[at:].abs().amax(dim=1) > 1e-4).all()


def test_every_source_token_counts_for_every_target_token(model):
    (source,), target = sources(6), targets(1, 5)
    before = logits_of(model, source[None], target)
    for at in range(6):
        changed = source.clone()
        changed[at] = 4 + (changed[at] - 3) % (VOCABULARY - 4)
        assert ((logits_of(model, changed[None], target) - before).abs().amax(dim=-1) > 1e-4).all()


def test_stories_of_a_batch_do_not_meet(model):
    source, mask = padded(sources(7, 4), "right", 7)
    target = targets(2, 6)
    before = logits_of(model, source, target, mask)
    source[1], target[1, 1:] = tokens(7, seed=5), tokens(5, seed=6)
    assert torch.equal(logits_of(model, source, target, mask)[0], before[0])


# The cache


@pytest.mark.parametrize("steps", [[1] * 9, [4, 1, 1, 3], [1, 8], [3, 3, 3], [9]])
@pytest.mark.parametrize("given", [True, False])
def test_cached_logits_are_those_of_the_whole_target(model, steps, given):
    """However many tokens each step adds, and whoever starts the cache."""
    source, mask = padded(sources(7, 3), "right", 8)
    target = targets(2, 9)
    expected = logits_of(model, source, target, mask)
    cache, encoded, at = EncoderDecoderCache(DynamicCache(), DynamicCache()) if given else None, None, 0
    with torch.no_grad():
        for step in steps:
            out = model(
                input_ids=None if encoded else source,
                encoder_outputs=encoded,
                attention_mask=mask,
                decoder_input_ids=target[:, at : at + step],
                past_key_values=cache,
                use_cache=True,
            )
            torch.testing.assert_close(out.logits, expected[:, at : at + step], atol=1e-5, rtol=0)
            cache, encoded, at = out.past_key_values, (out.encoder_last_hidden_state,), at + step
            assert cache.get_seq_length() == at
            assert cache.cross_attention_cache.get_seq_length() == source.shape[1]


def test_without_a_cache_none_is_returned(model):
    (source,) = sources(4)
    with torch.no_grad():
        out = model(input_ids=source[None], decoder_input_ids=targets(1, 3), use_cache=False)
    assert out.past_key_values is None


def test_the_source_is_read_once_and_then_from_the_cache(model):
    """Its keys and values are computed at the first token only."""
    calls = {"encoder": 0, "source keys": 0}
    hooks = [
        model.encoder.register_forward_hook(lambda *_: calls.update({"encoder": calls["encoder"] + 1})),
        model.decoder.layers[0].source_attention.key.register_forward_hook(
            lambda *_: calls.update({"source keys": calls["source keys"] + 1})
        ),
    ]
    try:
        model.generate(sources(6)[0][None], min_new_tokens=5, max_new_tokens=5, do_sample=False)
    finally:
        for hook in hooks:
            hook.remove()
    assert calls == {"encoder": 1, "source keys": 1}


@pytest.mark.parametrize("num_beams", [1, 3])
def test_cached_and_uncached_generation_give_equal_logits(model, num_beams):
    source, mask = padded(sources(7, 3, 5), "right", 7)
    made = [
        model.generate(
            source,
            attention_mask=mask,
            max_new_tokens=12,
            num_beams=num_beams,
            do_sample=False,
            use_cache=use_cache,
            return_dict_in_generate=True,
            output_logits=True,
        )
        for use_cache in (True, False)
    ]
    assert made[0].past_key_values is not None
    assert made[1].past_key_values is None
    assert torch.equal(made[0].sequences, made[1].sequences)
    assert len(made[0].logits) == len(made[1].logits)
    for cached, uncached in zip(made[0].logits, made[1].logits, strict=True):
        torch.testing.assert_close(cached, uncached, atol=1e-5, rtol=0)


# Generation


@pytest.fixture(scope="module")
def cases(randomise) -> list[tuple[Seq2SeqStoryteller, torch.Tensor]]:
    """Models and sources; some end by the end token, others at the limit, as the test below sees to."""
    small = Seq2SeqConfig(**SHAPE | {"vocab_size": 7})
    return [
        (randomise(Seq2SeqStoryteller(small), seed, gain=4), torch.tensor([4, 6, 5, 4, 2][seed % 3 :]))
        for seed in range(12)
    ]


def scores_of(model, source):
    """Log-probabilities of the token after a target that is read from its start each time."""
    return lambda written: logits_of(model, source[None], torch.tensor([written]))[0, -1].log_softmax(dim=-1)


def trimmed(written: list[int]) -> list[int]:
    """Tokens up to the first end; beams and batches are filled up past it."""
    return written[: written.index(END_ID) + 1] if END_ID in written else written


@pytest.mark.parametrize("use_cache", [True, False])
@pytest.mark.parametrize("num_beams", [1, 3])
def test_generation_agrees_with_a_plain_loop(cases, greedy, beam, num_beams, use_cache):
    found = []
    for model, source in cases:
        expected = (greedy if num_beams == 1 else beam)(scores_of(model, source), [START_ID], 10)
        made = model.generate(
            source[None], max_new_tokens=10, num_beams=num_beams, do_sample=False, use_cache=use_cache
        )
        assert trimmed(made[0].tolist()) == expected
        found.append(expected)
    assert {written[-1] == END_ID for written in found} == {True, False}, "the cases should end in both ways"


@pytest.mark.parametrize("num_beams", [1, 3])
def test_a_padded_batch_generates_what_each_generates_alone(model, num_beams):
    rows = sources(7, 3, 5)
    source, mask = padded(rows, "right", 9)
    options = {"max_new_tokens": 12, "num_beams": num_beams, "do_sample": False}
    together = model.generate(source, attention_mask=mask, **options)
    for row, made in zip(rows, together.tolist(), strict=True):
        assert trimmed(made) == trimmed(model.generate(row[None], **options)[0].tolist())


# Saving and size


def test_a_saved_model_opens_as_it_was(model, tmp_path):
    model.save_pretrained(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"config.json", "generation_config.json", "model.safetensors"}
    config = AutoConfig.from_pretrained(tmp_path)
    assert isinstance(config, Seq2SeqConfig)
    assert {name: getattr(config, name) for name in SHAPE} == SHAPE
    assert config.is_encoder_decoder
    special = (config.pad_token_id, config.bos_token_id, config.eos_token_id, config.decoder_start_token_id)
    assert special == (PAD_ID, START_ID, END_ID, START_ID)
    opened, report = AutoModelForSeq2SeqLM.from_pretrained(tmp_path, output_loading_info=True)
    assert isinstance(opened, Seq2SeqStoryteller)
    assert not report["missing_keys"] and not report["unexpected_keys"] and not report["mismatched_keys"]
    for tied in (opened.head, opened.encoder.tokens, opened.decoder.tokens):
        assert tied.weight is opened.tokens.weight
    assert not opened.training
    assert opened.state_dict().keys() == model.state_dict().keys()
    for name, weight in model.state_dict().items():
        assert torch.equal(opened.state_dict()[name], weight), name
    (source,), target = sources(6), targets(1, 5)
    assert torch.equal(logits_of(opened, source[None], target), logits_of(model, source[None], target))


@pytest.mark.parametrize("generation_config", ["kept", "lost"])
def test_an_opened_model_generates_what_the_saved_one_does(model, tmp_path, generation_config):
    model.save_pretrained(tmp_path)
    if generation_config == "lost":  # the contract's list of a checkpoint's files doesn't hold it
        (tmp_path / "generation_config.json").unlink()
    opened = AutoModelForSeq2SeqLM.from_pretrained(tmp_path)
    (source,) = sources(6)
    expected = model.generate(source[None], max_new_tokens=9, do_sample=False)
    assert expected[0, 0] == START_ID
    assert torch.equal(opened.generate(source[None], max_new_tokens=9, do_sample=False), expected)


def test_the_default_model_has_at_most_20_million_parameters():
    model = Seq2SeqStoryteller(Seq2SeqConfig())
    assert 2e6 <= model.num_parameters() <= 20e6
    assert model.head.weight is model.encoder.tokens.weight is model.decoder.tokens.weight is model.tokens.weight
