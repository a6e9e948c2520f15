"""The Decoding tab, in Chinese."""

TEXTS: dict[str, str] = {}
