"""The command `doctor`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Iterable, Sequence

from storylab.doctor.examination import examine
from storylab.doctor.finding import FAULT, LEVELS, NOTE, Finding

HELP = "look whether stories can be told here, and what to do where they can't"
WIDTH = 20
"""Columns of a finding's name."""


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add it to the command line."""
    doctor = commands.add_parser("doctor", help=HELP)
    _add_options(doctor)
    doctor.set_defaults(command=run)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command by itself, for when the rest of the package can't even be imported; returns its exit status."""
    parser = argparse.ArgumentParser(prog="storylab doctor", description=HELP[0].upper() + HELP[1:] + ".")
    _add_options(parser)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    options = parser.parse_args(arguments)
    try:
        return run(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader, `head` for instance, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def run(options: argparse.Namespace) -> int:
    """Examine, and print what is found: 0 where stories can be told, 1 where something stands in the way."""
    started, findings = time.perf_counter(), examine(options.network, options.thorough)
    findings = list(findings) if options.json else _shown(findings)
    seconds = round(time.perf_counter() - started, 1)
    well = all(finding.level != FAULT for finding in findings)
    if options.json:
        checks = [finding.to_dict() for finding in findings]
        print(json.dumps({"well": well, "seconds": seconds, "checks": checks}, indent=2))
    else:
        counts = {level: sum(finding.level == level for finding in findings) for level in LEVELS}
        verdict = "stories can be told here" if well else f"{counts[FAULT]} in the way of telling"
        noted = f"; {counts[NOTE]} worth knowing" if counts[NOTE] else ""
        print(f"\n{verdict}{noted} ({seconds} s, {platform.system()} {platform.machine()})", flush=True)
    return 0 if well else 1


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--network", action="store_true", help="also ask whether the Hub and PyPI can be reached")
    parser.add_argument("--thorough", action="store_true", help="also import the page's packages, which takes longer")
    parser.add_argument("--json", action="store_true", help="as JSON")


def _shown(findings: Iterable[Finding]) -> list[Finding]:
    """Print findings as they come."""
    shown = []
    for finding in findings:
        print(f"{finding.level:<6} {finding.name:<{WIDTH}} {finding.text}")
        if finding.advice:
            print(f"{'':<6} {'':<{WIDTH}} -> {finding.advice}")
        sys.stdout.flush()
        shown.append(finding)
    return shown
