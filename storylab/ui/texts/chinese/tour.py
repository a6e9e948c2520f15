"""The Tour tab, in Chinese."""

TEXTS: dict[str, str] = {}
