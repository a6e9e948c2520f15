"""An engine computes what torch computes, for each text as if it were alone."""

import threading

import numpy as np
import pytest
import torch
from small_models import POSITIONS, START, VOCABULARY, gpt2, llama

from storylab.engines import rounding
from storylab.engines.choice import engine_for
from storylab.engines.eight_bits import BLOCK, WHOLE_ROW, quantise, round_matrices, rounded
from storylab.engines.encoder import graph_of
from storylab.errors import StoryLabError
from storylab.models import EncoderConfig, EncoderStoryteller

PROMPTS = [[1, 7, 9], [1, 50, 51, 52, 53, 54, 55, 56], [1, 200], [1, *range(20, 50)], [1, 8, 9], [1]]
TOLD = 80
"""More tokens than a cache has room for at first."""


def tell(engine, prompt: list[int], tokens: int = TOLD) -> tuple[list[int], np.ndarray]:
    """The tokens of a greedy telling and the logits from which each was chosen (tokens, vocabulary)."""
    texts, told, logits = engine.begin([prompt], START), [], []
    for _ in range(tokens):
        logits.append(texts.logits[0])
        told.append(int(logits[-1].argmax()))
        texts.advance(told[-1:])
    return told, np.stack(logits)


def company(engine) -> list[list[list[int]]]:
    """The prompts, those together that may share a session."""
    groups: dict[int, list[list[int]]] = {}
    for prompt in PROMPTS:
        groups.setdefault(engine.company(len(prompt)), []).append(prompt)
    return list(groups.values())


@pytest.mark.parametrize("prompt", PROMPTS[:4])
def test_logits_are_those_of_torch(small, prompt):
    told, logits = tell(engine_for(small.model, "onnx", "fp32"), prompt)
    for number in range(0, TOLD, 9):
        expected = small.expected(prompt, told[:number])
        np.testing.assert_allclose(logits[number], expected.numpy(), atol=2e-4, rtol=2e-4)


@pytest.mark.parametrize("dtype", ["fp32", "int8"])
def test_a_text_has_the_same_bits_in_any_company(small, dtype):
    engine = engine_for(small.model, "onnx", dtype)
    for prompts in company(engine):
        alone = [tell(engine, prompt) for prompt in prompts]
        going = list(range(len(prompts)))
        texts = engine.begin(prompts, START)
        for number in range(TOLD):
            for row, text in enumerate(going):
                assert np.array_equal(texts.logits[row], alone[text][1][number])
            if number in (3, 40) and len(going) > 1:  # one in front ends, then one behind
                rows = list(range(1, len(going))) if number == 3 else list(range(len(going) - 1))
                texts.keep(rows)
                going = [going[row] for row in rows]
            texts.advance([alone[text][0][number] for text in going])


@pytest.mark.parametrize("dtype", ["fp32", "int8"])
def test_a_text_goes_on_as_several(small, dtype):
    engine = engine_for(small.model, "onnx", dtype)
    prompts = max(company(engine), key=len)[:2]
    others = [[5, 6, 7], [8, 9, 10], [11, 12, 13]]
    texts, told = engine.begin(prompts, START), [[] for _ in prompts]
    for tokens in ([20, 30], [21, 31]):
        texts.advance(tokens[: len(prompts)])
        told = [[*one, token] for one, token in zip(told, tokens, strict=False)]
    last, origins = len(prompts) - 1, list(range(len(prompts)))
    for parents in ([0, last, 0], [2, 2, 1], [1, 0]):  # more than there are; out of order; fewer
        texts.keep(parents)
        tokens = others[len(told[0]) % 3][: len(parents)]
        told = [[*told[parent], token] for parent, token in zip(parents, tokens, strict=True)]
        origins = [origins[parent] for parent in parents]
        texts.advance(tokens)
    for row, (origin, tokens) in enumerate(zip(origins, told, strict=True)):
        alone = engine.begin([prompts[origin]], START)
        for token in tokens:
            alone.advance([token])
        assert np.array_equal(texts.logits[row], alone.logits[0])


