"""Sampling: exact, reproducible, and the library's transformations are what their papers say."""

import math
import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from storylab.decoding.sampling import RandomStream, TokenChooser, logits_processors
from storylab.decoding.settings import Settings
from storylab.errors import StoryLabError

PURE = Settings(temperature=1, top_p=1)
NO_CONTEXT = torch.zeros((1, 0), dtype=torch.long)


def some_logits(size: int = 200, seed: int = 0) -> torch.Tensor:
    return 3 * torch.randn(size, generator=torch.Generator().manual_seed(seed))


def test_the_noise_is_that_of_the_formula():
    """-log(-log(u)) of the uniform numbers that the same generator gives."""
    uniform = torch.rand(1000, generator=torch.Generator().manual_seed(7), dtype=torch.float64).numpy()
    noise = RandomStream(7).gumbel(1000)
    assert noise.dtype == torch.float32 and noise.shape == (1000,)
    np.testing.assert_allclose(noise.numpy(), -np.log(-np.log(uniform)), rtol=1e-6, atol=1e-6)


def test_the_noise_has_the_moments_of_a_gumbel_distribution():
    """Mean: Euler's constant, 0.5772. Variance: pi squared over 6, 1.6449. Bounds: five standard errors."""
    noise = RandomStream(1).gumbel(1_000_000).double()
    assert abs(noise.mean() - 0.5772157) < 5 * math.sqrt(1.6449 / 1e6)
    # The fourth central moment is 5.4 variances squared, so the variance of the variance is 4.4 of them.
    assert abs(noise.var() - math.pi**2 / 6) < 5 * math.sqrt(4.4 * 1.6449**2 / 1e6)


@pytest.mark.parametrize("uniform", [0.0, 2.0**-53, 1 - 2.0**-53])
def test_the_noise_is_finite_at_both_ends(uniform, monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda size, **_: torch.full((size,), uniform, dtype=torch.float64))
    assert RandomStream(0).gumbel(3).isfinite().all()


def test_a_stream_neither_reads_nor_moves_the_global_random_state():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first = RandomStream(5).gumbel(50)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    assert torch.equal(RandomStream(5).gumbel(50), first)
    assert not torch.equal(RandomStream(6).gumbel(50), first)


def test_streams_side_by_side_draw_what_each_draws_alone():
    draws, streams = 50, 20
    alone = [torch.stack([stream.gumbel(300) for _ in range(draws)]) for stream in map(RandomStream, range(streams))]
    beside: list[list[torch.Tensor]] = [[] for _ in range(streams)]
    turn = threading.Barrier(streams)

    def draw(seed: int) -> None:
        stream = RandomStream(seed)
        for _ in range(draws):
            turn.wait()  # all draw at the same moment
            beside[seed].append(stream.gumbel(300))
            torch.rand(seed + 1)  # what another model might take from the global state

    threads = [threading.Thread(target=draw, args=(seed,)) for seed in range(streams)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in range(streams):
        assert torch.equal(torch.stack(beside[seed]), alone[seed])


def chi_square(settings: Settings, logits: torch.Tensor, expected: np.ndarray, draws: int = 20_000) -> float:
    chooser = TokenChooser(settings, RandomStream(2024))
    tokens = [chooser.choose(NO_CONTEXT, logits).token for _ in range(draws)]
    counts = np.bincount(tokens, minlength=len(logits))
    assert counts[expected == 0].sum() == 0
    kept = expected > 0
    return float(((counts[kept] - draws * expected[kept]) ** 2 / (draws * expected[kept])).sum())


def test_draws_follow_the_softmax():
    logits = some_logits(12, seed=3) / 2
    expected = torch.softmax(logits.double(), 0).numpy()
    assert expected.min() * 20_000 > 5  # what a chi-square test needs
    assert chi_square(PURE, logits, expected) < 31.26  # the 99.9% quantile at 11 degrees of freedom


def test_draws_follow_the_transformed_distribution():
    logits = some_logits(12, seed=3) / 2
    expected = torch.softmax(logits.double() / 1.5, 0).numpy()
    expected[expected < np.sort(expected)[-6]] = 0  # the six likeliest stay
    expected /= expected.sum()
    settings = Settings(temperature=1.5, top_k=6, top_p=1)
    assert chi_square(settings, logits, expected) < 20.52  # the 99.9% quantile at 5 degrees of freedom


def test_top_k_never_leaves_the_k_likeliest():
    logits = some_logits()
    likeliest = set(logits.topk(5).indices.tolist())
    chooser = TokenChooser(Settings(temperature=5, top_k=5, top_p=1), RandomStream(0))
    assert {chooser.choose(NO_CONTEXT, logits).token for _ in range(2000)} == likeliest


def test_greedy_takes_the_likeliest_and_draws_nothing():
    logits, stream = some_logits(), RandomStream(0)
    chooser = TokenChooser(Settings(strategy="greedy", temperature=5, top_k=1), stream)
    choice = chooser.choose(NO_CONTEXT, logits)
    assert choice.token == int(logits.argmax())
    assert choice.log_probability == pytest.approx(float(logits.log_softmax(0).max()))
    assert torch.equal(stream.gumbel(9), RandomStream(0).gumbel(9))


def test_the_reported_probability_is_the_models_own():
    logits = some_logits()
    chooser = TokenChooser(Settings(temperature=0.3, top_k=3, repetition_penalty=2), RandomStream(0))
    for _ in range(20):
        choice = chooser.choose(torch.tensor([[1, 2, 3]]), logits)
        assert choice.log_probability == pytest.approx(float(logits.double().log_softmax(0)[choice.token]), abs=1e-5)


# Independent implementations, written from the papers, in numpy and float64.


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits[np.isfinite(logits)].max())
    return weights / weights.sum()


