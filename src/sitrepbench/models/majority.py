"""The majority class: the floor below which no score means anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted


def _learns_frequencies(model: MajorityClass) -> bool:
    return model.label is None


class MajorityClass(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Predict one label for everything.

    Parameters
    ----------
    label : str or None
        The label to predict. With None, the most frequent one of the training data, ties going
        to the first in alphabetical order, with the training frequencies as probabilities.
        With a label, nothing is fitted and there are no probabilities.
    """

    reads_frame = True

    def __init__(self, label: str | None = None) -> None:
        self.label = label

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = self.label is None
        return tags

    def fit(self, X: pd.DataFrame, y: Sequence[str]) -> Self:
        """Count the labels of ``y``, shape (n_rows,)."""
        self.classes_, counts = np.unique(np.asarray(y, dtype=object), return_counts=True)
        self.frequencies_ = counts / counts.sum()
        return self

    def predict(self, X: pd.DataFrame) -> npt.NDArray[np.object_]:
        """Return the one label, shape (n_rows,)."""
        if self.label is not None:
            return np.full(len(X), self.label, dtype=object)
        check_is_fitted(self, "frequencies_")
        return np.full(len(X), self.classes_[np.argmax(self.frequencies_)], dtype=object)

    @available_if(_learns_frequencies)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Return the training frequencies for every row, shape (n_rows, n_classes)."""
        check_is_fitted(self, "frequencies_")
        return np.tile(self.frequencies_, (len(X), 1))
