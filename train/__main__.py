"""`python -m train NAME`: see storylab/training/cli.py."""

import sys
from pathlib import Path

from storylab.heap import keep_what_is_freed
from storylab.storytellers.registry import find_base
from storylab.training.cli import main

if __name__ == "__main__":
    keep_what_is_freed()
    sys.exit(main(None, Path(__file__).parent, find_base))
