"""The Stories tab, in Chinese."""

TEXTS: dict[str, str] = {}
