"""A small network on dense features."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Self

from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier


class Perceptron(MLPClassifier):  # type: ignore[misc]
    """`MLPClassifier` for a set number of epochs.

    scikit-learn's own warns after every fit that did not come to rest. Here the number of epochs
    is a setting, and weight decay keeps the network from learning the rows by heart. Its early
    stopping would hold out single sentences, whose documents are in the training data.
    """

    def fit(self, X: Any, y: Sequence[str]) -> Self:
        """Fit; ``X`` of shape (n_rows, n_features)."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            super().fit(X, y)
        return self
