"""Decoding: how the next token is chosen, where a story ends, and what went wrong in it.

`sampling` needs torch and is imported by name (`from storylab.decoding.sampling import TokenChooser`), so
that reading settings or splitting sentences stays free of its start-up time.
"""

from storylab.decoding.pathologies import Pathology, find_pathologies
from storylab.decoding.settings import OPTIONS, PRESETS, Settings, check_opening, check_seed, own_seed
from storylab.decoding.stopping import first_sentences, split_sentences

__all__ = [
    "OPTIONS",
    "PRESETS",
    "Pathology",
    "Settings",
    "check_opening",
    "check_seed",
    "find_pathologies",
    "first_sentences",
    "own_seed",
    "split_sentences",
]
