"""Confusion counts per document: all that scores, intervals and comparisons need to know.

Documents are the unit that is sampled, so a part's predictions are kept as one small matrix per
repeat and document. Scores come from their sum, a resample of documents is a weighted sum, and
two models on the same documents are compared document by document.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from sitrepbench.predictions import PREDICTED, REPEAT, PredictionsTable

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class DocumentConfusions:
    """How often each label was taken for which, by repeat and document.

    Parameters
    ----------
    documents : tuple of str
        The documents' ids, sorted.
    domains : tuple of str
        The domain of each document; empty where it has none, or sentences of several.
    labels : tuple of str
        The label set, in order.
    counts : ndarray, shape (n_repeats, n_documents, L, L)
        Sentences by [gold, predicted].
    lenient : ndarray, shape (n_repeats, n_documents, L, L)
        The same where a prediction among the sentence's secondary labels counts as right: the
        sentence is counted at [predicted, predicted].
    """

    documents: tuple[str, ...]
    domains: tuple[str, ...]
    labels: tuple[str, ...]
    counts: Array
    lenient: Array

    @property
    def pooled(self) -> Array:
        """The counts of each repeat, shape (n_repeats, L, L)."""
        return np.asarray(self.counts.sum(axis=1))

    @property
    def supported(self) -> npt.NDArray[np.bool_]:
        """Which labels some gold sentence bears, shape (L,)."""
        return np.asarray(self.counts.sum(axis=(0, 1, 3)) > 0)


def grouped_confusions(
    groups: Codes, gold: Codes, predicted: Codes, shape: tuple[int, int]
) -> Array:
    """Return the confusion counts of each group of rows, shape (n_groups, L, L).

    Parameters
    ----------
    groups, gold, predicted : int ndarray, shape (n_rows,)
        The group of each row, and its labels as indices.
    shape : (int, int)
        The number of groups and of labels.
    """
    n_groups, n_labels = shape
    cells = (groups * n_labels + gold) * n_labels + predicted
    counts = np.bincount(cells, minlength=n_groups * n_labels * n_labels)
    return counts.astype(np.float64).reshape(n_groups, n_labels, n_labels)


def document_confusions(table: PredictionsTable) -> DocumentConfusions:
    """Count the predictions of one part by repeat, document, gold and predicted label.

    Parameters
    ----------
    table : PredictionsTable
        The rows of one part (`PredictionsTable.part`). A document that one repeat lacks has
        zero counts there.
    """
    frame = table.frame
    document, documents = pd.factorize(frame["document_id"], sort=True)
    repeat, repeats = pd.factorize(frame[REPEAT], sort=True)
    gold, predicted = table.codes("label"), table.codes(PREDICTED)
    forgiven = _among_secondary(frame["secondary"], predicted, table.labels)
    n_labels = len(table.labels)
    groups = repeat * len(documents) + document
    shape = (len(repeats) * len(documents), n_labels)
    full = (len(repeats), len(documents), n_labels, n_labels)
    strict = grouped_confusions(groups, gold, predicted, shape)
    lenient = grouped_confusions(groups, np.where(forgiven, predicted, gold), predicted, shape)
    return DocumentConfusions(
        documents=tuple(str(name) for name in documents),
        domains=_document_domains(document, frame["domain"], len(documents)),
        labels=table.labels,
        counts=strict.reshape(full),
        lenient=lenient.reshape(full),
    )


def _among_secondary(
    secondary: pd.Series, predicted: Codes, labels: tuple[str, ...]
) -> npt.NDArray[np.bool_]:
    """Return whether each row's prediction is one of its secondary labels (joined by ``|``)."""
    code, texts = pd.factorize(secondary, use_na_sentinel=False)
    # There are few different texts, however many rows there are.
    members = [set(str(text).split("|")) for text in texts]
    listed = np.array([[label in member for label in labels] for member in members], dtype=bool)
    return np.asarray(listed[code, predicted]) if len(code) else np.zeros(0, dtype=bool)


def _document_domains(document: Codes, domain: pd.Series, n_documents: int) -> tuple[str, ...]:
    code, names = pd.factorize(domain)  # -1 where there is none
    lowest, highest = np.full(n_documents, len(names)), np.full(n_documents, -1)
    np.minimum.at(lowest, document, code)
    np.maximum.at(highest, document, code)
    single = np.where(lowest == highest, lowest, -1)
    return tuple("" if index < 0 else str(names[index]) for index in single)
