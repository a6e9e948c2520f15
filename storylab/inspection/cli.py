"""The commands that look inside: `tokens`, `branch`, `next`, `strategies` and `sweep`."""

import argparse
import math
from dataclasses import asdict

from storylab.decoding import check_seed
from storylab.errors import StoryLabError
from storylab.inspection.stories_cli import add_commands as add_stories_commands
from storylab.shell import Arguments, add_json, add_model, add_settings, print_json, read_settings, where
from storylab.storytellers import load


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add them to the command line."""
    tokens = commands.add_parser("tokens", help="how likely a storyteller holds each token of a text")
    _add_text(tokens)
    tokens.set_defaults(command=_tokens)

    branch = commands.add_parser("branch", help="tell on from one token of a text, or from another in its place")
    _add_text(branch)
    place = "the token's place as `tokens` prints it, from 0; the text is kept up to there"
    branch.add_argument("--at", type=int, required=True, metavar="POSITION", help=place)
    token = "what to put there, one token of the storyteller, such as ' dog' (default: what it chooses)"
    branch.add_argument("--token", metavar="TEXT", help=token)
    add_settings(branch)
    branch.add_argument("--seed", type=int, help="0 to 4294967295 (default: drawn, and reported)")
    branch.set_defaults(command=_branch)

    following = commands.add_parser("next", help="the next token's distribution before and after each setting")
    _add_text(following)
    add_settings(following)
    draw = "also draw the token, with the random numbers that a telling of the seed has in this place"
    following.add_argument("--draw", action="store_true", help=draw)
    following.add_argument("--seed", type=int, help="for --draw: 0 to 4294967295 (default: drawn, and reported)")
    following.set_defaults(command=_next)

    strategies = commands.add_parser("strategies", help="one opening and one seed, told by many strategies")
    strategies.add_argument("opening", help="the first sentence, 1 to 300 characters")
    add_model(strategies)
    strategies.add_argument("--seed", type=int, help="0 to 4294967295 (default: drawn, and reported)")
    add_json(strategies)
    strategies.set_defaults(command=_strategies)

    sweep = commands.add_parser("sweep", help="repetition and variety of stories against the temperature")
    add_model(sweep)
    sweep.add_argument("--seed", type=int, default=0, help="0 to 4294967295 (default: 0)")
    add_json(sweep)
    sweep.set_defaults(command=_sweep)

    add_stories_commands(commands)


def _add_text(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("opening", help="the first sentence, 1 to 300 characters")
    parser.add_argument("text", nargs="?", default="", help="what comes after it")
    add_model(parser)
    add_json(parser)


def _tokens(options: Arguments) -> None:
    from storylab.inspection.tokens import read_text

    reading = read_text(
        load(options.model, **where(options)),
        options.opening,
        options.text,
    )
    if options.json:
        return print_json(reading.to_dict())
    print(
        f"{'at':>4}  {'token':<16}{'probability':>12}{'surprise, bits':>16}{'rank':>7}{'entropy, bits':>15}  likeliest"
    )
    for place, token in enumerate(reading.tokens):
        likeliest = ", ".join(f"{other.text!r} {other.probability:.2f}" for other in token.alternatives[:3])
        probability = math.exp(token.log_probability)
        measures = f"{probability:>12.4f}{token.surprise:>16.2f}{token.rank:>7}{token.entropy:>15.2f}"
        print(f"{place:>4}  {token.text or token.piece!r:<16}{measures}  {likeliest}")
    if reading.perplexity_per_word is not None:
        print(f"perplexity per word: {reading.perplexity_per_word:.4g} ({reading.words} words, the end among them)")


def _branch(options: Arguments) -> None:
    from storylab.inspection.branch import branch, token_named

    settings = read_settings(options)
    storyteller = load(options.model, **where(options))
    token = None if options.token is None else token_named(storyteller, options.token)
    told = branch(storyteller, options.opening, options.text, options.at, token, settings, options.seed)
    if options.json:
        return print_json(told.to_dict())
    print(f"{options.opening} {told.kept}[{told.new}]")
    print(f"\n[{told.telling.model}, seed {told.telling.seed}, ended by {told.telling.ended_by}]")


def _next(options: Arguments) -> None:
    from storylab.inspection.next_token import draw_next, next_token

    if options.seed is not None and not options.draw:
        raise StoryLabError("--seed is for --draw")
    settings, seed = read_settings(options), check_seed(options.seed)
    storyteller = load(options.model, **where(options))
    stages = next_token(storyteller, options.opening, options.text, settings)
    drawn = draw_next(storyteller, options.opening, options.text, settings, seed) if options.draw else None
    if options.json:
        data = [stage.to_dict() for stage in stages]
        return print_json({"stages": data, "drawn": asdict(drawn), "seed": seed} if drawn else data)
    for stage in stages:
        named = ", ".join(f"{other.text!r} {other.probability:.3f}" for other in stage.shown)
        print(f"{stage.name}: {stage.kept} tokens, entropy {stage.entropy:.2f} bits: {named}")
    if drawn:
        print(f"drawn with seed {seed}: {drawn.text!r} {drawn.probability:.3f}")


def _strategies(options: Arguments) -> None:
    from storylab.inspection.strategies import tell_strategies

    storyteller = load(options.model, **where(options))
    told = tell_strategies(storyteller, options.opening, options.seed)
    if options.json:
        return print_json([{"strategy": name, **telling.to_dict()} for name, telling in told])
    for name, telling in told:
        faults = ", ".join(fault["code"] for fault in telling.pathologies)
        about = f"seed {telling.seed}, ended by {telling.ended_by}{', ' if faults else ''}{faults}"
        print(f"{name} [{about}]\n{telling.text}\n", flush=True)


def _sweep(options: Arguments) -> None:
    from storylab.inspection.sweep import sweep

    points = sweep(load(options.model, **where(options)), seed=options.seed)
    if options.json:
        return print_json([point.to_dict() for point in points])
    names = ("temperature", "repeating", "distinct-2", "four, ended", "words", "perplexity/word")
    head = "".join(f"{name:>{width}}" for name, width in zip(names, (11, 11, 12, 13, 7, 17), strict=True))
    for point in points:
        if head:  # with the first point, so that a refusal stands alone
            print(head)
        head = ""
        shares = f"{point.repetition_4:>11.1%}{point.distinct_2:>12.3f}{point.four_sentences:>13.1%}"
        print(f"{point.temperature:>11}{shares}{point.words:>7.1f}{point.perplexity_per_word:>17.4g}", flush=True)
