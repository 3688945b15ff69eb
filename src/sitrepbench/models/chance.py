"""Stratified chance: labels drawn in the proportions of the training data."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from sitrepbench.data.dataset import SENTENCE_ID

_TWO_TO_64 = 2.0**64


class StratifiedChance(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Draw every label with the probability that it has in the training data.

    What is drawn for a sentence depends on the seed and on the sentence's id, and on nothing
    else: not on the order of the rows, nor on what other rows there are. The probabilities are
    the training frequencies, the same for every row; so the label drawn is often not the likeliest
    one.

    A label that has the share ``p`` of the training data and ``q`` of the scored data is met with
    an expected precision of ``q`` and recall of ``p``.

    Parameters
    ----------
    random_state : int or None
        The seed; None counts as 0.
    """

    reads_frame = True

    def __init__(self, random_state: int | None = None) -> None:
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: Sequence[str]) -> Self:
        """Count the labels of ``y``, shape (n_rows,)."""
        self.classes_, counts = np.unique(np.asarray(y, dtype=object), return_counts=True)
        self.frequencies_ = counts / counts.sum()
        return self

    def predict(self, X: pd.DataFrame) -> npt.NDArray[np.object_]:
        """Return a label for every row of ``X`` (column ``sentence_id``), shape (n_rows,)."""
        check_is_fitted(self, "frequencies_")
        draws = np.array([_draw(self.random_state or 0, name) for name in X[SENTENCE_ID]])
        upper = np.cumsum(self.frequencies_)[:-1]
        drawn = self.classes_[np.searchsorted(upper, draws, side="right")]
        return np.asarray(drawn, dtype=object)

    def predict_proba(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Return the training frequencies for every row, shape (n_rows, n_classes)."""
        check_is_fitted(self, "frequencies_")
        return np.tile(self.frequencies_, (len(X), 1))


def _draw(seed: int, name: str) -> float:
    """Return a number from 0 to below 1 that a seed and a sentence's id decide."""
    digest = hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / _TWO_TO_64
