"""The Tokens tab, in English."""

TEXTS: dict[str, str] = {}
