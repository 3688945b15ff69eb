"""The nearest centroid by angle."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from sitrepbench.models import CosineCentroid

X = np.array([[3.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
Y = np.array(["a", "a", "b"], dtype=object)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_a_case_worked_by_hand(form: type) -> None:
    """Rows of length one are (1, 0) and (1, 1)/sqrt 2; the mean of label a points at 22.5 deg."""
    model = CosineCentroid().fit(form(X), Y)
    angle = np.deg2rad(22.5)
    np.testing.assert_allclose(model.centroids_, [[np.cos(angle), np.sin(angle)], [0, 1]])
    at_50 = [[np.cos(np.deg2rad(50)), np.sin(np.deg2rad(50))]]
    np.testing.assert_allclose(
        model.decision_function(form(np.array(at_50))),
        [[np.cos(np.deg2rad(27.5)), np.cos(np.deg2rad(40))]],
    )
    assert list(model.predict(form(X))) == list(Y)


def test_an_empty_row_goes_to_the_first_label() -> None:
    model = CosineCentroid().fit(sparse.csr_matrix(X), Y)
    assert list(model.predict(sparse.csr_matrix((1, 2)))) == ["a"]


def test_sparse_features_stay_sparse() -> None:
    """A dense copy of these training rows would take 32 GB."""
    places = (np.arange(2000), np.arange(2000) * 7)
    rows = sparse.csr_matrix((np.ones(2000), places), shape=(2000, 2_000_000))
    y = np.array(["a", "b"] * 1000, dtype=object)
    assert CosineCentroid().fit(rows, y).predict(rows).shape == (2000,)
