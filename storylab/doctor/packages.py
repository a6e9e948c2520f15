"""Python, the packages' versions against requirements.txt, and whether those that tell can be imported."""

from __future__ import annotations

import os
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from storylab.doctor.child import PATIENCE, PROJECT, Look
from storylab.doctor.finding import FAULT, NOTE, OK, Finding

LEAST_PYTHON = (3, 11)
REQUIREMENTS = PROJECT / "requirements.txt"
BESIDE = {
    "accelerate": "training",
    "altair": "the page's charts",
    "datasets": "training",
    "evaluate": "measuring",
    "gguf": "downloading smollm2",
    "peft": "training gpt2-mini-lora",
    "prometheus-client": "metrics",
    "sacrebleu": "measuring",
    "sentencepiece": "training a vocabulary",
}
"""Packages without which stories are told all the same, and what they are for."""
COMPILED = (("numpy", "torch"), ("safetensors", "tokenizers", "onnxruntime"))
"""What is imported, in two processes that run side by side: packages whose builds may not suit the machine."""
THOROUGH = (("numpy", "torch", "transformers", "accelerate"), (*COMPILED[1], "onnx", "sentencepiece", "gradio"))
"""What is imported where time is no matter, the page's packages among them."""
SOON = 8.0
"""Seconds that imports may take where it is."""
_PIN = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;]+)")


def python() -> Finding:
    """Python's version."""
    here = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < LEAST_PYTHON:
        return Finding("Python", FAULT, f"{here}; 3.11 is needed", "make the environment anew with python3.11 -m venv")
    alone = sys.prefix != sys.base_prefix
    return Finding("Python", OK, here + (", in a virtual environment" if alone else ""), details={"version": here})


def versions(requirements: Path = REQUIREMENTS) -> list[Finding]:
    """What is installed, against what requirements.txt pins."""
    pins = _pins(requirements)
    if not pins:
        return [Finding("packages", NOTE, f"{requirements.name} isn't here: versions can't be compared")]
    missing, other = {}, {}
    for name, pinned in pins.items():
        found = _installed(name)
        if found is None:
            missing[name] = pinned
        elif found.partition("+")[0] != pinned.partition("+")[0]:  # behind the plus is who built it
            other[name] = f"{found} instead of {pinned}"
    findings = []
    needed = [name for name in missing if _plain(name) not in BESIDE]
    if needed:
        text = f"not installed, or damaged: {', '.join(needed)}"
        findings.append(Finding("packages", FAULT, text, _install(missing)))
    beside = [f"{name} ({BESIDE[_plain(name)]})" for name in missing if name not in needed]
    if beside:
        findings.append(Finding("packages", NOTE, f"not installed: {', '.join(beside)}", _install(missing)))
    if other:
        text = "other versions than those tested: " + ", ".join(f"{name} {found}" for name, found in other.items())
        findings.append(Finding("packages", NOTE, text, "python -m pip install -r requirements.txt"))
    if not findings:
        return [Finding("packages", OK, f"all {len(pins)} as requirements.txt pins them")]
    return findings


def files(requirements: Path = REQUIREMENTS) -> list[Finding]:
    """Whether the installed packages have all their files: a full disk or a cleaner may have taken some."""
    findings = []
    for name, pinned in _pins(requirements).items():
        lost = _lost(name)
        if lost:
            level = NOTE if _plain(name) in BESIDE else FAULT
            text = f"{name} has lost {len(lost)} of its files, {lost[0]} among them"
            findings.append(Finding("packages", level, text, _reinstall(name, pinned)))
    return findings


def begin_imports(looks: list[Look], thorough: bool = False) -> None:
    """Begin to import packages, in processes of their own that are added to others."""
    for names in THOROUGH if thorough else COMPILED:
        looks.append(Look("imports", *names, patience=PATIENCE if thorough else SOON))


def imports(looks: list[Look]) -> tuple[list[Finding], dict[str, dict[str, Any]]]:
    """How the imports went, and what the packages say of themselves, by name."""
    findings, imported, waiting = [], {}, []
    for look in looks:
        begun = None
        for line in look.lines():
            if "begun" in line:
                begun = line["begun"]
            elif "imported" in line:
                imported[line["imported"]], begun = line, None
            elif "broken" in line:
                begun = None
                findings.append(_broken(line["broken"], line["reason"]))
        if look.late:
            waiting += [begun] if begun else []
        elif begun:
            findings.append(_broken(begun, look.ended_by))
        elif look.ended_by and not findings:
            findings.append(Finding("imports", FAULT, f"Python can't be started anew: it {look.ended_by}"))
    if waiting:
        text = f"not waited for, the machine is busy or the disk slow: {', '.join(waiting)}"
        findings.append(Finding("imports", NOTE, text, "python -m storylab doctor --thorough waits for them"))
    if not findings:
        slow = ", ".join(f"{name} {one['seconds']:.1f} s" for name, one in imported.items() if one["seconds"] >= 0.1)
        findings.append(Finding("imports", OK, f"{len(imported)} packages ({slow})"))
    return findings, imported


def _broken(name: str, reason: str) -> Finding:
    level = NOTE if _plain(name) in BESIDE else FAULT
    advice = _reinstall(name, _pins(REQUIREMENTS).get(name, ""))
    return Finding("imports", level, f"{name} can't be imported: {reason}", advice)


def _lost(name: str) -> list[str]:
    """The files that a package's own list names and that are not there."""
    try:
        listed = [file for file in metadata.files(name) or () if file.suffix in (".py", ".so", ".pyd", ".json")]
        return [str(file) for file in listed if not os.path.exists(file.locate())]
    except Exception:  # no package, or a damaged list: `versions` says so
        return []


def _reinstall(name: str, pinned: str) -> str:
    return f"python -m pip install --force-reinstall --no-deps {name}" + (f"=={pinned}" if pinned else "")


def _pins(requirements: Path) -> dict[str, str]:
    try:
        lines = requirements.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return {}
    return {pin[1]: pin[2] for pin in map(_PIN.match, lines) if pin}


def _installed(name: str) -> str | None:
    """The version of an installed package; None where there is none, or its description is damaged."""
    try:
        return metadata.version(name) or None
    except Exception:  # a damaged description raises whatever its reader stumbles over
        return None


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _install(missing: dict[str, str]) -> str:
    if len(missing) > 3:
        return "python -m pip install -r requirements.txt"
    return "python -m pip install " + " ".join(f"'{name}=={pinned}'" for name, pinned in missing.items())
