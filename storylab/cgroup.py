"""What a container or service grants of the machine: Linux's control groups, both versions."""

from __future__ import annotations

from pathlib import Path

ROOT, OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
UNLIMITED = 2**60
"""Bytes; version 1 writes a number near 2**63 where there is no limit."""


def processors(root: Path = ROOT, own: Path = OWN) -> float | None:
    """How many processors' time is granted; None where there is no limit."""
    found = []
    for folder in _folders(root, own, "cpu"):
        words = _words(folder / "cpu.max")  # version 2; version 1 has them in files of their own
        words = words or _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")
        quota, period = [*map(_number, words), -1, -1][:2]
        if quota > 0 and period > 0:
            found.append(quota / period)
    return min(found, default=None)


def memory(root: Path = ROOT, own: Path = OWN) -> tuple[int, int] | None:
    """Bytes granted, and bytes of them in use; None where there is no limit."""
    found = []
    for folder in _folders(root, own, "memory"):
        for limit, used in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
            most, now = (_number((_words(folder / name) or [""])[0]) for name in (limit, used))
            if 0 < most < UNLIMITED:
                # What files the kernel keeps in memory counts as used, though it gives them up when asked.
                stat = _words(folder / "memory.stat")
                name = "total_inactive_file" if "total_inactive_file" in stat else "inactive_file"
                kept = _number(stat[stat.index(name) + 1]) if name in stat[:-1] else 0
                found.append((most, max(0, now - max(0, kept))))
    return min(found, default=None, key=lambda one: one[0] - one[1])


def _folders(root: Path, own: Path, controller: str) -> list[Path]:
    """The folders of this process's group and of those around it."""
    found = []
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        lines = []
    for line in lines:
        _, names, path = [*line.split(":", 2), "", ""][:3]
        bases = [root / name for name in names.split(",") if name == controller] if names else [root]
        for base in bases:
            parts = [part for part in path.split("/") if part]
            found += [base.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]
    return found or [root, root / controller]


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return []


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return -1
