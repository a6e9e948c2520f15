"""Training while one looks on, in the Training tab, in Chinese."""

TEXTS: dict[str, str] = {}
