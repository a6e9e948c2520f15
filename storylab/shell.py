"""What the commands of `python -m storylab` share."""

import argparse
import json
import sys
from typing import Any

Arguments = argparse.Namespace


def add_model(parser: argparse.ArgumentParser) -> None:
    """Let a command ask for a storyteller, and where and in what it computes."""
    parser.add_argument(
        "--model", required=True, metavar="NAME", help="a storyteller's name, a folder, or hub:OWNER/NAME"
    )
    add_device(parser)


def add_device(parser: argparse.ArgumentParser) -> None:
    """Let a command ask where and in what its models compute."""
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, ... (default: cpu)")
    parser.add_argument("--dtype", default="fp32", choices=("fp32", "bf16"), help="default: fp32")


def add_json(parser: argparse.ArgumentParser) -> None:
    """Let a command be asked for JSON."""
    parser.add_argument("--json", action="store_true", help="as JSON")


def print_json(value: Any) -> None:
    """Print what a script can read, in ASCII where the terminal knows no more."""
    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    print(json.dumps(value, indent=2, ensure_ascii=not unicode))
