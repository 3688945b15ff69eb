"""Leave one out: every conflict, register or other kind of document, seen by models without it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from sitrepbench.data.dataset import (
    CLUSTER,
    DOCUMENT_ID,
    LABEL,
    POSITION,
    SECONDARY,
    SENTENCE_ID,
    SPLIT,
    TEXT,
    Dataset,
)
from sitrepbench.data.duplicates import document_groups
from sitrepbench.errors import ProtocolError, did_you_mean
from sitrepbench.protocols.cells import Cell, Plan, Rows, development_rows
from sitrepbench.protocols.grouped_cv import PART, GroupedCV

#: Columns that tell of a sentence, or of the data's making, and not what a document is about.
_NOT_OF_DOCUMENTS = (SENTENCE_ID, POSITION, TEXT, LABEL, SECONDARY, SPLIT, CLUSTER)


@dataclass(frozen=True)
class LeaveOneOut:
    """Hold out the documents with one value of a column, fit on the others; for every value.

    Documents that share near-duplicates with what is held out are not trained on either. Test
    splits are neither trained on nor scored.

    Parameters
    ----------
    by : str
        A column that is the same for all sentences of a document: ``domain`` (the conflict), or
        one that the dataset adds, such as ``register``.
    minimum_sentences : int
        A value with fewer sentences is trained on but not held out: its own score would say
        little.
    control : bool
        Score the same sentences by cross-validation with as many folds as values are held out,
        documents mixed whatever their value. Models then train on as much as before, but have
        met every value: the difference is what not knowing it costs.
    """

    by: str = "domain"
    minimum_sentences: int = 30
    control: bool = False

    def __post_init__(self) -> None:
        if self.minimum_sentences < 1:
            raise ProtocolError(
                f"protocol.minimum_sentences={self.minimum_sentences}: at least 1 is needed"
            )

    def plan(self, dataset: Dataset) -> Plan:
        """Return one cell per held-out value, folds in the order of `held_out`.

        Raises
        ------
        ProtocolError
            When the column is missing, empty somewhere or differs within a document, when fewer
            than two values can be held out, or when nothing is left to train on.
        """
        rows = _rows(dataset)
        values = self._values(dataset, rows)
        held = self._enough(dataset, values)
        if self.control:
            return _mixed(dataset, rows[np.isin(values, held)], n_folds=len(held))
        groups = document_groups(dataset.frame)[rows]
        labels = dataset.frame[LABEL].to_numpy()[rows]
        cells = []
        for fold, value in enumerate(held):
            out = values == value
            free = ~np.isin(groups, groups[out])
            known = np.unique(labels[free])
            if len(known) < 2:
                raise ProtocolError(
                    f"dataset {dataset.name!r}: without {self.by} {value!r} and what shares "
                    f"near-duplicates with it, {int(free.sum())} sentence(s) of {len(known)} "
                    "label(s) are left to train on / at least 2 labels needed."
                )
            cells.append(Cell(PART, 0, fold, rows[free], rows[out]))
        return Plan(dataset, dataset, tuple(cells))

    def held_out(self, dataset: Dataset) -> tuple[str, ...]:
        """Return the values that are held out, sorted: fold 0 is the first of them.

        Raises
        ------
        ProtocolError
            As `plan`, for the column.
        """
        return self._enough(dataset, self._values(dataset, _rows(dataset)))

    def _values(self, dataset: Dataset, rows: Rows) -> npt.NDArray[np.object_]:
        """Return the column's value of every row as text, checked."""
        frame = dataset.frame
        possible = [str(name) for name in frame.columns if name not in _NOT_OF_DOCUMENTS]
        if self.by not in possible:
            what = "tells nothing about documents" if self.by in frame.columns else "is not there"
            raise ProtocolError(
                f"dataset {dataset.name!r}: the column protocol.by={self.by!r} {what}. Choose "
                f"one of {', '.join(possible)}." + did_you_mean(self.by, possible)
            )
        column = frame[self.by].iloc[rows]
        texts = column.astype(str).str.strip().where(column.notna(), "")
        documents = frame[DOCUMENT_ID].iloc[rows]
        self._check_values(dataset, texts, documents)
        return texts.to_numpy(dtype=object)

    def _check_values(self, dataset: Dataset, texts: pd.Series, documents: pd.Series) -> None:
        problems = []
        empty = documents[texts == ""].unique()
        if len(empty):
            problems.append(
                f"{len(empty)} document(s) have sentences without a value, for example "
                f"{empty[0]!r}. Give them one, or leave them out of the table."
            )
        different = texts.groupby(documents.to_numpy()).nunique()
        varying = different.index[different > 1]
        if len(varying):
            first = ", ".join(sorted(texts[documents == varying[0]].unique()))
            problems.append(
                f"it differs within {len(varying)} document(s), for example {varying[0]!r} "
                f"({first}); a document is held out as a whole, so it needs one value."
            )
        if problems:
            raise ProtocolError(
                f"dataset {dataset.name!r}, column protocol.by={self.by!r}: " + " ".join(problems)
            )

    def _enough(self, dataset: Dataset, values: npt.NDArray[np.object_]) -> tuple[str, ...]:
        names, counts = np.unique(values.astype(str), return_counts=True)
        held = tuple(str(name) for name in names[counts >= self.minimum_sentences])
        if len(held) >= 2:
            return held
        found = ", ".join(f"{name} {count}" for name, count in zip(names, counts, strict=True))
        raise ProtocolError(
            f"dataset {dataset.name!r}: {len(held)} value(s) of {self.by!r} with "
            f"protocol.minimum_sentences={self.minimum_sentences} or more / at least 2 needed; "
            f"found, with sentences: {found}"
        )


def _rows(dataset: Dataset) -> Rows:
    rows = development_rows(dataset)
    if not len(rows):
        raise ProtocolError(
            f"dataset {dataset.name!r} has test splits only ({', '.join(dataset.splits)}); "
            "leaving one out uses what is not a test split"
        )
    return rows


def _mixed(dataset: Dataset, scored: Rows, *, n_folds: int) -> Plan:
    """Return the cells of a cross-validation that score the rows ``scored`` only."""
    whole = GroupedCV(n_folds=n_folds).plan(dataset)
    cells = [
        Cell(PART, 0, cell.fold, cell.train, cell.test[np.isin(cell.test, scored)])
        for cell in whole.cells
    ]
    return Plan(dataset, dataset, tuple(cell for cell in cells if len(cell.test)))
