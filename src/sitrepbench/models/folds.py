"""Folds within the training data, for models that need held-out answers of their own parts."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from sitrepbench.data.dataset import CLUSTER
from sitrepbench.data.duplicates import document_groups
from sitrepbench.errors import ModelError

Rows = npt.NDArray[np.int64]


class DocumentFolds:
    """Splits a sentence table by documents, each label spread as evenly as they allow.

    A splitter in scikit-learn's sense that needs no groups beside the table: it reads them from
    it. Documents that share a long sentence word for word stay together. Nothing is shuffled, so
    the same table gives the same folds.

    Parameters
    ----------
    n_folds : int
        How many folds; fewer where there are not as many documents.
    """

    def __init__(self, n_folds: int = 5) -> None:
        if n_folds < 2:
            raise ModelError(f"inner folds are two or more, found n_folds={n_folds}")
        self.n_folds = n_folds

    def split(
        self, X: pd.DataFrame, y: npt.ArrayLike, groups: npt.ArrayLike | None = None
    ) -> Iterator[tuple[Rows, Rows]]:
        """Yield the rows to fit on and the rows held out, fold by fold.

        Parameters
        ----------
        X : DataFrame, n_rows rows
            With the columns ``document_id`` and ``text``.
        y : array of str, shape (n_rows,)
            Labels.
        groups : int array, shape (n_rows,), or None
            What must stay together; None for what the table's documents and texts tell.

        Raises
        ------
        ModelError
            When there are fewer than two documents to split.
        """
        told = document_groups(X.assign(**{CLUSTER: ""})) if groups is None else groups
        _, together = np.unique(np.asarray(told), return_inverse=True)
        labels = np.asarray(y, dtype=object)
        _, counts = np.unique(labels, return_counts=True)
        possible = min(self.n_folds, together.max(initial=-1) + 1, counts.max(initial=0))
        if possible < 2:
            raise ModelError(
                f"inner folds need two documents at least, found {together.max(initial=-1) + 1} "
                f"with {len(labels)} sentences. Train on more, or choose another model."
            )
        with warnings.catch_warnings():
            # A label of few sentences is spread as well as it can be.
            warnings.filterwarnings("ignore", "The least populated class", UserWarning)
            yield from StratifiedGroupKFold(int(possible)).split(together, labels, together)

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:
        """Return how many folds are asked for."""
        return self.n_folds
