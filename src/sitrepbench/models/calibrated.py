"""Probabilities for models that have none, calibrated on documents held out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.utils.validation import check_is_fitted

from sitrepbench.errors import ModelError
from sitrepbench.features.contents import ContentOfParts
from sitrepbench.models.folds import DocumentFolds
from sitrepbench.models.pipeline import own_features


class Calibrated(ContentOfParts, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """scikit-learn's `CalibratedClassifierCV` with inner folds that keep documents whole.

    Sentences of one document are alike: folds that split documents would calibrate on what the
    model has nearly seen, and its probabilities would be too sure. The features are fitted once
    on all training sentences, the model once per inner fold on the others; what it says of the
    fold decides the curve from decision values to probabilities (Platt 1999 for ``sigmoid``,
    Zadrozny & Elkan 2002 for ``isotonic``), and the folds' probabilities are averaged.

    Parameters
    ----------
    features : transformer
        From a sentence table to numbers.
    model : classifier
        With ``decision_function`` or ``predict_proba``.
    method : {"sigmoid", "isotonic"}
        The curve.
    n_folds : int
        Inner folds; fewer where there are fewer documents.
    """

    reads_frame = True

    def __init__(
        self,
        features: Any = None,
        model: Any = None,
        *,
        method: Literal["sigmoid", "isotonic"] = "sigmoid",
        n_folds: int = 5,
    ) -> None:
        self.features = features
        self.model = model
        self.method = method
        self.n_folds = n_folds

    def fit(self, X: pd.DataFrame, y: Sequence[str]) -> Self:
        """Fit the features, the model per inner fold, and the curves.

        Raises
        ------
        ModelError
            Without features, with one label only, or with fewer than two documents.
        """
        labels = np.asarray(y, dtype=object)
        if len(set(labels)) < 2:
            raise ModelError(
                f"there is nothing to calibrate: all {len(labels)} training sentences are "
                f"{labels[0]!r}; train on sentences of two labels at least"
            )
        self.features_ = clone(own_features(self.features, self))
        self.calibrated_ = CalibratedClassifierCV(
            clone(self.model),
            method=self.method,
            cv=list(DocumentFolds(self.n_folds).split(X, labels)),
            ensemble=True,
        )
        self.calibrated_.fit(self.features_.fit_transform(X, labels), labels)
        self.classes_ = self.calibrated_.classes_
        return self

    def predict_proba(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Return the probabilities of every row's labels, shape (n_rows, n_classes)."""
        check_is_fitted(self, "calibrated_")
        return np.asarray(self.calibrated_.predict_proba(self.features_.transform(X)))

    def predict(self, X: pd.DataFrame) -> npt.NDArray[np.object_]:
        """Return the likeliest label of every row, shape (n_rows,)."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)], dtype=object)
