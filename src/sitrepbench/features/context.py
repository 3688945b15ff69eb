"""A sentence beside its neighbours of the same document."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted

from sitrepbench.data.dataset import DOCUMENT_ID, POSITION, TEXT
from sitrepbench.errors import ModelError
from sitrepbench.features.contents import ContentOfParts

NOBODY = -1


def neighbour_rows(frame: pd.DataFrame, offset: int) -> npt.NDArray[np.int64]:
    """Return which row holds every row's neighbour, `NOBODY` where there is none.

    The neighbour at ``offset`` is the row of the same document whose position differs by exactly
    that. So a sentence beside a gap has no neighbour there: what stood in the gap is not known,
    and what stands behind it was not next to it. Where several rows share a position, the last of
    them in the table is meant.

    Parameters
    ----------
    frame : DataFrame, n_rows rows
        With the columns ``document_id`` and ``position``, in any order.
    offset : int
        -1 for the previous sentence, 1 for the next one.

    Returns
    -------
    ndarray of int, shape (n_rows,)
        Row numbers from 0.

    Examples
    --------
    >>> frame = pd.DataFrame({"document_id": list("aaab"), "position": [1, 2, 4, 3]})
    >>> neighbour_rows(frame, -1).tolist()
    [-1, 0, -1, -1]
    """
    documents, _ = pd.factorize(frame[DOCUMENT_ID])
    positions = frame[POSITION].to_numpy(dtype=np.int64)
    places = pd.MultiIndex.from_arrays([documents, positions])
    last = np.flatnonzero(~places.duplicated(keep="last"))
    wanted = pd.MultiIndex.from_arrays([documents, positions + offset])
    found = places[last].get_indexer(wanted)
    return np.where(found == NOBODY, NOBODY, last[found]).astype(np.int64)


class Context(ContentOfParts, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """The features of a sentence, of the previous and of the next one, side by side.

    Neighbours are taken from the table that is given and from nowhere else, and never across
    documents (see `neighbour_rows`). As protocols keep documents whole, a test sentence is seen
    with test sentences of its own document alone.

    Parameters
    ----------
    features : transformer
        From a sentence table to numbers; fitted once for each of the three, on what stands there.
    previous, next : float
        What the neighbours' features are multiplied by; with 0 that neighbour is left out.

    Attributes
    ----------
    fitted_ : dict
        The offset of each place, 0 for the sentence itself, with its fitted features; without
        those of a neighbour that no training sentence has.
    """

    def __init__(self, features: Any, *, previous: float = 0.5, next: float = 0.5) -> None:
        self.features = features
        self.previous = previous
        self.next = next

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Fit the features on the sentences and on their neighbours."""
        self.fit_transform(X, y)
        return self

    def fit_transform(self, X: pd.DataFrame, y: Any = None) -> Any:
        """Fit, and return the features of ``X``; see `transform`."""
        if not hasattr(self.features, "fit_transform"):
            raise ModelError(
                f"context needs features to apply to the neighbours, found {self.features!r}; "
                "give features.features._target_=sitrepbench.features.word_tfidf"
            )
        self.fitted_ = {}
        blocks = []
        for offset, weight in self._weights().items():
            shifted = _shifted(X, offset)
            if offset and not shifted[TEXT].any():
                continue
            features = clone(self.features)
            # A neighbour's label is not the sentence's, so supervised features learn from its own.
            blocks.append(weight * features.fit_transform(shifted, y))
            self.fitted_[offset] = features
        return _beside(blocks)

    def transform(self, X: pd.DataFrame) -> Any:
        """Return the features of every row, shape (n_rows, n_features), sparse if theirs are.

        A sentence without a neighbour has there what the features make of an empty text.
        """
        check_is_fitted(self, "fitted_")
        weights = self._weights()
        return _beside(
            [
                weights[offset] * features.transform(_shifted(X, offset))
                for offset, features in self.fitted_.items()
            ]
        )

    def _weights(self) -> dict[int, float]:
        given = {0: 1.0, -1: self.previous, 1: self.next}
        return {offset: weight for offset, weight in given.items() if weight}


def _shifted(frame: pd.DataFrame, offset: int) -> pd.DataFrame:
    """Return the table with every text replaced by that of its neighbour, or by nothing."""
    if not offset:
        return frame
    rows = neighbour_rows(frame, offset)
    texts = frame[TEXT].to_numpy(dtype=object)
    return frame.assign(**{TEXT: np.where(rows == NOBODY, "", texts[rows])})


def _beside(blocks: list[Any]) -> Any:
    if any(sparse.issparse(block) for block in blocks):
        return sparse.hstack(blocks, format="csr")
    return np.hstack(blocks)
