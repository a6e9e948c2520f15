"""The cuts of most tellings, mute tokens, temperature and nucleus, without the library and without torch.

They come with every token told. The library compares or sorts the whole vocabulary for each; and torch shares even
small sums among threads, which wait for one another by the millisecond where other tellings keep the cores busy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def tempered(logits: np.ndarray, mute: Sequence[int], temperature: float) -> np.ndarray:
    """Logits (vocabulary) divided by the temperature, -inf for mute tokens."""
    scores = logits / np.float32(temperature)
    scores[mute] = -np.inf
    return scores


def nucleus(scores: np.ndarray, top_p: float) -> np.ndarray:
    """The likeliest tokens, as many as it takes for their probabilities to reach `top_p`, in ascending order.

    These are what the library's `TopPLogitsWarper` keeps, but where the sum meets the bound to the last bits.
    Tokens less likely than (1 - p) / vocabulary have less than 1 - p among them all, so all of them go, and only the
    others need to be sorted (Holtzman et al. 2020, "The curious case of neural text degeneration").

    Args:
        scores: Float32, some of them finite (vocabulary).
        top_p: Greater than 0, less than 1.
    """
    shares = np.exp(scores - scores.max())  # not yet divided by their sum
    total = shares.sum(dtype=np.float64)
    likely = np.flatnonzero(shares >= total * (1 - top_p) / len(shares))
    order = likely[np.argsort(-shares[likely], kind="stable")]
    reached = shares[order].cumsum(dtype=np.float64)  # by each token with those before it
    return np.sort(order[: 1 + np.searchsorted(reached, top_p * total)])


def log_sum_exp(scores: np.ndarray) -> float:
    """The logarithm of the sum of the exponentials of scores, at least one of them finite and none +inf."""
    greatest = scores.max()
    return float(greatest) + float(np.log(np.exp(scores - greatest).sum(dtype=np.float64)))
