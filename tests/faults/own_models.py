"""Models that write down each fit, wait at a gate, and break in every way that models break.

The sweeps of the fault tests import it by PYTHONPATH, as a user's own module.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.naive_bayes import ComplementNB

_SECONDS = 120.0


class Behaving(ComplementNB):
    """Complement naive Bayes, with a deed at each fit.

    Parameters
    ----------
    alpha : float
        As in `ComplementNB`.
    deed : str or None
        What to do at each fit; see ``_DEEDS``, and ``no numbers``, which gives no probabilities.
    log : str or None
        A file to which each fit adds a line: alpha and process.
    gate : str or None
        A file for which each fit waits.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        deed: str | None = None,
        log: str | None = None,
        gate: str | None = None,
    ) -> None:
        super().__init__(alpha=alpha)
        self.deed = deed
        self.log = log
        self.gate = gate

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit, after the deed."""
        if self.log is not None:
            with Path(self.log).open("a", encoding="utf-8") as file:
                file.write(f"{self.alpha} {os.getpid()}\n")
        if self.gate is not None:
            _wait_for(Path(self.gate))
        if self.deed in _DEEDS:
            _DEEDS[self.deed]()
        super().fit(X, y, sample_weight)
        return self

    def predict_proba(self, X: Any) -> Any:
        """Return probabilities, or what is none."""
        given = super().predict_proba(X)
        return np.full_like(given, np.nan) if self.deed == "no numbers" else given


def _wait_for(file: Path) -> None:
    deadline = time.monotonic() + _SECONDS
    while not file.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"no {file}")
        time.sleep(0.005)


def _raise() -> None:
    raise RuntimeError("the matrix is odd \ud800")


def _never_end() -> None:
    while True:
        pass


_DEEDS: dict[str, Callable[[], object]] = {
    "raise": _raise,
    "exit": lambda: sys.exit(3),
    "leave": lambda: os._exit(4),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "loop": _never_end,
    # A search that takes longer than the universe, in C, holding the interpreter's lock.
    "match": lambda: re.match(r"(a+)+$", "a" * 60 + "b"),
}
