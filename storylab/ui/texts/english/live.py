"""Training while one looks on, in the Training tab, in English."""

TEXTS: dict[str, str] = {}
