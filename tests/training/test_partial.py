"""Trained tensors over a frozen base: exactly what was trained comes back, and on no other base."""

import hashlib
import json
import os
import shutil

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel

from storylab.errors import StoryLabError
from storylab.training.base import Base, read_base, weights_hash
from storylab.training.freezing import freeze
from storylab.training.partial import lay_over, save_trained

TOKENS = torch.arange(24).view(2, 12)


def new_model(seed: int) -> GPT2LMHeadModel:
    torch.manual_seed(seed)
    shape = {"vocab_size": 30, "n_layer": 3, "n_embd": 16, "n_head": 2, "n_positions": 16, "initializer_range": 0.3}
    return GPT2LMHeadModel(GPT2Config(bos_token_id=1, eos_token_id=2, **shape)).eval()


@torch.no_grad()
def logits(model) -> torch.Tensor:
    return model(TOKENS).logits


def sha256(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    """A folder with the bases `one` and `two`, of one shape and with other weights."""
    folder = tmp_path_factory.mktemp("bases")
    for seed, name in enumerate(("one", "two")):
        new_model(seed).save_pretrained(folder / name)
    return folder


@pytest.fixture
def base(bases, tmp_path):
    """A copy of base `one`, to damage at will."""
    return shutil.copytree(bases / "one", tmp_path / "one")


def opened(folder) -> GPT2LMHeadModel:
    return GPT2LMHeadModel.from_pretrained(folder).eval()


def finetuned(folder, what: str = "embeddings and the first 1 layer") -> tuple[GPT2LMHeadModel, list[str]]:
    """The base with every parameter changed that isn't frozen, and the names of those."""
    model = opened(folder)
    freeze(model, what)
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    draw = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name in names:
            parameter = model.get_parameter(name)
            parameter += 0.2 * torch.randn(parameter.shape, generator=draw)
    return model.eval(), names


def named(model, names) -> dict[str, torch.Tensor]:
    return {name: model.get_parameter(name) for name in names}


@pytest.fixture
def saved(base, tmp_path):
    """The folder `tuned`, with what was trained on the base."""
    folder = tmp_path / "tuned"
    folder.mkdir()
    model, names = finetuned(base)
    save_trained(named(model, names), "the-base", base, folder)
    return folder


# There and back


@pytest.mark.parametrize("what", ["embeddings and the first 1 layer", "the first 2 layers", "embeddings"])
def test_laid_over_its_base_it_is_the_finetuned_model_to_the_last_bit(base, tmp_path, what):
    model, names = finetuned(base, what)
    save_trained(named(model, names), "the-base", base, tmp_path)
    laid = lay_over(opened(base), base, tmp_path)
    assert torch.equal(logits(laid), logits(model))
    assert (logits(laid) - logits(opened(base))).abs().max() > 0.1
    # With the embeddings trained, the head that shares them is trained too.
    assert torch.equal(laid.lm_head.weight, model.lm_head.weight)


def test_only_what_was_trained_is_stored_and_base_json_says_on_what_it_belongs(base, saved):
    model, names = finetuned(base)
    assert {path.name for path in saved.iterdir()} == {"trained.safetensors", "base.json"}
    tensors = load_file(saved / "trained.safetensors")
    assert set(tensors) == set(names) and len(names) == 2 * 12 + 2  # two layers and the last norm
    assert all(torch.equal(tensor, model.get_parameter(name)) for name, tensor in tensors.items())
    with safe_open(saved / "trained.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}
    told = json.loads((saved / "base.json").read_text(encoding="utf-8"))
    expected = {"name": "the-base", "sha256": sha256(base / "model.safetensors"), "tensors": sorted(names)}
    assert told == expected
    assert read_base(saved) == Base(**expected)


def test_a_folder_that_stands_on_its_own_has_no_base(base):
    assert read_base(base) is None
    with pytest.raises(StoryLabError, match=r"one/base\.json is missing"):
        lay_over(opened(base), base, base)


@pytest.mark.parametrize(
    ("stored", "opened_in"), [(torch.bfloat16, torch.float32), (torch.float32, torch.bfloat16)], ids=str
)
def test_either_side_may_be_of_another_precision(base, tmp_path, stored, opened_in):
    model, names = finetuned(base)
    save_trained(named(model.to(stored), names), "the-base", base, tmp_path)
    assert {tensor.dtype for tensor in load_file(tmp_path / "trained.safetensors").values()} == {stored}
    under = opened(base).to(opened_in)
    laid = lay_over(opened(base).to(opened_in), base, tmp_path)
    for name, parameter in laid.named_parameters():
        expected = (model if name in names else under).get_parameter(name)
        torch.testing.assert_close(parameter, expected.to(opened_in), atol=0, rtol=0)  # the kind of number too


MATRIX = "transformer.h.1.attn.c_attn.weight"


def factors(base, rank: int = 2) -> dict[str, torch.Tensor]:
    """A low-rank addition to one matrix of the base."""
    rows, columns = opened(base).get_parameter(MATRIX).shape
    draw = torch.Generator().manual_seed(3)
    left, right = torch.randn(rows, rank, generator=draw), torch.randn(rank, columns, generator=draw)
    return {f"{MATRIX}.lora_b": left.to(torch.bfloat16), f"{MATRIX}.lora_a": right.to(torch.bfloat16)}


def test_a_low_rank_addition_is_stored_as_its_factors_and_added(base, tmp_path):
    pair = factors(base)
    norm = {"transformer.ln_f.weight": torch.full((opened(base).config.n_embd,), 2.0)}
    save_trained(pair | norm, "the-base", base, tmp_path)
    laid = lay_over(opened(base), base, tmp_path)
    change = pair[f"{MATRIX}.lora_b"].float() @ pair[f"{MATRIX}.lora_a"].float()
    assert torch.equal(laid.get_parameter(MATRIX), opened(base).get_parameter(MATRIX) + change)
    assert torch.equal(laid.get_parameter("transformer.ln_f.weight"), norm["transformer.ln_f.weight"])
    assert read_base(tmp_path).tensors == sorted(pair | norm)


@pytest.mark.parametrize("damage", ["no left", "no right", "ranks apart", "another shape", "nobody's"])
def test_factors_that_do_not_fit_are_refused(base, tmp_path, damage):
    pair = factors(base)
    if damage.startswith("no "):
        del pair[f"{MATRIX}.lora_{'b' if damage == 'no left' else 'a'}"]
    elif damage == "ranks apart":
        pair[f"{MATRIX}.lora_a"] = pair[f"{MATRIX}.lora_a"][:1]
    elif damage == "another shape":
        pair[f"{MATRIX}.lora_b"] = pair[f"{MATRIX}.lora_b"][1:]
    else:
        pair = {name.replace("c_attn", "c_more"): factor for name, factor in pair.items()}
    folder = tmp_path / "tuned"
    folder.mkdir()
    save_trained(pair, "the-base", base, folder)
    assert "does not fit" in refusal(base, folder)


# Another base


def refusal(base, folder) -> str:
    """The one line that says why the tensors in a folder can't be laid over a base."""
    with pytest.raises(StoryLabError) as refused:
        lay_over(opened(base), base, folder)
    message = str(refused.value)
    assert message.startswith("tuned") and "\n" not in message
    return message


def test_another_base_is_refused_with_both_hashes(bases, base, saved):
    message = refusal(bases / "two", saved)
    assert "the-base" in message
    assert sha256(base / "model.safetensors") in message and sha256(bases / "two" / "model.safetensors") in message


def test_a_base_that_has_changed_in_its_place_is_another(bases, base, saved):
    weights = base / "model.safetensors"
    before = weights_hash(base)
    about = weights.stat()
    shutil.copyfile(bases / "two" / "model.safetensors", weights)  # as long as the old one
    os.utime(weights, ns=(about.st_atime_ns, about.st_mtime_ns + 1_000_000))
    assert weights_hash(base) == sha256(weights) != before
    assert before in refusal(base, saved)


# Damage


def store(saved, tensors: dict[str, torch.Tensor]) -> None:
    """Write a folder's tensors anew."""
    save_file(tensors, saved / "trained.safetensors", metadata={"format": "pt"})


def declare(saved, **about) -> None:
    """Change what a folder's base.json says."""
    told = json.loads((saved / "base.json").read_text(encoding="utf-8"))
    (saved / "base.json").write_text(json.dumps(told | about), encoding="utf-8")


LAST = "transformer.h.2.mlp.c_fc.weight"
EXTRA = "transformer.h.2.mlp.extra.weight"


@pytest.mark.parametrize("how", ["missing", "extra", "misshapen", "turned", "foreign", "renamed"])
def test_tensors_that_are_not_those_that_were_saved_are_refused_by_name(base, saved, how):
    tensors = load_file(saved / "trained.safetensors")
    if how == "missing":
        store(saved, {name: tensor for name, tensor in tensors.items() if name != LAST})
    elif how == "extra":  # one that the base has, but that was not trained
        store(saved, tensors | {"transformer.wte.weight": torch.zeros(30, 16)})
    elif how == "misshapen":
        store(saved, tensors | {LAST: torch.zeros(16, 32)})
    elif how == "turned":
        store(saved, tensors | {LAST: tensors[LAST].T.contiguous()})
    else:  # one that base.json names, but that the base has not
        if how == "renamed":
            del tensors[LAST]
        store(saved, tensors | {EXTRA: torch.zeros(16, 64)})
        declare(saved, tensors=[*tensors, EXTRA])
    message = refusal(base, saved)
    assert "trained.safetensors does not fit" in message
    named = {"extra": "transformer.wte.weight", "foreign": EXTRA, "renamed": EXTRA}
    assert named.get(how, LAST) in message


@pytest.mark.parametrize("how", ["gone", "empty", "cut short", "text", "a folder"])
def test_a_damaged_file_of_tensors_is_refused(base, saved, how):
    path = saved / "trained.safetensors"
    whole = path.read_bytes()
    path.unlink()
    if how == "a folder":
        path.mkdir()
    elif how != "gone":
        path.write_bytes({"empty": b"", "cut short": whole[: len(whole) // 2], "text": b"no tensors " * 9}[how])
    assert "trained.safetensors can't be read" in refusal(base, saved)


DAMAGED = {
    "empty": b"",
    "cut short": b'{"name": "the-base", "sha',
    "not UTF-8": b'{"name": "\xff\xfe"}',
    "deep": b"[" * 100_000,
    "a list": b"[]",
    "a number": b"5",
    "null": b"null",
    "without fields": b"{}",
}


@pytest.mark.parametrize("how", DAMAGED)
def test_a_damaged_base_json_is_refused(base, saved, how):
    (saved / "base.json").write_bytes(DAMAGED[how])
    assert refusal(base, saved) == "tuned/base.json can't be read"
    with pytest.raises(StoryLabError, match=r"^tuned/base\.json can't be read$"):
        read_base(saved)


@pytest.mark.parametrize(
    "about",
    [
        {"name": None},
        {"name": ["the-base"]},
        {"sha256": None},
        {"sha256": 12},
        {"tensors": []},
        {"tensors": None},
        {"tensors": 5},
        {"tensors": [1]},
        {"tensors": [LAST, None]},
        {"tensors": LAST},
        {"tensors": {LAST: 1}},
        {"colour": "blue"},
    ],
    ids=str,
)
def test_a_base_json_with_a_field_of_a_wrong_kind_is_refused(saved, about):
    declare(saved, **about)
    with pytest.raises(StoryLabError, match=r"^tuned/base\.json can't be read$"):
        read_base(saved)


@pytest.mark.parametrize("field", ["name", "sha256", "tensors"])
def test_a_base_json_without_a_field_is_refused(saved, field):
    told = json.loads((saved / "base.json").read_text(encoding="utf-8"))
    del told[field]
    (saved / "base.json").write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(StoryLabError, match=r"^tuned/base\.json can't be read$"):
        read_base(saved)


# What a base is known by


def test_a_base_is_known_by_its_own_file_or_by_the_one_that_it_was_made_from(base, tmp_path):
    assert weights_hash(base) == sha256(base / "model.safetensors")
    (base / "source.json").write_text(json.dumps({"file": "it.gguf", "sha256": "ab" * 32}), encoding="utf-8")
    assert weights_hash(base) == "ab" * 32
    model, names = finetuned(base)
    save_trained(named(model, names), "the-base", base, tmp_path)
    assert read_base(tmp_path).sha256 == "ab" * 32
    # The same source converted again, into a file that is not the same byte by byte, is the same base.
    opened(base).save_pretrained(base, max_shard_size="5KB")
    assert torch.equal(logits(lay_over(opened(base), base, tmp_path)), logits(model))


def test_a_hub_cache_of_links_is_followed(base, tmp_path):
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "snapshot" / "model.safetensors").symlink_to(base / "model.safetensors")
    assert weights_hash(tmp_path / "snapshot") == weights_hash(base)


@pytest.mark.parametrize(
    "source",
    ["", "no JSON", "[]", '"ab"', "{}", '{"sha256": null}', '{"sha256": 5}', '{"sha256": ["ab"]}'],
)
def test_a_source_json_that_names_no_hash_is_refused(base, source):
    (base / "source.json").write_text(source, encoding="utf-8")
    with pytest.raises(StoryLabError, match=r"^the weights in one can't be read") as refused:
        weights_hash(base)
    assert "\n" not in str(refused.value)


def test_a_base_without_weights_is_refused(base, saved):
    model = opened(base)
    (base / "model.safetensors").unlink()
    for act in (lambda: weights_hash(base), lambda: lay_over(model, base, saved)):
        with pytest.raises(StoryLabError, match=r"^the weights in one can't be read: No such file"):
            act()
