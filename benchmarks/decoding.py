"""Decoding against transformers' `generate` on the same weights, fp32, in the same turns.

    python -m benchmarks decoding [--turns N] [--only PART,...] [--stories TEST.csv] [--json FILE] [--markdown FILE]

One story and 32 openings at once with the bundled storytellers as the page tells them (default preset), four
storytellers at once against the sum of their times alone, and shapes of 124M and 135M parameters with random weights.
"""

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from benchmarks.peers import PADDED, PaddedEncoder, generate, generate_tokens
from benchmarks.turns import Side, Spread, take_turns, times_faster
from storylab.decoding import Settings
from storylab.decoding.sampling import RandomStream, TokenChooser
from storylab.engines.choice import engine_for
from storylab.engines.runtime import threads
from storylab.errors import StoryLabError
from storylab.evaluation.score import score
from storylab.markdown import table
from storylab.stories import Story, read_stories
from storylab.storytellers import load
from storylab.storytellers.storyteller import Storyteller
from storylab.storytellers.together import tell_together

BUNDLED = ("gpt2-mini", "gpt2-mini-finetuned", "seq2seq", "encoder")
OPENINGS = (
    "Every weekend the Jefferson's go to the park.",
    "David noticed he had put on a lot of weight recently.",
    "Nora found an old blue kite behind her grandmother's couch.",
    "My dog ran away.",
)
PEER = "generate, fp32"
SETTINGS = Settings()


@dataclass(frozen=True)
class Row:
    """One comparison."""

    what: str
    peer: str
    ours: str
    peer_rate: Spread
    our_rate: Spread
    times: Spread


def compare(what: str, sides: dict[str, Side], turns: int) -> Iterator[Row]:
    """Measure sides in turns; the first one is the peer of all others."""
    rates = take_turns(sides, turns)
    peer, *others = sides
    for ours in others:
        yield Row(what, peer, ours, Spread.of(rates[peer]), Spread.of(rates[ours]), times_faster(rates, ours, peer))


def stream(storyteller: Storyteller, opening: str, seed: int) -> float:
    """Tokens a second of one telling."""
    telling = storyteller.tell(opening, SETTINGS, seed)
    return (telling.tokens + telling.finished) / telling.seconds


def together(storyteller: Storyteller, openings: Sequence[str]) -> float:
    """Tokens a second of one story for each opening, 32 at a time."""
    started = time.perf_counter()
    told = [telling for _, telling in tell_together(storyteller, openings, SETTINGS, range(len(openings)))]
    return sum(telling.tokens + telling.finished for telling in told) / (time.perf_counter() - started)


def engines(name: str) -> dict[str, Storyteller]:
    """A bundled storyteller by what it computes with."""
    return {"torch, fp32": load(name, engine="torch"), "onnx, fp32": load(name), "onnx, int8": load(name, dtype="int8")}


def one_story(turns: int) -> Iterator[Row]:
    """Each bundled storyteller, one story at a time."""
    for name in BUNDLED:
        seed = iter(range(10**6))
        tellers = engines(name)
        sides: dict[str, Side] = {PEER: lambda t=tellers: generate(t["torch, fp32"], OPENINGS[:1], SETTINGS)}
        if name == "encoder":
            peer = PaddedEncoder(load(name).model.config).eval()
            sides = {f"torch's encoder padded to {PADDED}": lambda peer=peer: peer.rate(12, 40)}
        for label, teller in tellers.items():
            sides[label] = lambda teller=teller, seed=seed: stream(teller, OPENINGS[0], next(seed))
        yield from compare(f"{name}, one story", sides, turns)


def batches(turns: int) -> Iterator[Row]:
    """Each bundled storyteller, 32 openings at once."""
    openings = [OPENINGS[number % len(OPENINGS)] for number in range(32)]
    for name in BUNDLED:
        tellers = engines(name)
        sides: dict[str, Side] = {PEER: lambda t=tellers: generate(t["torch, fp32"], openings, SETTINGS)}
        for label, teller in tellers.items():
            sides[label] = lambda teller=teller: together(teller, openings)
        yield from compare(f"{name}, 32 openings", sides, turns)


def at_once(turns: int) -> Iterator[Row]:
    """Four storytellers at once: stories a second against one after the other."""
    for label, choice in (("torch, fp32", {"engine": "torch"}), ("onnx, fp32", {})):
        tellers = [load(name, **choice) for name in BUNDLED]
        tell = [lambda teller=teller: teller.tell(OPENINGS[0], SETTINGS, 1) for teller in tellers]
        sides = {f"alone, {label}": lambda tell=tell: timed(tell, False), label: lambda tell=tell: timed(tell, True)}
        yield from compare("four storytellers at once", sides, turns)


