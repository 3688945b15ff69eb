"""The predictions table: the one thing a run produces; every score is computed from it."""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from sitrepbench.errors import DataError
from sitrepbench.parts import is_test_part as is_test_part

PART = "part"
REPEAT = "repeat"
FOLD = "fold"
PREDICTED = "predicted"

#: The columns before the probabilities ``p_<label>``.
KEY_COLUMNS = (
    "sentence_id",
    "document_id",
    "domain",
    PART,
    REPEAT,
    FOLD,
    "label",
    "secondary",
    PREDICTED,
)


@dataclass(frozen=True)
class PredictionsTable:
    """What a model said about every sentence it was asked about.

    Parameters
    ----------
    frame : DataFrame
        One row per sentence and repeat, columns `KEY_COLUMNS` and one ``p_<label>`` (float) per
        label. ``part`` tells what was scored: ``cv`` (held-out folds), ``dev``, ``test``,
        ``test_ood`` ... or ``all``; ``repeat`` and ``fold`` are integers from 0. Probabilities
        are NaN where a model has none.
    labels : tuple of str
        The label set, in order.

    Raises
    ------
    DataError
        When a column is missing, a label is unknown or a sentence is scored twice in one
        repeat of one part.
    """

    frame: pd.DataFrame
    labels: tuple[str, ...]
    _codes: dict[str, npt.NDArray[np.int64]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        wanted = [*KEY_COLUMNS, *self.probability_columns]
        missing = [name for name in wanted if name not in self.frame.columns]
        if missing:
            raise DataError(f"predictions lack the column(s) {', '.join(missing)}")
        for column in ("label", PREDICTED):
            unknown = sorted({str(name) for name in self.frame[column].unique()} - {*self.labels})
            if unknown:
                raise DataError(f"predictions hold unknown {column}(s): {', '.join(unknown)}")
        doubled = self.frame.duplicated([PART, REPEAT, "sentence_id"])
        if doubled.any():
            first = self.frame["sentence_id"][doubled].iloc[0]
            raise DataError(
                f"{int(doubled.sum())} sentence(s) are predicted twice in one repeat, "
                f"the first is {first!r}"
            )

    @property
    def probability_columns(self) -> tuple[str, ...]:
        """The names of the probability columns, in label order."""
        return tuple(f"p_{label}" for label in self.labels)

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts in the table, development parts before test parts."""
        names = {str(name) for name in self.frame[PART].unique()}
        return tuple(sorted(names, key=lambda name: (is_test_part(name), name)))

    @property
    def has_probabilities(self) -> bool:
        """Whether every row carries probabilities."""
        return bool(self.frame[list(self.probability_columns)].notna().all(axis=None))

    def part(self, name: str) -> PredictionsTable:
        """Return the rows of one part."""
        if self.parts == (name,):
            return self
        rows = self.frame[self.frame[PART] == name].reset_index(drop=True)
        return PredictionsTable(rows, self.labels)

    def codes(self, column: str) -> npt.NDArray[np.int64]:
        """Return ``label`` or ``predicted`` as indices into `labels`, shape (n_rows,)."""
        if column not in self._codes:
            found = pd.Index(self.labels).get_indexer(pd.Index(self.frame[column]))
            self._codes[column] = np.asarray(found, dtype=np.int64)
        return self._codes[column]

    def digest(self) -> str:
        """Return the sha256 of which label was predicted for which sentence; no probabilities.

        Probabilities may differ in their last bits between thread counts; labels may not.
        """
        columns = [PART, REPEAT, FOLD, "sentence_id", PREDICTED]
        rows = zip(*(self.frame[column].tolist() for column in columns), strict=True)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(sorted(rows))
        return hashlib.sha256(text.getvalue().encode()).hexdigest()

    def write(self, path: Path) -> None:
        """Write the table as Parquet."""
        self.frame.to_parquet(path, index=False)

    @classmethod
    def read(cls, path: Path, labels: tuple[str, ...]) -> PredictionsTable:
        """Read a table that `write` wrote."""
        try:
            return cls(pd.read_parquet(path), labels)
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: not a readable predictions table: {error}") from error
