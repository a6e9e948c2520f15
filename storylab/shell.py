"""What the commands of `python -m storylab` share."""

import argparse
import json
import sys
from typing import Any

from storylab.decoding import OPTIONS, PRESETS, Settings
from storylab.decoding.settings import option_help
from storylab.engines.names import DTYPES, NAMES

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
    parser.add_argument("--dtype", choices=DTYPES, help="int8 tells on the CPU only; auto: there int8, else fp32")
    parser.add_argument("--engine", choices=NAMES, help="what tells: torch, onnx (ONNX Runtime), auto (default)")


def where(options: Arguments) -> dict[str, Any]:
    """Where and in what models are to compute, as `load` takes it."""
    return {"device": options.device, "dtype": options.dtype, "engine": options.engine}


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Let a command ask for a way to decode: a preset, and a flag for each option."""
    parser.add_argument("--preset", default="default", choices=PRESETS, help="settings by name")
    meanings = option_help()
    for name, option in OPTIONS.items():
        choices = {"choices": option.choices} if option.choices else {"type": option.kind}
        text = f"{meanings[name]} Default: {option.default}.".replace("%", "%%")
        parser.add_argument("--" + name.replace("_", "-"), help=text, **choices)


def read_settings(options: Arguments) -> Settings:
    """The settings that were asked for.

    Raises:
        StoryLabError: A value is out of range.
    """
    changes = {name: getattr(options, name) for name in OPTIONS if getattr(options, name) is not None}
    return Settings.from_mapping(changes, options.preset)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Let a command be asked for JSON."""
    parser.add_argument("--json", action="store_true", help="as JSON")


def print_json(value: Any) -> None:
    """Print what a script can read, in ASCII where the terminal knows no more."""
    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    print(json.dumps(value, indent=2, ensure_ascii=not unicode))
