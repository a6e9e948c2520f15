"""The Tour tab, in English."""

TEXTS: dict[str, str] = {}
