"""A model with the data that it is tried on, and how what goes wrong on the way is told."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from sitrepbench.models.answers import Answers, predict

#: What a model may end with: anybody's code also calls sys.exit.
FAILURES = (Exception, SystemExit)
#: Its frames in a traceback are not the user's code.
_PACKAGE = Path(__file__).resolve().parents[1]
Labels = npt.NDArray[np.object_]
#: How far probabilities of the same sentence may lie apart: sums in another order differ so much.
PROBABILITY_TOLERANCE = 1e-6


@dataclass
class Trial:
    """A pipeline with the data that it is tried on, and what came of it so far."""

    pipeline: Pipeline
    train: pd.DataFrame
    labels: Labels
    test: pd.DataFrame
    test_labels: Labels
    fitted: Any = field(init=False)
    answers: Answers = field(init=False)
    changed: bool = False

    @property
    def known(self) -> tuple[str, ...]:
        """The labels of the training rows, sorted."""
        return tuple(sorted(set(self.labels)))

    def fit(self, rows: npt.NDArray[np.bool_] | None = None) -> Any:
        """Return a fitted clone; of the training rows that are chosen, or of all."""
        taken = np.ones(len(self.train), dtype=bool) if rows is None else rows
        return clone(self.pipeline).fit(
            self.train[taken].reset_index(drop=True), self.labels[taken]
        )

    def ask(self, fitted: Any, rows: pd.DataFrame) -> Answers:
        """Return labels and probabilities of some rows, held to the contract of a run."""
        given = rows.copy(deep=True)
        answers = predict(fitted, given, n_rows=len(rows), labels=self.known)
        self.changed |= not given.equals(rows)
        return answers


def told_error(error: BaseException) -> str:
    """Return what went wrong, and where in the user's own code, if it was there."""
    where = ""
    for frame in traceback.extract_tb(error.__traceback__):
        file = Path(frame.filename)
        foreign = "site-packages" in file.parts or file.is_relative_to(_PACKAGE)
        if not foreign and file.is_file():
            where = f" ({file.name}, line {frame.lineno}, in {frame.name})"
    return f"{type(error).__name__}: {error}{where}"


def close(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> bool:
    return bool(np.allclose(one, other, rtol=0, atol=PROBABILITY_TOLERANCE, equal_nan=True))
