"""The machine: processor, threads, memory, devices."""

from __future__ import annotations

import os
import platform
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from storylab import cgroup
from storylab.doctor.finding import FAULT, NOTE, OK, Finding, size

CPUINFO, MEMINFO = Path("/proc/cpuinfo"), Path("/proc/meminfo")
FEATURES = {
    "AVX2": {"avx2"},
    "AVX-512": {"avx512f"},
    "VNNI": {"avx512_vnni", "avx_vnni", "asimddp"},
    "bf16": {"avx512_bf16", "amx_bf16", "bf16"},
    "NEON": {"asimd"},
}
"""What speeds up telling, by the flags that Linux gives it."""
LITTLE, ENOUGH = 0.4e9, 1.0e9
"""Bytes: below the first not even one storyteller in a shell, which peaks at half a gigabyte, can be counted on; the
second is what the page with four takes (docs/speed.md), and some room."""


def processor(cpuinfo: Path = CPUINFO) -> Finding:
    """What the processor has that speeds up telling, and what tells by what."""
    flags = _flags(cpuinfo)
    has = [name for name, any_of in FEATURES.items() if flags & any_of]
    engine = os.environ.get("STORYLAB_ENGINE") or "auto"
    dtype = os.environ.get("STORYLAB_DTYPE") or "auto"
    onnx = find_spec("onnxruntime") is not None and engine != "torch" and dtype != "bf16"
    if dtype == "auto":  # as storylab.engines.choice decides, which can't be imported here
        dtype = "int8" if onnx and "AVX2" in has else "fp32"
    details = {"machine": platform.machine(), "features": has, "engine": "onnx" if onnx else "torch", "dtype": dtype}
    found = f"{platform.machine() or 'unknown'}" + (f" with {', '.join(has)}" if has else "")
    tells = f"{'ONNX Runtime' if onnx else 'torch'} tells in {dtype}"
    if flags and "AVX2" not in has and "NEON" not in has:
        return Finding("processor", NOTE, f"{found}: neither AVX2 nor NEON, so telling is slow", details=details)
    if dtype == "bf16" and flags and "bf16" not in has:
        advice = "unset STORYLAB_DTYPE"
        return Finding("processor", NOTE, f"{found}: bf16 is emulated, and slow; {tells}", advice, details)
    return Finding("processor", OK, f"{found}; {tells}", details=details)


def threads(imported: dict[str, dict[str, Any]]) -> Finding:
    """How many threads compute, against how many processors there are for them."""
    cores, granted = _cores(), cgroup.processors()
    room = min(cores, granted) if granted else cores
    details: dict[str, Any] = {"cores": cores, "granted": granted}
    text = f"{cores} core{'s' * (cores != 1)}" + (f", {granted:g} of them granted" if granted else "")
    taken = imported.get("torch", {}).get("threads")
    if taken is None:
        return Finding("threads", OK, text, details=details)
    onnx = max(1, min(4, taken))
    details |= {"torch": taken, "onnx": onnx}
    text += f"; torch takes {taken}, ONNX Runtime {onnx}"
    fitting = max(1, int(room))
    if taken > fitting:
        return Finding("threads", NOTE, f"{text}: more threads than room", f"set OMP_NUM_THREADS={fitting}", details)
    if taken < fitting // 2:
        return Finding("threads", NOTE, f"{text}: cores stay idle", "unset OMP_NUM_THREADS", details)
    return Finding("threads", OK, text, details=details)


def memory(meminfo: Path = MEMINFO) -> Finding:
    """How much memory is free for the page and its storytellers."""
    free, limit = _available(meminfo), cgroup.memory()
    if limit:
        left = limit[0] - limit[1]
        free = left if free is None else min(free, left)
    if free is None:
        return Finding("memory", OK, "how much is free can't be told here")
    details = {"free": free, "limit": limit[0] if limit else None}
    text = f"{size(free)} free" + (f", of {size(limit[0])} granted" if limit else "")
    if free < LITTLE:
        advice = "end what else runs, or grant more: the page takes 0.8 GB"
        return Finding("memory", FAULT, f"{text}: too little for a storyteller", advice, details)
    if free < ENOUGH:
        return Finding("memory", NOTE, f"{text}: scarce for a page", "end what else runs, or grant more", details)
    return Finding("memory", OK, text, details=details)


def devices(imported: dict[str, dict[str, Any]]) -> Finding:
    """Graphics cards; none is needed."""
    torch = imported.get("torch", {})
    if torch.get("cuda"):
        cards = ", ".join(f"{one['name']} ({size(one['memory'])})" for one in torch["cuda"])
        return Finding("devices", OK, f"{cards}; --device cuda tells and trains there", details={"cuda": torch["cuda"]})
    card = Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi")
    if card and torch:
        build = f"built for CUDA {torch['cuda_build']}" if torch.get("cuda_build") else "built without CUDA"
        advice = "compare nvidia-smi's CUDA version with torch's, or go on: none is needed"
        return Finding("devices", NOTE, f"there is an NVIDIA card, but torch, {build}, can't use it", advice)
    return Finding("devices", OK, "the processor alone, which is enough", details={"cuda": []})


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _flags(cpuinfo: Path) -> set[str]:
    """The processor's features by Linux's names; empty where they can't be told."""
    try:
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("flags", "Features"):
                return set(value.split())
    except OSError:
        pass
    return {"asimd", "asimddp"} if platform.system() == "Darwin" and platform.machine() == "arm64" else set()


def _available(meminfo: Path) -> int | None:
    try:
        for line in meminfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None
