"""What each story's n-grams find in all other stories: BLEU's statistics with all others as references, in arrays.

Each order of n-grams is sorted once, so that time grows as a sort does, and memory as the tokens.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np


class Matches(NamedTuple):
    """Statistics as sacreBLEU counts them: own length, closest length, matches and n-grams of each order."""

    rows: np.ndarray
    """Of each story against all others (stories, 2 + 2 orders)."""
    story: np.ndarray
    """The story of each pair in which the second makes a difference to the first (pairs,), in order."""
    other: np.ndarray
    """The other one (pairs,)."""
    without: np.ndarray
    """The story's row if the other one were not there (pairs, 2 + 2 orders)."""


class _Holders(NamedTuple):
    """Who holds the n-grams of an order: one entry for each n-gram and story, those of an n-gram together."""

    story: np.ndarray
    count: np.ndarray
    first: np.ndarray
    """The entries at which an n-gram begins."""


def best_matches(lines: Iterable[str], order: int) -> Matches:
    """Match each story with all others, and again without each other that makes a difference.

    Each n-gram counts at most as often as in the other story that holds it most often (Papineni et al. 2002), and
    the length is compared with the closest.

    Args:
        lines: At least two tokenised stories, blanks between tokens.
        order: The longest n-grams.
    """
    tokens, lengths = _numbered(lines)
    stories = len(lengths)
    closest, alone = _closest_lengths(lengths)
    orders = np.arange(order)
    rows = np.zeros((stories, 2 + 2 * order), dtype=np.int64)
    rows[:, 0], rows[:, 1] = lengths, closest
    rows[:, 2 + order :] = np.maximum(lengths[:, None] - orders, 0)
    pairs, places, losses = [alone.story * stories + alone.other], [np.zeros_like(alone.story)], [alone.story * 0]
    for place, holders in enumerate(_holders(tokens, lengths, order)):
        found, best, loss = _matches(holders, stories)
        rows[:, 2 + place] = np.bincount(holders.story, weights=found, minlength=stories)
        hurt = np.flatnonzero(loss)
        pairs.append(holders.story[hurt] * stories + best[hurt])
        places.append(np.full(len(hurt), place))
        losses.append(loss[hurt])
    known, which = np.unique(np.concatenate(pairs), return_inverse=True)
    story, other = np.divmod(known, stories)
    without = rows[story]
    np.subtract.at(without, (which, 2 + np.concatenate(places)), np.concatenate(losses))
    without[which[: len(alone.story)], 1] = alone.next_closest
    return Matches(rows, story, other, without)


def _numbered(lines: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
    """The tokens of all stories as numbers, one story behind the other, and the stories' lengths."""
    numbers: dict[str, int] = {}
    lengths: list[int] = []

    def each() -> Iterator[int]:
        for line in lines:
            tokens = line.split()
            lengths.append(len(tokens))
            for token in tokens:
                yield numbers.setdefault(token, len(numbers))

    tokens = np.fromiter(each(), dtype=np.int64)
    return tokens, np.array(lengths)


def _holders(tokens: np.ndarray, lengths: np.ndarray, order: int) -> Iterator[_Holders]:
    """The holders of the n-grams of each order, from single tokens on."""
    owner = np.repeat(np.arange(len(lengths)), lengths)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(tokens))  # tokens from here to the story's end
    names = np.zeros(len(tokens), dtype=np.int64)  # of the n-gram of the order before that begins here
    base = int(tokens.max(initial=0)) + 1
    for n in range(1, order + 1):
        begins = np.flatnonzero(left >= n)
        key = names[begins] * base + tokens[begins + n - 1]
        ordered = np.argsort(key, kind="stable")  # which leaves the stories of an n-gram in order
        key, begins = key[ordered], begins[ordered]
        new = np.ones(len(key), dtype=bool)
        new[1:] = key[1:] != key[:-1]
        names[begins] = np.cumsum(new) - 1
        story = owner[begins]
        entry = new.copy()
        entry[1:] |= story[1:] != story[:-1]
        at = np.flatnonzero(entry)
        yield _Holders(story[at], np.diff(at, append=len(key)), np.flatnonzero(new[at]))


def _matches(holders: _Holders, stories: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How often each entry's n-gram finds itself in another story, in which, and how much less without that one.

    The three that hold an n-gram most often are enough: one may be the story itself, the next gives the match, the
    last would if that one were not there.
    """
    if not len(holders.story):
        return holders.count, holders.story, holders.count
    entries = np.diff(holders.first, append=len(holders.story))
    code = holders.count * stories + holders.story  # greater where the count is; 0 is nobody
    left, most = code.copy(), []
    for _ in range(3):
        most.append(np.repeat(np.maximum.reduceat(left, holders.first), entries))
        left[left == most[-1]] = 0
    first, second, third = most
    best = np.where(code == first, second, first)
    next_best = np.where((code == first) | (code == second), third, second)
    found = np.minimum(holders.count, best // stories)
    return found, best % stories, found - np.minimum(holders.count, next_best // stories)


class _Alone(NamedTuple):
    """Stories whose closest length a single other story has: which one, and the closest without that."""

    story: np.ndarray
    other: np.ndarray
    next_closest: np.ndarray


def _closest_lengths(lengths: np.ndarray) -> tuple[np.ndarray, _Alone]:
    """The length of another story that is closest to each story's, the shorter one of two."""
    closest, alone = np.zeros_like(lengths), []
    counts = Counter(lengths.tolist())
    for own in counts:
        others = counts - Counter([own])
        nearest, *rest = sorted(others, key=lambda length: (abs(length - own), length))
        mine = np.flatnonzero(lengths == own)
        closest[mine] = nearest
        if others[nearest] == 1 and rest:
            holders = np.flatnonzero(lengths == nearest)
            alone += [(story, other, rest[0]) for story in mine for other in holders if other != story]
    return closest, _Alone(*np.array(alone, dtype=np.int64).reshape(-1, 3).T)
