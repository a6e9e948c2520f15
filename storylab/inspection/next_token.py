"""The next token: the model's distribution, what each setting makes of it one after the other, and what is drawn.

The model is asked once for a text; another setting costs no more than arithmetic on a vector, so that bars can
follow a slider.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from storylab.decoding import Settings, check_opening, check_seed
from storylab.decoding.sampling import RandomStream, TokenChooser, named_processors
from storylab.errors import StoryLabError
from storylab.inspection.tokens import Alternative, entropy, read_ids
from storylab.tokenizers import Speller, encode, piece_text

if TYPE_CHECKING:
    from storylab.storytellers.storyteller import Storyteller

SHOWN = 12
"""Tokens whose probabilities are given."""
MODEL = "model"
"""The name of the first stage: nothing is changed yet."""
REMEMBERED = 32
"""Texts of a storyteller whose logits are kept; of more, the one that was asked for longest ago is forgotten."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The distribution of the next token after one transformation."""

    name: str
    """"model", or the name of the setting that was applied last."""
    kept: int
    """Tokens that may still be chosen."""
    entropy: float
    """In bits: 0 where one token is certain."""
    shown: tuple[Alternative, ...]
    """The same tokens in every stage: the likeliest, by the larger of their first and last probability."""

    def to_dict(self) -> dict[str, Any]:
        """The stage as JSON-ready data."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a model expects behind a text."""

    context: Tensor
    """The text as repetition settings see it, on the CPU (1, length)."""
    logits: Tensor
    """Of the next token, in float32 on the CPU (vocabulary,)."""
    told: int
    """Tokens of the text behind the opening."""


_remembered: WeakKeyDictionary[Storyteller, OrderedDict[tuple, Expectation]] = WeakKeyDictionary()
_guard = threading.Lock()


def expect(storyteller: Storyteller, opening: str, text: str) -> Expectation:
    """Ask a storyteller what comes next; asked again for a text that it was asked for lately, it is not run.

    Args:
        storyteller: Who tells.
        opening: The first sentence, 1 to 300 characters.
        text: What has been told after it, maybe nothing.

    Raises:
        StoryLabError: Opening or text is not what it must be, or too long for the model.
    """
    prompt, encoded = read_ids(storyteller, check_opening(opening), text)
    key = (prompt, *encoded.tokens.tolist())
    with _guard:
        known = _remembered.setdefault(storyteller, OrderedDict())
        if key in known:
            known.move_to_end(key)
            return known[key]
    session = storyteller.session([prompt])  # so that what is shown is what a telling draws from, to the last bit
    told = len(encoded.continuation)
    if told > session.room:
        raise StoryLabError(f"the text has {told} tokens, more than the {session.room} that fit behind the opening")
    for token in encoded.continuation.tolist():
        session.advance([token])
    found = Expectation(context=session.context.cpu(), logits=session.logits[0].float().cpu().clone(), told=told)
    with _guard:
        known[key] = found
        while len(known) > REMEMBERED:
            known.popitem(last=False)
    return found


def next_token(
    storyteller: Storyteller, opening: str, text: str, settings: Settings, shown: int = SHOWN
) -> list[Stage]:
    """What a storyteller would say next, before and after each setting that changes it.

    Where a setting leaves no token at all, the model's own distribution stands, as in a telling.

    Args:
        storyteller: Who tells.
        opening: The first sentence, 1 to 300 characters.
        text: What has been told after it, maybe nothing.
        settings: "greedy" is shown as what it is, all probability on one token; a beam search has no next token.
        shown: How many tokens to name.

    Raises:
        StoryLabError: Opening or text is not what it must be, or the strategy is "beam".
    """
    _refuse_beam(settings)
    expected = expect(storyteller, opening, text)
    scores = expected.logits[None]  # (1, vocabulary)
    steps = {MODEL: scores}
    for name, processor in named_processors(settings, storyteller.mute).items():
        scores = processor(expected.context, scores.clone())
        if name != "mute":  # no setting of anybody's
            steps[name] = scores if scores.isfinite().any() else expected.logits[None]
    if settings.strategy == "greedy":
        left = scores if scores.isfinite().any() else expected.logits[None]
        steps["greedy"] = torch.full_like(left, -torch.inf).scatter(1, left.argmax(dim=1, keepdim=True), 0.0)
    stages = {name: step[0].softmax(dim=-1) for name, step in steps.items()}
    kept = {name: int(step.isfinite().sum()) for name, step in steps.items()}  # a probability may round to 0
    first, *_, last = [stages[MODEL], *stages.values()]
    tokens = torch.maximum(first, last).topk(min(shown, len(first))).indices
    return [_stage(name, found, kept[name], tokens, storyteller) for name, found in stages.items()]


