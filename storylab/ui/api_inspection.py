"""The endpoints that look inside a storyteller: `tokens`, `branch`, `next` and `strategies`."""

# No `from __future__ import annotations` here: gradio reads the return annotation as it stands.
from typing import Any

from storylab.decoding import check_opening, check_seed
from storylab.ui.api_endpoint import Endpoint, endpoint, settings_of, storyteller_named, text_in


@endpoint
def tokens(opening: str, text: str, model: str) -> dict[str, Any]:
    """Show how likely a storyteller holds each token of a text, as `python -m storylab tokens --json` prints it.

    Args:
        opening: The first sentence, 1 to 300 characters, which is given.
        text: What comes after it, up to 2,000 characters; it may be a story that somebody else told.
        model: The name of a storyteller that `models` lists as ready.

    Returns:
        model, opening, text, words, perplexity_per_word (of this text alone) and tokens: for each token after the
        opening, the end token last, its id, text, log_probability (natural), surprise (in bits), rank, entropy (in
        bits) and alternatives (the likeliest tokens in its place).
    """
    from storylab.inspection.tokens import read_text

    opening, text = check_opening(opening), text_in(text, "text")
    return read_text(storyteller_named(model), opening, text).to_dict()


@endpoint
def branch(
    opening: str,
    text: str,
    position: int,
    model: str,
    token: int | str | None = None,
    settings: dict[str, Any] | None = None,
    seed: int | None = None,
) -> dict[str, Any]:
    """Keep a text up to one of its tokens and tell on from there, as `python -m storylab branch --json` prints it.

    Args:
        opening: The first sentence, 1 to 300 characters.
        text: What comes after it, up to 2,000 characters, for instance the text of a telling.
        position: The place of the token to branch at, from 0, in the list that `tokens` returns.
        model: The name of a storyteller that `models` lists as ready.
        token: What to put there: a token's id, or its text with the blank before it, such as " dog". null lets the
            storyteller choose.
        settings: The command's options with underscores, as for `tell`, for instance {"temperature": 0.6}; {} or null
            for the default preset. Not the strategy "beam".
        seed: 0 to 4294967295; with the seed of a telling only what follows from the other token changes. null draws
            one.

    Returns:
        position, token (its id), kept (the text before it), new (what was told from there) and telling (the whole
        text, as `tell` returns it).
    """
    from storylab.inspection import branch as branching

    opening, text, wanted = check_opening(opening), text_in(text, "text"), settings_of(settings)
    storyteller = storyteller_named(model)
    if isinstance(token, str):
        token = branching.token_named(storyteller, token)
    return branching.branch(storyteller, opening, text, position, token, wanted, seed).to_dict()


@endpoint
def next(opening: str, model: str, text: str = "", settings: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Show the next token's distribution before and after each setting, as `python -m storylab next --json` does.

    Args:
        opening: The first sentence, 1 to 300 characters.
        model: The name of a storyteller that `models` lists as ready.
        text: What has been told after it so far, up to 2,000 characters; nothing for the first token.
        settings: The command's options with underscores, as for `tell`, for instance {"temperature": 0.6}; {} or null
            for the default preset. Not the strategy "beam", which weighs whole texts.

    Returns:
        One object a stage, the model's own distribution first: name (of the setting), kept (tokens that may
        still be chosen), entropy (in bits) and shown (the likeliest tokens with their probabilities).
    """
    from storylab.inspection.next_token import next_token

    opening, text, wanted = check_opening(opening), text_in(text, "text"), settings_of(settings)
    stages = next_token(storyteller_named(model), opening, text, wanted)
    return [stage.to_dict() for stage in stages]


@endpoint
def strategies(opening: str, model: str, seed: int | None = None) -> list[dict[str, Any]]:
    """Tell one story by many strategies with one seed, as `python -m storylab strategies --json` prints it.

    Args:
        opening: The first sentence, 1 to 300 characters.
        model: The name of a storyteller that `models` lists as ready.
        seed: 0 to 4294967295, the same for all strategies. null draws one.

    Returns:
        One object a strategy, in the order in which they end: strategy (greedy, beam, temperature 0.1, top-p 0.9 and
        others) and all that `tell` returns. It takes some seconds.
    """
    from storylab.inspection.strategies import tell_strategies

    opening, seed = check_opening(opening), check_seed(seed)
    told = tell_strategies(storyteller_named(model), opening, seed)
    return [{"strategy": name, **telling.to_dict()} for name, telling in told]


INSPECTIONS = (
    Endpoint(tokens, tellings=1),
    Endpoint(branch, tellings=1),
    Endpoint(next, tellings=1),
    Endpoint(strategies, tellings=10),
)
