"""Attention as matrix products is torch's attention: the same values, the same gradients, wherever it steps in."""

import pytest
import torch
from torch.nn import functional as F

from storylab.training import attention
from storylab.training.attention import LONGEST, ProductAttention, product_attention

BATCH, HEADS, WIDTH = 2, 3, 8
MOST = LONGEST[torch.bfloat16]


def tensors(queries: int, keys: int, heads: int = HEADS, dtype=torch.float32) -> list[torch.Tensor]:
    """Queries, keys and values, strided as a model's are."""
    draw = torch.Generator().manual_seed(queries + keys)
    shapes = ((queries, HEADS), (keys, heads), (keys, heads))
    rows = [torch.randn(BATCH, length, heads, WIDTH, dtype=dtype, generator=draw) for length, heads in shapes]
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
        return product_attention(*about)

    monkeypatch.setattr(attention, "product_attention", noted)
    return calls


@pytest.mark.parametrize("length", [1, 2, 57, 64, 65, 255, 300, MOST])
def test_causal_attention_is_torchs(length):
    parts = tensors(length, length, dtype=torch.float64)
    with torch.no_grad():
        parts[0].mul_(3)  # sharp
    found = gradients(lambda *parts: product_attention(*parts, None, True, WIDTH**-0.5), parts)
    assert_same(found, gradients(lambda *parts: F.scaled_dot_product_attention(*parts, is_causal=True), parts))


@pytest.mark.parametrize("shape", [(BATCH, 1, 1, 20), (1, 1, 13, 20), (BATCH, HEADS, 13, 20), (1, HEADS, 1, 20)])
def test_attention_under_a_mask_is_torchs(shape):
    draw = torch.Generator().manual_seed(0)
    parts, mask = tensors(13, 20, dtype=torch.float64), torch.rand(shape, generator=draw) < 0.5
    mask[..., 4] = True  # every query sees something
    found = gradients(lambda *parts: product_attention(*parts, mask, False, WIDTH**-0.5), parts)
    assert_same(found, gradients(lambda *parts: F.scaled_dot_product_attention(*parts, attn_mask=mask), parts))


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
        (tensors(LONGEST[torch.float32] + 1, 4), {}),
        (tensors(4, LONGEST[torch.float32] + 1), {}),
        (tensors(MOST + 1, 4, dtype=torch.bfloat16), {}),
        (tensors(9, 9, dtype=torch.float64), {}),
        (tensors(9, 9), {"dropout_p": 0.5}),
        (tensors(9, 9), {"attn_mask": torch.linspace(0, 1, 81).view(9, 9)}),
        (tensors(9, 9), {"attn_mask": torch.arange(9)[:, None] > 0}),
        (tensors(4, 9), {"is_causal": True}),
        (tensors(0, 9), {}),
        (tensors(9, 9, heads=1), {}),
        ([part[0] for part in tensors(9, 9)], {}),
    ],
    ids=[
        "many queries",
        "many keys",
        "many in bf16",
        "fp64",
        "dropout",
        "a bias",
        "a query that sees nothing",
        "causal, not square",
        "empty",
        "heads that torch repeats",
        "no batch",
    ],
)
def test_what_products_are_not_made_for_stays_torchs(parts, about, seen):
    torch.manual_seed(0)
    expected = F.scaled_dot_product_attention(*parts, **about)
    torch.manual_seed(0)
    with ProductAttention():
        found = F.scaled_dot_product_attention(*parts, **about)
    assert not seen
    assert torch.equal(found, expected)


@pytest.mark.parametrize("about", [{"is_causal": True}, {"attn_mask": torch.arange(100)[None] % 3 > 0}])
def test_under_autocast_it_is_bf16_and_as_near_as_torchs(about, seen):
    exact = tensors(100, 100, dtype=torch.float64)
    parts = [part.detach().float().requires_grad_() for part in exact]

    def errors() -> list[float]:
        """How far what comes out and its gradients are from those in fp64, as a share of them."""
        with torch.autocast("cpu", torch.bfloat16):
            found = gradients(lambda *parts: F.scaled_dot_product_attention(*parts, **about), parts)
        assert found[0].dtype == torch.bfloat16
        expected = gradients(lambda *parts: F.scaled_dot_product_attention(*parts, **about), exact)
        return [float(((a.double() - b).norm() / b.norm()).detach()) for a, b in zip(found, expected, strict=True)]

    with ProductAttention():
        ours = errors()
    assert len(seen) == 1  # fp64 stays torch's
    assert all(0 < one < 3 * other for one, other in zip(ours, errors(), strict=True))


def test_a_second_derivative_is_refused():
    parts = tensors(5, 5)
    (first,) = torch.autograd.grad(
        product_attention(*parts, None, True, 1.0).square().sum(), parts[:1], create_graph=True
    )
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()