def keep(logits: np.ndarray, kept: np.ndarray) -> np.ndarray:
    return np.where(kept, logits, -np.inf)


def top_k(logits: np.ndarray, k: int) -> np.ndarray:
    return keep(logits, np.isin(np.arange(len(logits)), np.argsort(-logits)[:k]))


def top_p(logits: np.ndarray, p: float) -> np.ndarray:
    """Holtzman et al. 2020: the smallest set of likeliest tokens whose probabilities add up to p."""
    probabilities, kept, mass = softmax(logits), np.zeros(len(logits), bool), 0.0
    for token in np.argsort(-probabilities):
        kept[token] = True
        mass += probabilities[token]
        if mass >= p:
            break
    return keep(logits, kept)


def min_p(logits: np.ndarray, p: float) -> np.ndarray:
    """Nguyen et al. 2024: at least p times the probability of the likeliest."""
    probabilities = softmax(logits)
    return keep(logits, probabilities >= p * probabilities.max())


def typical(logits: np.ndarray, p: float) -> np.ndarray:
    """Meister et al. 2023: the smallest set of tokens nearest the entropy in surprise that adds up to p."""
    probabilities, kept, mass = softmax(logits), np.zeros(len(logits), bool), 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        surprise = -np.log(probabilities)
        entropy = np.nansum(probabilities * surprise)
    for token in np.argsort(np.abs(surprise - entropy)):
        kept[token] = True
        mass += probabilities[token]
        if mass >= p:
            break
    return keep(logits, kept)


OFF = {"temperature": 1, "top_p": 1}
TRANSFORMATIONS = {
    "temperature": (OFF | {"temperature": 0.7}, lambda x: x / 0.7),
    "top-k": (OFF | {"top_k": 7}, lambda x: top_k(x, 7)),
    "top-p": (OFF | {"top_p": 0.85}, lambda x: top_p(x, 0.85)),
    "min-p": (OFF | {"min_p": 0.1}, lambda x: min_p(x, 0.1)),
    "typical": (OFF | {"typical_p": 0.6}, lambda x: typical(x, 0.6)),
    "all in transformers' order": (
        {"temperature": 1.3, "top_k": 60, "top_p": 0.9, "min_p": 0.02, "typical_p": 0.8},
        lambda x: typical(min_p(top_p(top_k(x / 1.3, 60), 0.9), 0.02), 0.8),
    ),
}


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_the_transformations_agree_with_independent_ones(name):
    settings, reference = TRANSFORMATIONS[name]
    chooser = TokenChooser(Settings(**settings), RandomStream(0))
    for seed in range(20):
        logits = some_logits(seed=seed)
        transformed = chooser.transform(NO_CONTEXT, logits).exp().numpy()
        expected = softmax(reference(logits.double().numpy()))
        np.testing.assert_array_equal(transformed > 0, expected > 0)
        np.testing.assert_allclose(transformed, expected, atol=1e-6)