def draw_next(storyteller: Storyteller, opening: str, text: str, settings: Settings, seed: int) -> Alternative:
    """The token that the settings choose next, with the random numbers that a telling has in this place.

    Token after token, this therefore tells the story that `Storyteller.tell` tells of the seed, as long as the text
    is cut into the tokens that it was made of, which nearly every text is. A token that `with_token` refuses, such as
    a line break, would be drawn in this place for ever: it is passed over, and the others drawn from without it, with
    the same random numbers.

    Args:
        storyteller: Who tells.
        opening: As for `next_token`.
        text: As for `next_token`.
        settings: As for `next_token`.
        seed: 0 to 2**32 - 1.

    Returns:
        The token, with the probability that the model itself gives it.

    Raises:
        StoryLabError: As for `next_token`, the seed is not what it must be, or no token is left.
    """
    _refuse_beam(settings)
    expected, seed, passed = expect(storyteller, opening, text), check_seed(seed), []
    while True:
        stream = RandomStream(seed)
        if settings.strategy == "sample":
            for _ in range(expected.told):
                stream.gumbel(len(expected.logits))
        chooser = TokenChooser(settings, stream, [*storyteller.mute, *passed])
        choice = chooser.choose(expected.context, expected.logits)
        if choice.token == storyteller.kind.end or _added(storyteller, text, choice.token).strip():
            break
        if choice.token in passed:  # the settings forbid all others
            raise StoryLabError("the settings leave no token that is text by itself")
        passed.append(choice.token)
    probability = float(torch.tensor(choice.log_probability).exp())
    return Alternative(choice.token, piece_text(storyteller.tokenizer, choice.token), probability)


def with_token(storyteller: Storyteller, text: str, token: int) -> str:
    """A text with a token behind it; the end token leaves it as it is.

    Args:
        storyteller: Whose token it is.
        text: What has been told after the opening, maybe nothing.
        token: Its id.

    Raises:
        StoryLabError: There is no such token, or it stands for no text of its own: it is special, nothing but
            whitespace, or one byte of a character.
    """
    tokenizer = storyteller.tokenizer
    if token == storyteller.kind.end:
        return text
    if not 0 <= token < len(tokenizer):
        raise StoryLabError(f"{storyteller.name} has no token {token}; it has {len(tokenizer):,}")
    added = _added(storyteller, text, token)
    if not added.strip():
        raise StoryLabError(f"the token {piece_text(tokenizer, token)!r} is no text by itself")
    return text + added if text else added.lstrip()


def _added(storyteller: Storyteller, text: str, token: int) -> str:
    """What a token adds to a text; nothing where it is special, or a part of a character."""
    if token in storyteller.mute:
        return ""
    speller = Speller(storyteller.tokenizer)
    for before in encode(storyteller.tokenizer, text) if text else []:
        speller.add(before)
    return speller.add(token)


def _refuse_beam(settings: Settings) -> None:
    if settings.strategy == "beam":
        raise StoryLabError("a beam search weighs whole texts, not the next token")


def _stage(name: str, probabilities: Tensor, kept: int, tokens: Tensor, storyteller: Storyteller) -> Stage:
    named = zip(tokens.tolist(), probabilities[tokens].tolist(), strict=True)
    return Stage(
        name=name,
        kept=kept,
        entropy=entropy(probabilities),
        shown=tuple(Alternative(token, piece_text(storyteller.tokenizer, token), value) for token, value in named),
    )
