"""What the environment asks for, and programs that only some need."""

from __future__ import annotations

import os
import shutil

from storylab.doctor.finding import FAULT, OK, Finding

CHOICES = {
    "STORYLAB_ENGINE": ("auto", "torch", "onnx"),
    "STORYLAB_DTYPE": ("auto", "fp32", "bf16", "int8"),
    "STORYLAB_LOG": ("auto", "off", "on", "texts"),
}
"""Variables that must be one of some words; held against the names that the package knows by a test."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
COMPILERS = ("cc", "gcc", "clang")


def settings() -> Finding:
    """StoryLab's own variables."""
    given = {name: value for name, value in sorted(os.environ.items()) if name.startswith("STORYLAB_")}
    wrong = [name for name, words in CHOICES.items() if given.get(name) and given[name] not in words]
    if wrong:
        text = ", ".join(f"{name} is {given[name][:40]!r}" for name in wrong)
        advice = "; ".join(f"{name} must be one of {', '.join(CHOICES[name])}" for name in wrong)
        return Finding("settings", FAULT, text, advice)
    if given.get("STORYLAB_DTYPE") == "int8" and given.get("STORYLAB_ENGINE") == "torch":
        return Finding("settings", FAULT, "torch doesn't tell in int8", "unset STORYLAB_ENGINE or STORYLAB_DTYPE")
    if given.get("STORYLAB_DTYPE") == "bf16" and given.get("STORYLAB_ENGINE") == "onnx":
        return Finding("settings", FAULT, "onnx doesn't tell in bf16", "unset STORYLAB_ENGINE or STORYLAB_DTYPE")
    text = ", ".join(f"{name}={value[:80]}" for name, value in given.items() if name in CHOICES or "METRICS" in name)
    return Finding("settings", OK, text or "all as they come", details={"set": sorted(given)})


def programs() -> list[Finding]:
    """A browser for the tests that open the page, and a compiler, which nothing here needs."""
    return [
        _program("browser", BROWSERS, "the tests that open the page are skipped"),
        _program("compiler", COMPILERS, "only torch.compile, which nothing here uses, would want one"),
    ]


def _program(name: str, commands: tuple[str, ...], without: str) -> Finding:
    found = next(filter(shutil.which, commands), None)
    return Finding(name, OK, found or f"none: {without}", details={"command": found})
