"""`python -m benchmarks NAME ...`: one of the benchmarks, by the name of its module."""

import importlib
import sys
from pathlib import Path

HELPERS = {"__init__", "__main__", "turns", "peers"}


def main() -> int:
    """Run the benchmark that is named; returns the exit status."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in HELPERS)
    if len(sys.argv) < 2 or sys.argv[1] not in names:
        print(f"usage: python -m benchmarks {{{','.join(names)}}} ...", file=sys.stderr)
        return 2
    return importlib.import_module(f"benchmarks.{sys.argv[1]}").main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