def timed(tasks: Sequence[Callable], at_once: bool) -> float:
    """How often a second some tasks can be done, one after the other or in threads."""
    workers = [threading.Thread(target=task) for task in tasks]
    started = time.perf_counter()
    for worker in workers:
        worker.start()
        if not at_once:
            worker.join()
    for worker in workers:
        worker.join()
    return 1 / (time.perf_counter() - started)


def shapes() -> dict[str, Callable[[], PreTrainedModel]]:
    """Larger models, by what they are called."""
    smollm2 = LlamaConfig(
        vocab_size=49152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        tie_word_embeddings=True,
    )
    return {
        "GPT-2 124M": lambda: GPT2LMHeadModel(GPT2Config()),
        "SmolLM2 135M": lambda: LlamaForCausalLM(smollm2),
    }


def large(turns: int, tokens: int = 32) -> Iterator[Row]:
    """Shapes of 124M and 135M parameters with random weights, one story without an end."""
    for name, make in shapes().items():
        torch.manual_seed(0)
        model = make().eval().requires_grad_(False)
        prompt = torch.randint(1, model.config.vocab_size, (12,)).tolist()
        sides: dict[str, Side] = {PEER: lambda m=model, p=prompt: generate_tokens(m, p, tokens, SETTINGS)}
        for dtype in ("fp32", "int8"):
            engine = engine_for(model, "onnx", dtype)
            sides[f"onnx, {dtype}"] = lambda e=engine, p=prompt: continued(e, p, tokens)
        yield from compare(f"{name}, one story", sides, turns)


def continued(engine, prompt: Sequence[int], tokens: int) -> float:
    """Tokens a second of an engine behind a prompt, drawn as a storyteller draws them."""
    chooser, context = TokenChooser(SETTINGS, RandomStream(0)), torch.tensor([list(prompt)])
    started = time.perf_counter()
    texts = engine.begin([prompt], prompt[0])
    for number in range(tokens):
        token = chooser.choose(context, torch.from_numpy(texts.logits[0])).token
        if number < tokens - 1:
            texts.advance([token])
    return tokens / (time.perf_counter() - started)


PARTS = {"one": one_story, "batch": batches, "at-once": at_once, "large": large}


def perplexities(stories: Sequence[Story]) -> dict[str, dict[str, float]]:
    """Per word, of the bundled storytellers, in fp32 and with matrices rounded to 8 bits."""
    return {
        name: {dtype: score(load(name, dtype=dtype), stories).perplexity_per_word for dtype in ("fp32", "int8")}
        for name in BUNDLED
    }


def bandwidth() -> float:
    """Bytes a second that are read from memory by a sum over more than any cache holds; the best of five."""
    numbers, best = torch.ones(2**27), float("inf")  # half a gigabyte
    for _ in range(5):
        started = time.perf_counter()
        numbers.sum()
        best = min(best, time.perf_counter() - started)
    return numbers.numel() * numbers.element_size() / best


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a table of docs/speed.md."""
    head = ["what", "peer", "ours", "peer's rate", "our rate", "times faster"]
    cells = [[r.what, r.peer, r.ours, str(r.peer_rate), str(r.our_rate), str(r.times)] for r in rows]
    return table([head, ["---", "---", "---", "---:", "---:", "---:"], *cells])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; returns the exit status."""
    parser = argparse.ArgumentParser(prog="benchmarks decoding", description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, of {', '.join(PARTS)}")
    parser.add_argument("--stories", metavar="TEST.csv", help="also compare the perplexity of fp32 and int8 on these")
    parser.add_argument("--limit", type=int, default=150, help="how many of the stories")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    if unknown := set(options.only.split(",")) - set(PARTS):
        parser.error(f"there is no part {sorted(unknown)[0]}")
    rows: list[Row] = []
    record = {"torch_threads": torch.get_num_threads(), "onnx_threads": threads(), "bytes_per_second": bandwidth()}
    try:
        for part in options.only.split(","):
            for row in PARTS[part](options.turns):
                rows.append(row)
                print(
                    f"{row.what}: {row.ours} {row.our_rate}, {row.peer} {row.peer_rate}: {row.times} times", flush=True
                )
        if options.stories:
            record["perplexity_per_word"] = perplexities(read_stories(options.stories, limit=options.limit))
            print(json.dumps(record["perplexity_per_word"], indent=2))
    except StoryLabError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    if options.json:
        options.json.write_text(json.dumps(record | {"rows": [asdict(row) for row in rows]}, indent=1) + "\n")
    if options.markdown:
        options.markdown.write_text(markdown(rows) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
