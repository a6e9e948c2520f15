"""`python -m storylab`: see storylab/cli.py."""

import sys

if sys.argv[1:2] == ["doctor"]:  # it must run where the packages that the rest imports are missing or broken
    from storylab.doctor.cli import main

    sys.exit(main(sys.argv[2:]))

from storylab.cli import main

sys.exit(main())
