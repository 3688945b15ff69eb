"""How far a training has come, and the mark of a finished one. Needs torch."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError
from torch import nn

from sitrepbench.finetuning.network import read_trained
from sitrepbench.finetuning.place import DONE_FILE, clear

#: The state of a training under way.
LAST_FILE = "last.pt"
#: What reading a file raises that a killed process, or a full disk, left damaged.
DAMAGED = (OSError, ValueError, TypeError, KeyError, RuntimeError, EOFError, SafetensorError)


@dataclass(frozen=True)
class Progress:
    """How far a training has come.

    Parameters
    ----------
    epoch, step : int
        The epochs and optimizer steps that are done.
    best_epoch : int
        After which epoch the network was best on the watched rows; 0 is its start.
    best_score : float
        How good it was there; higher is better.
    """

    epoch: int = 0
    step: int = 0
    best_epoch: int = 0
    best_score: float = float("-inf")


def best_file(folder: Path, epoch: int) -> Path:
    """Return where the weights of the best epoch lie."""
    return folder / f"best-{epoch}.safetensors"


def mark_done(folder: Path, progress: Progress) -> None:
    """Write that a training is done, through to the disk; only then forget how it went on."""
    beside = folder / (DONE_FILE + ".new")
    with beside.open("w", encoding="utf-8") as file:
        file.write(json.dumps(asdict(progress)))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(folder / DONE_FILE)
    (folder / LAST_FILE).unlink(missing_ok=True)


def finished(network: nn.Module, folder: Path, *, weights: bool) -> Progress | None:
    """Return how a finished training went; None where there is none that can be taken.

    A folder with a damaged file is emptied, and the network left as it was.

    Parameters
    ----------
    weights : bool
        Whether the network is given the best weights.
    """
    path = folder / DONE_FILE
    if not path.exists():
        return None
    try:
        progress = Progress(**json.loads(path.read_text(encoding="utf-8")))
        if not all(isinstance(count, int) for count in (progress.epoch, progress.best_epoch)):
            raise TypeError("epochs are whole numbers")
        if weights:
            read_trained(network, best_file(folder, progress.best_epoch))
    except DAMAGED:
        clear(folder)
        return None
    (folder / LAST_FILE).unlink(missing_ok=True)
    return progress
