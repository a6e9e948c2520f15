"""`python -m storylab`: see storylab/cli.py."""

import sys

from storylab.cli import main

sys.exit(main())
