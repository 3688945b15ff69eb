"""A trained model: what it is called, what it reads, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from sitrepbench.calibration.fitted import Fitted
from sitrepbench.calibration.values import label_values
from sitrepbench.data.dataset import DOCUMENT_ID, DOMAIN, POSITION, SENTENCE_ID, TEXT
from sitrepbench.errors import DataError, ModelError
from sitrepbench.models.answers import Answers, predict
from sitrepbench.models.pipeline import transform

#: Columns that every table has in the end: what is not given is made up, see `TrainedModel.answer`.
COMPLETED = (SENTENCE_ID, DOCUMENT_ID, POSITION, TEXT, DOMAIN)
#: How many bad rows a message names.
_NAMED = 5


@dataclass(frozen=True)
class TrainedModel:
    """A pipeline, fitted on all its training rows, with what must be known to use it.

    Parameters
    ----------
    name : str
        What people call it.
    labels : tuple of str
        The label set, in the order of the probabilities.
    pipeline : Pipeline
        Fitted: from a sentence table to labels.
    calibrator : Fitted or None
        What mends the probabilities; the label stays the model's own.
    has_probabilities : bool
        Whether answers have probabilities; else these are NaN.
    reads_documents : bool
        Whether a row's answer may depend on other rows of its document, which must then be asked
        about together.
    columns : tuple of str
        What it reads beside ``text``.
    key : str
        The content key of the evaluation run whose configuration was fitted.
    folder : Path or None
        Where it lies; None before it is written.
    manifest : mapping
        The content of ``model.json``; empty before it is written.
    notes : tuple of str
        What whoever uses the model should know, such as other versions of libraries.
    """

    name: str
    labels: tuple[str, ...]
    pipeline: Pipeline
    calibrator: Fitted | None = None
    has_probabilities: bool = False
    reads_documents: bool = False
    columns: tuple[str, ...] = ()
    key: str = ""
    folder: Path | None = None
    manifest: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def answer(self, frame: pd.DataFrame, *, probabilities: bool = True) -> Answers:
        """Return the label and the probabilities of every row.

        Without ``document_id`` every row is a document of its own; without ``position`` a row's
        place among those of its document counts, from 0. Other columns that the model reads
        (see `columns`) must be there.

        Parameters
        ----------
        frame : DataFrame, n_rows rows
            With ``text``; its index does not count.
        probabilities : bool
            Whether they are wanted; else they are NaN, and the model is not asked for them.

        Returns
        -------
        labels : ndarray of str, shape (n_rows,)
        probabilities : ndarray of float, shape (n_rows, n_labels)
            In the order of `labels`; NaN where the model has none.

        Raises
        ------
        DataError
            When a column is missing or a value is not of its kind, with the rows, from 1.
        ModelError
            When the model fails on these rows.
        """
        given = self._completed(frame)
        if not len(given):
            return np.empty(0, dtype=object), np.empty((0, len(self.labels)))
        model = self.pipeline.steps[-1][1]
        try:
            features = transform(self.pipeline[:-1], given)
            # The calibrator asks the model itself.
            asked = probabilities and self.calibrator is None
            answers = predict(
                model, features, n_rows=len(given), labels=self.labels, probabilities=asked
            )
            if self.calibrator is None or not probabilities:
                return answers
            values = label_values(model, features, n_rows=len(given), labels=self.labels)
            return answers[0], self.calibrator.apply(values)
        except (ModelError, DataError):
            raise
        except Exception as error:  # a model is anybody's code
            raise ModelError(
                f"model {self.name!r} failed on {len(given)} row(s): "
                f"{type(error).__name__}: {error}"
            ) from error

    def _completed(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return a fresh table with every column that a pipeline may count on."""
        self._check(frame)
        rows = frame.reset_index(drop=True)
        made = pd.DataFrame({TEXT: rows[TEXT].astype(object)}, index=rows.index)
        made[DOCUMENT_ID] = _as_text(rows.get(DOCUMENT_ID, rows.index.to_series()))
        if POSITION in rows:
            made[POSITION] = rows[POSITION].astype(np.int64)
        elif DOCUMENT_ID in rows:
            made[POSITION] = made.groupby(DOCUMENT_ID, sort=False).cumcount().astype(np.int64)
        else:
            made[POSITION] = np.zeros(len(rows), dtype=np.int64)
        if SENTENCE_ID in rows:
            made[SENTENCE_ID] = _as_text(rows[SENTENCE_ID])
        else:
            places = zip(made[DOCUMENT_ID].tolist(), made[POSITION].tolist(), strict=True)
            made[SENTENCE_ID] = pd.Series(
                [f"{name}:{place}" for name, place in places], dtype=object
            )
        made[DOMAIN] = rows.get(DOMAIN, "")
        extras = [name for name in self.columns if name not in COMPLETED]
        made[extras] = rows[extras]
        return made[[*COMPLETED, *extras]]

    def _check(self, frame: pd.DataFrame) -> None:
        wanted = [TEXT, *(name for name in self.columns if name not in COMPLETED)]
        missing = [name for name in wanted if name not in frame.columns]
        problems = [f"column {name!r} is missing" for name in missing]
        doubled = frame.columns[frame.columns.duplicated()]
        problems += [f"column {name!r} is there twice" for name in dict.fromkeys(doubled)]
        if not problems:
            texts = [isinstance(value, str) for value in frame[TEXT].tolist()]
            problems += _rows("text is not a string", ~np.array(texts, dtype=bool))
        if not problems and POSITION in frame:
            numbers = pd.to_numeric(frame[POSITION], errors="coerce").to_numpy(dtype=np.float64)
            whole = np.isfinite(numbers) & (np.floor(numbers) == numbers) & (numbers >= 0)
            problems += _rows("position is not a whole number from 0", ~whole)
        if not problems and DOCUMENT_ID in frame:
            problems += _rows("document_id is missing", frame[DOCUMENT_ID].isna().to_numpy())
        if problems:
            columns = ", ".join(map(str, frame.columns)) or "none"
            raise DataError(
                f"model {self.name!r}: {'; '.join(problems)}. Found the columns {columns}; it "
                f"reads {', '.join([TEXT, *self.columns])}"
            )


def _as_text(values: pd.Series) -> pd.Series:
    """Return values as text; most are already, and pandas takes its time to find that out."""
    plain = values.tolist()
    if all(type(value) is str for value in plain):
        return pd.Series(plain, index=values.index, dtype=object)
    return values.astype(str).astype(object)


def _rows(what: str, bad: np.ndarray[Any, np.dtype[np.bool_]]) -> list[str]:
    """Return one line about the bad rows, numbered from 1; none where all are good."""
    rows = np.flatnonzero(bad) + 1
    if not len(rows):
        return []
    more = f" and {len(rows) - _NAMED:,} more" if len(rows) > _NAMED else ""
    return [f"{what} in row {', '.join(map(str, rows[:_NAMED]))}{more}"]
