"""Where the program's own files lie: ``conf/``, ``experiments/``, ``data/`` and ``seeds/``.

In a checkout they stand at its top; in an installed wheel, inside the package.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Folder = Literal["conf", "experiments", "data", "seeds"]


def resource_folder(folder: Folder) -> Path:
    """Return the absolute path of one of the program's own folders."""
    package = Path(__file__).resolve().parent
    installed = package / "_project" / folder
    if installed.is_dir():
        return installed
    return package.parents[1] / folder
