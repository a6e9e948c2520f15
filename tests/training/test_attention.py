"""Attention as matrix products is torch's attention: the same values, the same gradients, wherever it steps in."""

import math

import pytest
import torch
from torch.nn import functional as F

from storylab.training import attention
from storylab.training.attention import LONGEST, ProductAttention, attend

BATCH, HEADS, WIDTH = 2, 3, 8


def tensors(queries: int, keys: int, heads: int = HEADS, dtype=torch.float64) -> list[torch.Tensor]:
    """Queries, keys and values, strided as a model's are."""
    torch.manual_seed(queries + keys)
    shapes = ((queries, HEADS), (keys, heads), (keys, heads))
    rows = [torch.randn(BATCH, length, heads, WIDTH, dtype=dtype) for length, heads in shapes]
    return [row.transpose(1, 2).requires_grad_() for row in rows]


def gradients(function, parts) -> list[torch.Tensor]:
    """What comes out, and the gradient of a weighted sum of it to each part."""
    mixed = function(*parts)
    weights = torch.linspace(-1, 1, mixed.numel(), dtype=mixed.dtype).view(mixed.shape)
    return [mixed, *torch.autograd.grad((mixed * weights).sum(), parts)]


def assert_same(found, expected, **tolerance):
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, **tolerance)


@pytest.fixture
def seen(monkeypatch) -> list:
    """What was computed by products so far."""
    calls = []

    def noted(*about):
        calls.append(about)
        return attend(*about)

    monkeypatch.setattr(attention, "attend", noted)
    return calls


@pytest.mark.parametrize("length", [1, 2, 57, 64, 65, 255, 300, LONGEST])
def test_causal_attention_is_torchs(length):
    parts = tensors(length, length)
    with torch.no_grad():
        parts[0].mul_(3)  # sharp
    found = gradients(lambda *parts: attend(*parts, None, True, WIDTH**-0.5), parts)
    assert_same(found, gradients(lambda *parts: F.scaled_dot_product_attention(*parts, is_causal=True), parts))


@pytest.mark.parametrize("shape", [(BATCH, 1, 1, 20), (1, 1, 13, 20), (BATCH, HEADS, 13, 20), (1, HEADS, 1, 20)])
def test_attention_under_a_mask_is_torchs(shape):
    parts, mask = tensors(13, 20), torch.rand(shape) < 0.5
    mask[..., 4] = True  # every query sees something
    found = gradients(lambda *parts: attend(*parts, mask, False, WIDTH**-0.5), parts)
    assert_same(found, gradients(lambda *parts: F.scaled_dot_product_attention(*parts, attn_mask=mask), parts))


def test_a_query_that_may_see_nothing_sees_all_alike():
    parts = tensors(4, 6)
    mask = torch.ones(1, 1, 4, 6, dtype=torch.bool)
    mask[:, :, 2] = False
    mixed = attend(*parts, mask, False, 1.0)
    torch.testing.assert_close(mixed[:, :, 2], parts[2].mean(2))


@pytest.mark.parametrize(
    "about",
    [
        {},
        {"is_causal": True},
        {"scale": 0.7},
        {"attn_mask": torch.arange(9)[None] < 5},
        {"attn_mask": torch.eye(9) > 0},
    ],
    ids=["plain", "causal", "scale", "keys of a mask", "square mask"],
)
def test_what_a_model_asks_of_torch_is_computed_by_products(about, seen):
    parts = tensors(9, 9)
    expected = gradients(lambda *parts: F.scaled_dot_product_attention(*parts, **about), parts)
    assert not seen
    with ProductAttention():
        found = gradients(lambda *parts: F.scaled_dot_product_attention(*parts, **about), parts)
    assert len(seen) == 1
    assert_same(found, expected)
    F.scaled_dot_product_attention(*parts, **about)
    assert len(seen) == 1


def test_heads_that_share_keys_get_their_gradients_together(seen):
    parts = tensors(9, 9, heads=1)
    shared = {"is_causal": True, "enable_gqa": True}
    expected = gradients(lambda *parts: F.scaled_dot_product_attention(*parts, **shared), parts)
    with ProductAttention():
        found = gradients(lambda *parts: F.scaled_dot_product_attention(*parts, **shared), parts)
    assert seen
    assert_same(found, expected)


@pytest.mark.parametrize(
    ("parts", "about"),
    [
        (tensors(LONGEST + 1, 4), {}),
        (tensors(4, LONGEST + 1), {}),
        (tensors(9, 9), {"dropout_p": 0.5}),
        (tensors(9, 9), {"attn_mask": torch.linspace(0, 1, 81, dtype=torch.float64).view(9, 9)}),
        (tensors(4, 9), {"is_causal": True}),
        ([part[0] for part in tensors(9, 9)], {}),
    ],
    ids=["many queries", "many keys", "dropout", "a bias", "causal, not square", "no batch"],
)
def test_what_products_are_not_made_for_stays_torchs(parts, about, seen):
    torch.manual_seed(0)
    expected = F.scaled_dot_product_attention(*parts, **about)
    torch.manual_seed(0)
    with ProductAttention():
        found = F.scaled_dot_product_attention(*parts, **about)
    assert not seen
    assert torch.equal(found, expected)


def test_under_autocast_it_is_bf16_and_near(seen):
    exact = tensors(100, 100)
    parts = [part.detach().float().requires_grad_() for part in exact]
    expected = gradients(lambda *parts: F.scaled_dot_product_attention(*parts, is_causal=True), exact)
    with ProductAttention(), torch.autocast("cpu", torch.bfloat16):
        found = gradients(lambda *parts: F.scaled_dot_product_attention(*parts, is_causal=True), parts)
    assert seen and found[0].dtype == torch.bfloat16
    for one, other in zip(found, expected, strict=True):
        assert (one.double() - other).norm() < 0.02 * other.norm()


def test_without_gradients_nothing_is_held():
    with torch.no_grad():
        assert attend(*tensors(5, 5), None, True, 1.0).grad_fn is None


def test_a_second_derivative_is_refused():
    parts = tensors(5, 5)
    (first,) = torch.autograd.grad(attend(*parts, None, True, 1.0).square().sum(), parts[:1], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


def test_scores_far_from_zero_are_no_trouble():
    query, key, value = tensors(70, 70, dtype=torch.float32)
    found = attend(query * 1e4, key, value, None, True, math.sqrt(WIDTH))
    assert found.isfinite().all()
