"""The Stories tab, in English."""

TEXTS: dict[str, str] = {}
