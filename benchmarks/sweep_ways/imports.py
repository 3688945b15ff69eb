"""What importing alone costs a command of this program.

python imports.py --record MODULES.json ARGUMENTS...   run the command, write what it imported
python imports.py MODULES.json                         only import that
"""

from __future__ import annotations

import contextlib
import json
import sys
from importlib import import_module
from pathlib import Path


def record(path: str, arguments: list[str]) -> int:
    """Run ``sitrepbench ARGUMENTS`` and write down the modules of the process."""
    from sitrepbench.cli import main

    code = main(arguments)
    Path(path).write_text(json.dumps(list(sys.modules)), encoding="utf-8")
    return code


def import_again(path: str) -> None:
    """Import the modules in the order in which they came."""
    for name in json.loads(Path(path).read_text(encoding="utf-8")):
        # Some names of sys.modules are no modules of their own; what they belong to was imported.
        if not name.startswith("__"):
            with contextlib.suppress(Exception):
                import_module(name)


if __name__ == "__main__":
    if sys.argv[1] == "--record":
        sys.exit(record(sys.argv[2], sys.argv[3:]))
    import_again(sys.argv[1])
