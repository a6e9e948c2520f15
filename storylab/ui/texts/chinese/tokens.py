"""The Tokens tab, in Chinese."""

TEXTS: dict[str, str] = {}
