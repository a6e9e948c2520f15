"""Branching: what a storyteller would have told from one token of a text on.

The tokens before it are kept exactly as the storyteller reads them. The random numbers belong to places: the k-th
token has the same ones whatever stands before it, so that with the seed of a telling only what follows from another
token changes, and not the luck (Oberst and Sontag 2019, "Counterfactual Off-Policy Evaluation with Gumbel-Max
Structural Causal Models").
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from storylab.decoding import Settings
from storylab.decoding.sampling import Choice, RandomStream, TokenChooser
from storylab.decoding.settings import shown
from storylab.errors import StoryLabError
from storylab.inspection.tokens import read_ids
from storylab.storytellers.telling import Piece, Telling
from storylab.tokenizers import encode, piece_text

if TYPE_CHECKING:
    from storylab.storytellers.kinds import Session
    from storylab.storytellers.storyteller import Storyteller
    from storylab.storytellers.under_way import UnderWay


@dataclass(frozen=True, slots=True)
class Branch:
    """A text told anew from one of its tokens on."""

    position: int
    """The token's place in the text, from 0."""
    token: int | None
    """What was put there; None where the storyteller chose itself."""
    kept: str
    """The text before that place."""
    new: str
    """What was told from there on; behind `kept` it makes the telling's text."""
    telling: Telling
    """The whole text, as one telling; its tokens and times include the kept ones."""

    def to_dict(self) -> dict[str, Any]:
        """The branch as JSON-ready data."""
        return asdict(self)


def branch(
    storyteller: Storyteller,
    opening: str,
    text: str,
    position: int,
    token: int | None = None,
    settings: Settings | Mapping[str, Any] | None = None,
    seed: int | None = None,
) -> Branch:
    """Keep a text up to one of its tokens, and tell on from there.

    At position 0, without a token, this is `storyteller.tell(opening, settings, seed)`.

    Args:
        storyteller: Who reads the text, and tells on.
        opening: The first sentence, 1 to 300 characters.
        text: What comes after it, up to 2,000 characters.
        position: The token's place, from 0, in what `read_text` returns; that of the end goes on behind the text.
        token: The id of the token to put there; None lets the storyteller choose.
        settings: How to decode, as for `Storyteller.tell`. The sentences are those of the whole text, the new tokens
            those from the position on.
        seed: 0 to 2**32 - 1; the same seed gives the same text. None draws one.

    Raises:
        StoryLabError: Something is not what it must be, the strategy is "beam", or the sentences end before.
    """
    *_, told = branch_stream(storyteller, opening, text, position, token, settings, seed)
    return told


def branch_stream(
    storyteller: Storyteller,
    opening: str,
    text: str,
    position: int,
    token: int | None = None,
    settings: Settings | Mapping[str, Any] | None = None,
    seed: int | None = None,
    stop: threading.Event | None = None,
) -> Iterator[Piece | Branch]:
    """The same piece by piece: first the kept tokens, then the new ones, the branch at last.

    Args:
        storyteller: As for `branch`.
        opening: As for `branch`.
        text: As for `branch`.
        position: As for `branch`.
        token: As for `branch`.
        settings: As for `branch`.
        seed: As for `branch`.
        stop: Ends it when set, before the next token; so does closing the iterator.

    Raises:
        StoryLabError: As for `branch`, at the first piece.
    """
    if not isinstance(settings, Settings):
        settings = Settings.from_mapping({} if settings is None else settings)
    if settings.strategy == "beam":
        raise StoryLabError("a beam search weighs whole texts and can't go on from one token")
    under_way, stop = storyteller.begin(opening, settings, seed), stop or threading.Event()
    prompt, encoded = read_ids(storyteller, under_way.opening, text)
    read = [*encoded.continuation.tolist(), storyteller.kind.end]
    kept = read[: _check_position(position, len(read))]
    _check_token(storyteller, token)

    told = ""
    for piece in _keep(under_way, kept):
        told += piece.text
        yield piece
    session = _session_behind(storyteller, prompt, kept, stop)
    stream = RandomStream(under_way.seed)
    for _ in range(position if settings.strategy == "sample" else 0):
        stream.gumbel(session.logits.shape[-1])
    for choice in _choices(session, TokenChooser(settings, stream, storyteller.mute), token, settings, stop):
        piece = under_way.add(choice)
        if piece is None:
            break
        yield piece
    telling = under_way.telling("stopped" if stop.is_set() else "tokens")
    before = len(told.lstrip())
    yield Branch(position, token, telling.text[:before], telling.text[before:], telling)


def token_named(storyteller: Storyteller, text: str) -> int:
    """The id of the token with a text, the blank before a word included; where there is none, with a blank before it.

    Raises:
        StoryLabError: It is no single token of the storyteller's.
    """
    tokenizer = storyteller.tokenizer
    for wanted in (text, f" {text}"):
        for token in (tokenizer.convert_tokens_to_ids(wanted), *encode(tokenizer, wanted)):
            if token is not None and piece_text(tokenizer, token) == wanted:
                return token
    pieces = ", ".join(repr(piece_text(tokenizer, token)) for token in encode(tokenizer, text))
    raise StoryLabError(f"{shown(text)} is no token of {storyteller.name}, which cuts it into {pieces or 'none'}")


def _check_position(position: Any, places: int) -> int:
    if not isinstance(position, int) or isinstance(position, bool) or not 0 <= position < places:
        raise StoryLabError(f"position must be a whole number from 0 to {places - 1}, not {shown(position)}")
    return position


def _check_token(storyteller: Storyteller, token: Any) -> None:
    if token is None:
        return
    number = isinstance(token, int) and not isinstance(token, bool)
    if not number or not 0 <= token < len(storyteller.tokenizer) or token in storyteller.mute:
        raise StoryLabError(f"token must be the id of one of {storyteller.name}'s tokens, not {shown(token)}")


def _keep(under_way: UnderWay, tokens: list[int]) -> Iterator[Piece]:
    for number, token in enumerate(tokens):
        piece = under_way.add(Choice(token, 0.0))  # it was not chosen here, and nobody asks for its probability
        if piece is None:
            sentences = under_way.settings.sentences
            raise StoryLabError(
                f"the {sentences} sentences that are told at most end before token {number}; branch further up"
            )
        yield piece


def _session_behind(storyteller: Storyteller, prompt: str, kept: list[int], stop: threading.Event) -> Session:
    """A session that has read an opening and the kept tokens."""
    session = storyteller.session([prompt])
    if session.room < len(kept):
        raise StoryLabError(f"the text fills all {storyteller.kind.positions} positions of {storyteller.name}")
    for token in kept:
        if stop.is_set():
            break
        session.advance([token])
    return session


def _choices(
    session: Session, chooser: TokenChooser, token: int | None, settings: Settings, stop: threading.Event
) -> Iterator[Choice]:
    """The new tokens, at most as many as settings and positions allow; `token` is the first where there is one."""
    for number in range(settings.max_new_tokens):
        if stop.is_set():
            return
        choice = chooser.choose(session.context, session.logits[0])
        if number == 0 and token is not None:
            choice = Choice(token, float(session.logits[0].float().log_softmax(-1)[token]))
        yield choice
        if session.room <= 0:
            return
        session.advance([choice.token])
