"""The whole examination: every look in its place, none of which can end another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from storylab.doctor import machine, packages, reach, surroundings
from storylab.doctor.child import Look
from storylab.doctor.finding import FAULT, NOTE, Finding, in_a_line


def examine(network: bool = False, thorough: bool = False) -> Iterator[Finding]:
    """Look at everything that telling leans on.

    Args:
        network: Whether to ask the Hub and PyPI too; without it, nothing leaves the machine.
        thorough: Whether to import the page's packages too, however long that takes.

    Yields:
        What is found, in an order that reads from the ground up.
    """
    yield from _safely("Python", packages.python)
    looks: list[Look] = []
    try:
        yield from _safely("Python", lambda: _begin(looks, thorough))
        yield from _safely("packages", packages.versions)
        yield from _safely("packages", packages.files)
        imported: dict[str, dict[str, Any]] = {}
        yield from _safely("imports", lambda: _imports(looks[1:], imported))
        yield from _safely("settings", surroundings.settings)
        yield from _safely("processor", machine.processor)
        yield from _safely("threads", lambda: machine.threads(imported))
        yield from _safely("memory", machine.memory)
        yield from _safely("devices", lambda: machine.devices(imported))
        yield from _safely("storytellers", lambda: [found for look in looks[:1] for found in _inside(look)])
    finally:
        for look in looks:
            look.close()
    yield from _safely("ports", reach.ports)
    if network:
        yield from _safely("network", reach.network)
    yield from _safely("programs", surroundings.programs)


def _begin(looks: list[Look], thorough: bool) -> list[Finding]:
    """Begin what takes its time: the look inside, then the imports."""
    try:
        looks.append(Look("inside"))
        packages.begin_imports(looks, thorough)
    except OSError as error:
        return [Finding("Python", FAULT, f"can't be started anew: {in_a_line(error)}", "is there too little memory?")]
    return []


def _imports(looks: list[Look], imported: dict[str, dict[str, Any]]) -> list[Finding]:
    findings, found = packages.imports(looks)
    imported.update(found)
    return findings


def _inside(look: Look) -> list[Finding]:
    findings = [Finding.from_dict(line) for line in look.lines()]
    if look.ended_by:
        findings.append(Finding("storytellers", FAULT, f"looking at them {look.ended_by}", "mend the packages first"))
    return findings


def _safely(name: str, look: Callable[[], Finding | list[Finding]]) -> Iterator[Finding]:
    """What a look finds; where the look itself breaks, that is what is found."""
    try:
        found = look()
        yield from found if isinstance(found, list) else [found]
    except Exception as error:
        yield Finding(name, NOTE, f"couldn't be looked at: {in_a_line(error)}", "this is a mistake of the doctor's")
