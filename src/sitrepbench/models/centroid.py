"""The nearest centroid by angle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.preprocessing import normalize
from sklearn.utils.validation import check_is_fitted, validate_data


class CosineCentroid(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Predict the label whose mean row points most nearly the same way (Han & Karypis 2000).

    Every row is scaled to length one; a label's centroid is the mean of its rows. scikit-learn's
    `NearestCentroid` goes by distance and makes a dense copy of the training data, which for
    n-grams is some gigabytes.

    Attributes
    ----------
    centroids_ : float ndarray, shape (n_classes, n_features)
        Of length one.
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def fit(self, X: Any, y: Sequence[str]) -> Self:
        """Take the mean of every label's rows; ``X`` of shape (n_rows, n_features)."""
        X = validate_data(self, X, accept_sparse="csr", dtype=np.float64)
        self.classes_, codes = np.unique(np.asarray(y, dtype=object), return_inverse=True)
        members = sparse.csr_matrix(
            (np.ones(len(codes)), (codes, np.arange(len(codes)))),
            shape=(len(self.classes_), len(codes)),
        )
        sums = members @ normalize(X)
        # The direction of the mean is that of the sum.
        self.centroids_ = normalize(sums.toarray() if sparse.issparse(sums) else sums)
        return self

    def decision_function(self, X: Any) -> npt.NDArray[np.float64]:
        """Return the cosine of every row and centroid, shape (n_rows, n_classes)."""
        check_is_fitted(self, "centroids_")
        X = validate_data(self, X, accept_sparse="csr", dtype=np.float64, reset=False)
        return np.asarray(normalize(X) @ self.centroids_.T)

    def predict(self, X: Any) -> npt.NDArray[np.object_]:
        """Return the label of every row, shape (n_rows,); ties go to the first in order."""
        best = self.decision_function(X).argmax(axis=1)
        return np.asarray(self.classes_[best], dtype=object)
