"""The Training tab, in English."""

TEXTS: dict[str, str] = {}
