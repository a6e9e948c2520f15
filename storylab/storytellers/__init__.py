"""Storytellers: the catalogue, their weights, and telling. `load(name).tell(opening)` is all most need.

What needs torch is imported on first use, so that listing the storytellers stays quick.
"""

from storylab.storytellers.catalog import Entry, catalogue, describe
from storylab.storytellers.registry import load
from storylab.storytellers.telling import Piece, Telling

__all__ = ["Entry", "Piece", "Telling", "catalogue", "describe", "load"]
