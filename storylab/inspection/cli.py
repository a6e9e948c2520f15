"""The commands that look inside: `tokens`, `next` and `sweep`."""

import argparse
import math

from storylab.shell import Arguments, add_json, add_model, add_settings, print_json, read_settings
from storylab.storytellers import load


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add them to the command line."""
    tokens = commands.add_parser("tokens", help="how likely a storyteller holds each token of a text")
    _add_text(tokens)
    tokens.set_defaults(command=_tokens)

    following = commands.add_parser("next", help="the next token's distribution before and after each setting")
    _add_text(following)
    add_settings(following)
    following.set_defaults(command=_next)

    sweep = commands.add_parser("sweep", help="repetition and variety of stories against the temperature")
    add_model(sweep)
    sweep.add_argument("--seed", type=int, default=0, help="0 to 4294967295 (default: 0)")
    add_json(sweep)
    sweep.set_defaults(command=_sweep)


def _add_text(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("opening", help="the first sentence, 1 to 300 characters")
    parser.add_argument("text", nargs="?", default="", help="what comes after it")
    add_model(parser)
    add_json(parser)


def _tokens(options: Arguments) -> None:
    from storylab.inspection.tokens import read_text

    reading = read_text(load(options.model, device=options.device, dtype=options.dtype), options.opening, options.text)
    if options.json:
        return print_json(reading.to_dict())
    print(f"{'token':<16}{'probability':>12}{'rank':>7}{'entropy':>9}  likeliest")
    for token in reading.tokens:
        likeliest = ", ".join(f"{other.text!r} {other.probability:.2f}" for other in token.alternatives[:3])
        probability = math.exp(token.log_probability)
        print(f"{token.text!r:<16}{probability:>12.4f}{token.rank:>7}{token.entropy:>9.2f}  {likeliest}")


def _next(options: Arguments) -> None:
    from storylab.inspection.next_token import next_token

    settings = read_settings(options)
    storyteller = load(options.model, device=options.device, dtype=options.dtype)
    stages = next_token(storyteller, options.opening, options.text, settings)
    if options.json:
        return print_json([stage.to_dict() for stage in stages])
    for stage in stages:
        named = ", ".join(f"{other.text!r} {other.probability:.3f}" for other in stage.shown)
        print(f"{stage.name}: {stage.kept} tokens, entropy {stage.entropy:.2f}: {named}")


def _sweep(options: Arguments) -> None:
    from storylab.inspection.strategies import sweep

    points = sweep(load(options.model, device=options.device, dtype=options.dtype), seed=options.seed)
    if options.json:
        return print_json([point.to_dict() for point in points])
    print(f"{'temperature':>11}{'repeating':>11}{'distinct-2':>12}{'four, ended':>13}{'words':>7}")
    for point in points:
        shares = f"{point.repetition_4:>11.1%}{point.distinct_2:>12.3f}{point.four_sentences:>13.1%}"
        print(f"{point.temperature:>11}{shares}{point.words:>7.1f}")