def test_the_processors_are_those_of_generate():
    """The same scores as transformers' own list, which `generate` builds for the same options."""
    from transformers import GPT2Config, GPT2LMHeadModel

    options = {"temperature": 0.8, "top_k": 50, "top_p": 0.9, "min_p": 0.01, "typical_p": 0.7}
    repetition = {"repetition_penalty": 1.3, "no_repeat_ngram_size": 2}
    model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=1, n_embd=8, vocab_size=200))
    config = model.generation_config
    config.update(do_sample=True, **options, **repetition)
    context = torch.tensor([[5, 6, 7, 5]])
    library = model._get_logits_processor(config, input_ids_seq_length=4)
    ours = logits_processors(Settings(**options, **repetition))
    assert [type(processor) for processor in ours] == [type(processor) for processor in library]
    logits = some_logits()[None]
    assert torch.equal(ours(context, logits), library(context, logits))


@pytest.mark.parametrize("strategy", ["greedy", "beam"])
def test_strategies_without_a_draw_heed_only_the_repetition_settings(strategy):
    settings = Settings(strategy=strategy, top_k=5, min_p=0.5, typical_p=0.5, repetition_penalty=2)
    assert [type(processor).__name__ for processor in logits_processors(settings)] == [
        "RepetitionPenaltyLogitsProcessor"
    ]
    assert list(logits_processors(Settings(strategy=strategy))) == []


def test_a_beam_search_does_not_choose_token_by_token():
    with pytest.raises(ValueError, match="beam"):
        TokenChooser(Settings(strategy="beam"), RandomStream(0))


def test_a_repeated_ngram_is_never_chosen():
    logits = torch.full((10,), -20.0)
    logits[7] = 20.0
    context = torch.tensor([[5, 6, 7, 1, 5, 6]])
    for strategy in ("greedy", "sample"):
        settings = Settings(strategy=strategy, no_repeat_ngram_size=3, top_p=1)
        assert TokenChooser(settings, RandomStream(0)).choose(context, logits).token != 7


def test_where_everything_is_forbidden_the_models_own_probabilities_stand():
    logits = torch.tensor([0.0, 3.0, 1.0])
    everything = torch.tensor([[0, 1, 2]])
    for options in ({}, {"top_p": 0.5}, {"typical_p": 0.5}, {"min_p": 0.9}, {"top_k": 1}):
        settings = Settings(**(OFF | options), no_repeat_ngram_size=1)
        chooser = TokenChooser(settings, RandomStream(0))
        assert torch.equal(chooser.transform(everything, logits), logits.log_softmax(0))
        assert math.isfinite(chooser.choose(everything, logits).log_probability)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("settings", [PURE, Settings(), Settings(strategy="greedy")], ids=["pure", "cut", "greedy"])
def test_logits_that_are_not_numbers_are_refused(settings, bad):
    logits = some_logits()
    logits[17] = bad
    with pytest.raises(StoryLabError, match="not all numbers"):
        TokenChooser(settings, RandomStream(0)).choose(NO_CONTEXT, logits)
    with pytest.raises(StoryLabError, match="not all numbers"):
        TokenChooser(settings, RandomStream(0)).choose(NO_CONTEXT, torch.full((9,), -math.inf))


@given(
    st.lists(st.floats(-60, 60, width=32) | st.just(-math.inf), min_size=2, max_size=30).filter(
        lambda logits: max(logits) > -math.inf
    ),
    st.builds(
        Settings,
        temperature=st.floats(0.05, 5),
        top_k=st.integers(0, 40),
        top_p=st.floats(1e-9, 1),
        min_p=st.floats(0, 1),
        typical_p=st.floats(1e-9, 1),
        repetition_penalty=st.floats(0.5, 5),
        no_repeat_ngram_size=st.integers(0, 3),
    ),
    st.integers(0, 2**32 - 1),
)
def test_a_forbidden_token_never_wins(logits, settings, seed):
    logits = torch.tensor(logits)
    context = torch.arange(len(logits))[None] % 3
    chooser = TokenChooser(settings, RandomStream(seed))
    allowed = chooser.transform(context, logits) > -math.inf
    assert allowed.any() and not (allowed & (logits == -math.inf)).any()
    for _ in range(5):
        choice = chooser.choose(context, logits)
        assert allowed[choice.token] and -math.inf < choice.log_probability <= 0


def test_half_precision_logits_are_taken_as_they_are():
    logits = some_logits().bfloat16()
    halved = TokenChooser(Settings(), RandomStream(3)).choose(NO_CONTEXT, logits)
    assert halved == TokenChooser(Settings(), RandomStream(3)).choose(NO_CONTEXT, logits.float())
    assert logits.dtype == torch.bfloat16
