"""Where fits under way are kept; set around a run, and no part of a model or of its key."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

#: Written into a fit's folder when it is done.
DONE_FILE = "done.json"
#: Of so many finished fits of a run the weights are kept until the run is done; they are large.
KEPT_FITS = 25

_FOLDER: ContextVar[Path | None] = ContextVar("fits", default=None)


@contextmanager
def fits_kept_in(folder: Path | None) -> Iterator[None]:
    """Let the fits inside keep their checkpoints and curves in a folder; None keeps nothing."""
    token = _FOLDER.set(folder)
    try:
        yield
    finally:
        _FOLDER.reset(token)


def fit_folder(name: str) -> Path | None:
    """Return the folder of one fit, made where it is missing; None where nothing is kept."""
    folder = _FOLDER.get()
    if folder is None:
        return None
    own = folder / name
    own.mkdir(parents=True, exist_ok=True)
    return own


def forget_older_weights(folder: Path) -> None:
    """Remove the weights of the oldest finished fits beside ``folder`` where there are many."""
    done = sorted(folder.parent.glob(f"*/{DONE_FILE}"), key=lambda path: path.stat().st_mtime)
    for mark in done[:-KEPT_FITS]:
        mark.unlink(missing_ok=True)
        for weights in mark.parent.glob("*.safetensors"):
            weights.unlink(missing_ok=True)


def clear(folder: Path) -> None:
    """Empty a fit's folder: what lies there cannot be gone on with."""
    with suppress(OSError):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