def test_threads_that_tell_at_once_do_not_disturb_one_another(small):
    engine = engine_for(small.model, "onnx", "fp32")
    told: dict[int, list[int]] = {}

    def one(number: int) -> None:
        told[number] = tell(engine, PROMPTS[number % 3])[0]

    threads = [threading.Thread(target=one, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [told[number] for number in range(6)] == [tell(engine, PROMPTS[number % 3])[0] for number in range(6)]


def test_a_text_goes_on_to_the_last_position(small):
    prompt = PROMPTS[0]
    before = 1 if hasattr(small.model, "decoder") else len(prompt)
    told, logits = tell(engine_for(small.model, "onnx", "fp32"), prompt, POSITIONS - before)
    np.testing.assert_allclose(logits[-1], small.expected(prompt, told[:-1]).numpy(), atol=5e-4, rtol=5e-4)


@pytest.mark.parametrize("exact", [True, False])
def test_8_bits_are_near_torch_with_the_same_rounded_weights(small, exact, monkeypatch):
    if exact and not rounding.sums_are_exact():
        pytest.skip("whole rows overflow on this processor")
    monkeypatch.setattr(rounding, "sums_are_exact", lambda: exact)
    prompt, block = PROMPTS[1], rounding.block_of(small.model)
    assert block == (WHOLE_ROW if exact and small.model.config.model_type == "storylab-encoder" else BLOCK)
    engine = engine_for(small.model, "onnx", "int8")
    told, logits = tell(engine, prompt, 30)
    whole = torch.stack([small.expected(prompt, told[:number]) for number in range(30)])
    round_matrices(small.model, block)
    coarse = torch.stack([small.expected(prompt, told[:number]) for number in range(30)])
    assert not torch.allclose(coarse, whole, atol=1e-4)
    # What is left is the rounding of activations: the largest in 127 steps, so some hundredths of the spread.
    assert (torch.from_numpy(logits) - coarse).abs().mean() < 0.05 * whole.std()


@pytest.mark.parametrize("computed", ["right", "overflown", "nothing"])
def test_whole_rows_are_tried_first(computed, monkeypatch):
    class Tried:
        def __init__(self, graph):
            if computed == "nothing":
                raise RuntimeError("no such operator")

        def run(self, inputs, owner):
            (x,) = inputs.values()
            product = x @ np.ones((x.shape[1], 16), np.float32)
            return [product if computed == "right" else product.clip(max=x.shape[1] / 2)]

    monkeypatch.setattr(rounding, "Runner", Tried)
    assert rounding.sums_are_exact.__wrapped__() is (computed == "right")


@pytest.mark.parametrize("width", [96, 72])
def test_an_encoder_of_any_width_tells_with_the_rounded_embeddings(width):
    torch.manual_seed(0)
    shape = {"vocab_size": VOCABULARY, "width": width, "heads": 3, "layers": 1, "inner": 64, "positions": POSITIONS}
    model = EncoderStoryteller(EncoderConfig(**shape)).eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.15)
    engine = engine_for(model, "onnx", "int8")
    logits = torch.from_numpy(engine.begin([PROMPTS[1]], START).logits)
    round_matrices(model, rounding.block_of(model))
    with torch.inference_mode():
        expected = model(input_ids=torch.tensor([PROMPTS[1]])).logits[:, -1]
    assert (logits - expected).abs().mean() < 0.05 * expected.std()
    assert (b"GatherBlockQuantized" in graph_of(model, WHOLE_ROW).model()) == (width % BLOCK == 0)


@pytest.mark.parametrize("block", [BLOCK, WHOLE_ROW])
@pytest.mark.parametrize("width", [32, 64, 70])
def test_a_rounded_matrix_is_off_by_half_a_step_at_most(width, block):
    torch.manual_seed(0)
    matrix = torch.randn(5, width)
    matrix[2] = 0
    numbers, scales = quantise(matrix, block)
    together = block or width
    assert numbers.shape == (5, -(-width // together), together) and numbers.min() >= 1
    error = (rounded(matrix, block) - matrix).abs()
    step = torch.from_numpy(scales).repeat_interleave(together, dim=1)[:, :width]
    assert bool((error <= step / 2 + 1e-7).all())
    assert torch.equal(rounded(matrix, block)[2], torch.zeros(width))


def test_what_a_graph_does_not_compute_is_left_to_torch():
    for odd in (
        gpt2(activation_function="relu"),
        gpt2(scale_attn_by_inverse_layer_idx=True),
        llama(attention_bias=True),
    ):
        assert engine_for(odd, "auto", "fp32") is None
        with pytest.raises(StoryLabError, match=r"not there for a (gpt2|llama) of this shape"):
            engine_for(odd, "onnx", "fp32")


def test_the_dtype_and_the_device_decide():
    model = gpt2()
    assert engine_for(model, "torch", "fp32") is None
    assert engine_for(model, "auto", "bf16") is None
    with pytest.raises(StoryLabError, match="bf16"):
        engine_for(model, "onnx", "bf16")
    with pytest.raises(StoryLabError, match="not by the engine torch"):
        engine_for(model, "torch", "int8")
    with pytest.raises(StoryLabError, match="on the CPU, not on meta"):
        engine_for(model.to("meta"), "auto", "int8")
    assert model.config.vocab_size == VOCABULARY
