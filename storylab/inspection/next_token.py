"""The next token: the model's distribution, and what each setting makes of it, one after the other."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from storylab.decoding import Settings, check_opening
from storylab.decoding.sampling import named_processors
from storylab.errors import StoryLabError
from storylab.inspection.tokens import Alternative, read_ids
from storylab.tokenizers import piece_text

if TYPE_CHECKING:
    from storylab.storytellers.storyteller import Storyteller

SHOWN = 12
"""Tokens whose probabilities are given."""
MODEL = "model"
"""The name of the first stage: nothing is changed yet."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The distribution of the next token after one transformation."""

    name: str
    """"model", or the name of the setting that was applied last."""
    kept: int
    """Tokens that may still be chosen."""
    entropy: float
    """In nats."""
    shown: tuple[Alternative, ...]
    """The same tokens in every stage: the likeliest, by the larger of their first and last probability."""

    def to_dict(self) -> dict[str, Any]:
        """The stage as JSON-ready data."""
        return asdict(self)


def next_token(
    storyteller: Storyteller, opening: str, text: str, settings: Settings, shown: int = SHOWN
) -> list[Stage]:
    """What a storyteller would say next, before and after each setting that changes it.

    Args:
        storyteller: Who tells.
        opening: The first sentence, 1 to 300 characters.
        text: What has been told after it, maybe nothing.
        settings: "greedy" is shown as what it is, all probability on one token; a beam search has no next token.
        shown: How many tokens to name.

    Raises:
        StoryLabError: Opening or text is not what it must be, or the strategy is "beam".
    """
    if settings.strategy == "beam":
        raise StoryLabError("a beam search weighs whole texts, not the next token")
    prompt, encoded = read_ids(storyteller, check_opening(opening), text)
    session = storyteller.session([prompt])
    for token in encoded.continuation.tolist():
        if session.room <= 0:
            raise StoryLabError(f"the text fills all {storyteller.kind.positions} positions of {storyteller.name}")
        session.advance([token])
    scores = session.logits.float().cpu()  # (1, vocabulary)
    steps = {MODEL: scores}
    for name, processor in named_processors(settings, storyteller.mute).items():
        scores = processor(session.context.cpu(), scores.clone())
        if name != "mute":  # no setting of anybody's
            steps[name] = scores
    if settings.strategy == "greedy":
        steps["greedy"] = torch.full_like(scores, -torch.inf).scatter(1, scores.argmax(dim=1, keepdim=True), 0.0)
    stages = {name: step[0].softmax(dim=-1) for name, step in steps.items()}
    first, *_, last = [stages[MODEL], *stages.values()]
    tokens = torch.maximum(first, last).topk(min(shown, len(first))).indices
    return [_stage(name, probabilities, tokens, storyteller) for name, probabilities in stages.items()]


def _stage(name: str, probabilities: Tensor, tokens: Tensor, storyteller: Storyteller) -> Stage:
    named = zip(tokens.tolist(), probabilities[tokens].tolist(), strict=True)
    return Stage(
        name=name,
        kept=int((probabilities > 0).sum()),
        entropy=float(torch.special.entr(probabilities).sum()),
        shown=tuple(Alternative(token, piece_text(storyteller.tokenizer, token), value) for token, value in named),
    )
