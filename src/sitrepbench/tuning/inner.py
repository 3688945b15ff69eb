"""Answers and scores on inner folds: training rows held out, in turn or by their split."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from sitrepbench.metrics.confusion import grouped_confusions
from sitrepbench.metrics.scores import macro_f1
from sitrepbench.models.answers import predict
from sitrepbench.models.folds import DocumentFolds
from sitrepbench.models.pipeline import transform
from sitrepbench.reuse.transformed import Matrix, Transformed, shielded

Answer = TypeVar("Answer")


class InnerFolds:
    """The inner folds of one cell, their features fitted once for all trials.

    Parameters
    ----------
    frame : DataFrame
        What a model may see of the training rows.
    labels : array of str, shape (n_rows,)
        Their labels.
    features : Pipeline
        The steps before the model, seeded and unfitted; without steps where the model reads the
        sentence table itself. They are fitted on the rows of a fold's other folds only.
    groups : int array, shape (n_rows,)
        Rows of one group, such as near-duplicates, are never on both sides.
    known : tuple of str
        The dataset's labels, in order.
    n_folds : int
        How many; fewer where there are fewer documents.
    held_out : bool array, shape (n_rows,), or None
        Rows that are the one fold, in the place of ``n_folds``.
    """

    def __init__(
        self,
        frame: pd.DataFrame,
        labels: npt.NDArray[np.object_],
        features: Pipeline | None,
        *,
        groups: npt.NDArray[np.int64],
        known: tuple[str, ...],
        n_folds: int,
        held_out: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        self._known = known
        self._folds: list[tuple[Any, npt.NDArray[np.object_], Any, npt.NDArray[np.int64]]] = []
        codes = pd.Index(known).get_indexer(pd.Index(labels))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            splits = (
                DocumentFolds(n_folds).split(frame, labels, groups)
                if held_out is None
                else [(np.flatnonzero(~held_out), np.flatnonzero(held_out))]
            )
            for fitted, scored in splits:
                train = frame.iloc[fitted].reset_index(drop=True)
                test = frame.iloc[scored].reset_index(drop=True)
                if features is not None:
                    steps = clone(features)
                    train = steps.fit_transform(train, labels[fitted])
                    test = transform(steps, test)
                # A trial that writes into its input must not change what the next one sees.
                Transformed(train, test, 0.0, 0.0).freeze()
                self._folds.append((train, labels[fitted], test, codes[scored]))

    def answers(
        self, model: Any, ask: Callable[..., Answer]
    ) -> list[tuple[Answer, npt.NDArray[np.int64]]]:
        """Return what a model, fitted on the other folds, answers about each fold.

        Parameters
        ----------
        model : estimator
            It is cloned and not fitted itself.
        ask : callable
            Takes a fitted model, the fold's rows, and by name ``n_rows`` and ``labels``, as
            `sitrepbench.models.answers.predict` does.

        Returns
        -------
        list of (answer, codes)
            With the fold's labels as indices.
        """
        found = []
        with warnings.catch_warnings():
            # The model is fitted once more on all rows, and what is said then is kept.
            warnings.simplefilter("ignore")
            for train, labels, test, codes in self._folds:
                fitted = shielded(partial(_fitted, model, labels), train)
                asked = partial(ask, fitted, n_rows=len(codes), labels=self._known)
                found.append((shielded(asked, test), codes))
        return found

    def score(self, model: Any) -> float:
        """Return the macro-F1 of a model's pooled answers; it is cloned and not fitted itself."""
        gold, answered = [], []
        for (predicted, _), codes in self.answers(model, predict):
            gold.append(codes)
            answered.append(pd.Index(self._known).get_indexer(pd.Index(predicted)))
        codes = np.concatenate(gold).astype(np.int64)
        n_labels = len(self._known)
        (confusion,) = grouped_confusions(
            np.zeros(len(codes), dtype=np.int64),
            codes,
            np.concatenate(answered).astype(np.int64),
            (1, n_labels),
        )
        return float(macro_f1(confusion, labels=confusion.sum(axis=1) > 0))


def _fitted(model: Any, labels: npt.NDArray[np.object_], train: Matrix) -> Any:
    return clone(model).fit(train, labels)
