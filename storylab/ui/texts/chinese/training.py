"""The Training tab, in Chinese."""

TEXTS: dict[str, str] = {}
