"""The small models as a fixture."""

from small_models import small

__all__ = ["small"]
