import math

import pytest
import torch

from storylab.models import EncoderConfig, EncoderStoryteller, Seq2SeqConfig, Seq2SeqStoryteller
from storylab.training.optimizers import make_optimizers, rate, set_rate


@pytest.fixture(params=["seq2seq", "encoder"])
def model(request):
    shape = {"vocab_size": 300, "width": 16, "heads": 2, "inner": 32, "positions": 24}
    if request.param == "encoder":
        return EncoderStoryteller(EncoderConfig(layers=2, **shape))
    return Seq2SeqStoryteller(Seq2SeqConfig(encoder_layers=1, decoder_layers=2, **shape))


def names(model, parameters) -> set[str]:
    of = {id(parameter): name for name, parameter in model.named_parameters()}
    return {of[id(parameter)] for parameter in parameters}


def is_matrix_of_a_layer(name: str) -> bool:
    """By its name alone: the maps of attention and feed-forward."""
    return "layers." in name and "norm" not in name


def test_warm_up_is_linear(make_recipe):
    recipe = make_recipe("seq2seq", warmup=4)
    assert [rate(step, 10, recipe) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]


def test_cosine_by_hand(make_recipe):
    recipe = make_recipe("seq2seq", warmup=4, schedule="cosine")
    # 8 steps after warm-up: (1 + cos(pi k / 8)) / 2 for k = 0, 2, 4, 6, 7; cos(pi / 4) = sqrt(1 / 2).
    expected = {
        4: 1.0,
        6: (1 + math.sqrt(0.5)) / 2,
        8: 0.5,
        10: (1 - math.sqrt(0.5)) / 2,
        11: 0.03806023374435663,
    }
    assert {step: rate(step, 12, recipe) for step in expected} == pytest.approx(expected)


def test_warm_up_stable_decay_by_hand(make_recipe):
    recipe = make_recipe("seq2seq", warmup=2, schedule="wsd", decay=0.4)
    # 10 steps: 2 of warm-up, stable, then the last 4 from 1 down to the quarter that stands before zero.
    expected = [0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25]
    assert [rate(step, 10, recipe) for step in range(10)] == pytest.approx(expected)


def test_edges_of_the_schedules(make_recipe):
    assert rate(0, 10, make_recipe("seq2seq", warmup=0, schedule="cosine")) == 1
    assert rate(0, 1, make_recipe("seq2seq", warmup=0, schedule="wsd")) == 1
    never = make_recipe("seq2seq", warmup=0, schedule="wsd", decay=0.0)
    assert [rate(step, 5, never) for step in range(5)] == [1] * 5
    whole = make_recipe("seq2seq", warmup=0, schedule="wsd", decay=1.0)
    assert [rate(step, 4, whole) for step in range(4)] == [1, 0.75, 0.5, 0.25]
    short = make_recipe("seq2seq", warmup=100)  # a training that ends while it warms up
    assert rate(9, 10, short) == pytest.approx(0.1)


@pytest.mark.parametrize("schedule", ["cosine", "wsd"])
def test_a_rate_is_never_negative_nor_above_its_peak(make_recipe, schedule):
    recipe = make_recipe("seq2seq", warmup=7, schedule=schedule)
    for steps in (1, 5, 8, 50):
        assert all(0 <= rate(step, steps, recipe) <= 1 for step in range(steps))


def test_every_rate_is_a_share_of_its_own_peak(model, make_recipe):
    recipe = make_recipe("seq2seq", optimizer="muon", learning_rate=3e-3, matrix_learning_rate=0.02)
    muon, adamw = optimizers = make_optimizers(model, recipe)
    for share in (0.5, 0.1, 1.0):  # up again: a share of the peak, not of the rate before
        set_rate(optimizers, share)
        assert [group["lr"] for group in muon.param_groups] == pytest.approx([0.02 * share])
        assert [group["lr"] for group in adamw.param_groups] == pytest.approx([3e-3 * share])


def test_muon_gets_the_matrices_of_the_layers_and_nothing_else(model, make_recipe):
    recipe = make_recipe("seq2seq", optimizer="muon", weight_decay=0.03, momentum=0.9)
    muon, adamw = make_optimizers(model, recipe)
    assert isinstance(muon, torch.optim.Muon) and isinstance(adamw, torch.optim.AdamW)
    (matrices,), (rest,) = muon.param_groups, adamw.param_groups
    every = {name for name, _ in model.named_parameters()}
    expected = {name for name in every if is_matrix_of_a_layer(name)}
    assert names(model, matrices["params"]) == expected
    assert names(model, rest["params"]) == every - expected
    assert len(matrices["params"]) + len(rest["params"]) == len(every)  # none twice, the tied head among them
    assert (matrices["weight_decay"], matrices["momentum"]) == (0.03, 0.9)
    assert rest["weight_decay"] == 0


def test_adamw_alone_spares_embeddings_and_norms_the_decay(model, make_recipe):
    (adamw,) = make_optimizers(model, make_recipe("seq2seq", optimizer="adamw", weight_decay=0.03))
    every = {name for name, _ in model.named_parameters()}
    decayed = {group["weight_decay"]: names(model, group["params"]) for group in adamw.param_groups}
    assert decayed[0.03] == {name for name in every if is_matrix_of_a_layer(name)}
    assert decayed[0.0] == every - decayed[0.03]


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_frozen_parameters_are_left_out(model, make_recipe, optimizer):
    recipe = make_recipe("seq2seq", optimizer=optimizer)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("norm" in name)
    taken = [p for o in make_optimizers(model, recipe) for group in o.param_groups for p in group["params"]]
    assert names(model, taken) == {name for name, _ in model.named_parameters() if "norm" in name}
