"""The Decoding tab, in English."""

TEXTS: dict[str, str] = {}
