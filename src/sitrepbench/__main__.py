"""``python -m sitrepbench`` is the command line."""

import sys

from sitrepbench.cli import main

sys.exit(main())
