"""What an examination finds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

OK, NOTE, FAULT = "ok", "note", "fault"
"""How things stand: well; worth knowing, but stories are told; in the way of telling."""
LEVELS = (OK, NOTE, FAULT)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    """What was looked at, in a word or two."""
    level: str
    """One of `LEVELS`."""
    text: str
    """How it stands, in a line."""
    advice: str = ""
    """What to do where it isn't well, in a line."""
    details: dict[str, Any] = field(default_factory=dict)
    """Figures for a program."""

    def to_dict(self) -> dict[str, Any]:
        """The finding as JSON-ready data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Finding:
        """A finding from what `to_dict` made of one in another process."""
        return cls(**data)


def in_a_line(error: BaseException) -> str:
    """An error's class and message, as one line of moderate length."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= 200 else text[:197] + "..."


def size(count: float) -> str:
    """Bytes as people say them."""
    for unit, bytes_of in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= bytes_of:
            return f"{count / bytes_of:.3g} {unit}"
    return f"{count:.0f} bytes"
