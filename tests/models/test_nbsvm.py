"""NB-SVM against its paper's definition, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.svm import LinearSVC

from sitrepbench.errors import ModelError
from sitrepbench.models import NBSVM
from sitrepbench.models.nbsvm import log_count_ratio

#: Two documents of each label over three words.
COUNTS = sparse.csr_matrix([[2.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 1.0], [0.0, 0.0, 3.0]])
PRESENT = (COUNTS > 0).astype(float)
Y = np.array(["war", "war", "peace", "peace"], dtype=object)


def test_ratios_are_those_worked_by_hand() -> None:
    # p = 1 + (2, 1, 0) = (3, 2, 1) of 6; q = 1 + (0, 1, 2) = (1, 2, 3) of 6.
    ratio = log_count_ratio(PRESENT, Y == "war", 1.0)
    np.testing.assert_allclose(ratio, [np.log(3), 0.0, -np.log(3)], atol=1e-12)


def test_a_case_whose_machine_can_be_solved_by_hand() -> None:
    """One document of one word for each label.

    With p = (2, 1) / 3 and q = (1, 2) / 3 the ratios are r = log 2 and -r. The machine minimises
    ``(w1^2 + w2^2) / 2 + C (1 - r w1)^2 + C (1 - r w2)^2``, as the second document's label and
    its ratio are both negative; so both weights are ``2 C r / (1 + 2 C r^2)``, and by symmetry
    there is no intercept.
    """
    X, y = sparse.identity(2, format="csr"), np.array(["a", "b"], dtype=object)
    C, beta, r = 0.7, 0.25, np.log(2)
    w = 2 * C * r / (1 + 2 * C * r**2)
    model = NBSVM(C=C, beta=beta).fit(X, y)
    # Both weights have the same size, so that the mean of their sizes is w, and so is the mixture.
    np.testing.assert_allclose(model.coef_, [[r * w, -r * w], [-r * w, r * w]], rtol=1e-3)
    np.testing.assert_allclose(model.intercept_, 0.0, atol=1e-3)
    np.testing.assert_allclose(model.decision_function(X)[0], [r * w, -r * w], rtol=1e-3)


@pytest.mark.parametrize("beta", [0.0, 0.25, 1.0])
def test_weights_are_interpolated_between_naive_bayes_and_the_machine(beta: float) -> None:
    model = NBSVM(C=2.0, beta=beta).fit(COUNTS, Y)
    assert list(model.classes_) == ["peace", "war"]
    for row, label in enumerate(model.classes_):
        ratio = log_count_ratio(PRESENT, label == Y, 1.0)
        machine = LinearSVC(C=2.0, dual=True, random_state=0, max_iter=10_000)
        machine.fit(PRESENT.multiply(ratio).tocsr(), label == Y)
        weights = machine.coef_[0]
        mixed = (1 - beta) * np.abs(weights).sum() / 3 + beta * weights
        np.testing.assert_allclose(model.coef_[row], ratio * mixed)
        assert model.intercept_[row] == pytest.approx(beta * machine.intercept_[0])


def test_counts_beyond_one_say_no_more_than_one() -> None:
    one, two = NBSVM().fit(COUNTS, Y), NBSVM().fit(PRESENT, Y)
    np.testing.assert_array_equal(one.coef_, two.coef_)
    dense = NBSVM().fit(COUNTS.toarray(), Y)
    np.testing.assert_array_equal(one.coef_, dense.coef_)


def test_with_beta_0_it_is_naive_bayes() -> None:
    """The sum of log-count ratios decides, times one weight per label."""
    model = NBSVM(beta=0.0).fit(COUNTS, Y)
    sums = PRESENT @ np.column_stack(
        [log_count_ratio(PRESENT, k == Y, 1.0) for k in model.classes_]
    )
    np.testing.assert_array_equal(model.predict(COUNTS), model.classes_[sums.argmax(axis=1)])


@pytest.mark.parametrize(
    ("model", "X", "y", "told"),
    [
        (NBSVM(), COUNTS, ["a"] * 4, "all 4 training sentences are 'a'"),
        (NBSVM(), -COUNTS, Y, r"some are negative \(-3\).*features=word_count"),
        (NBSVM(C=0, alpha=0, beta=2), COUNTS, Y, "C is above 0, found 0; alpha.*; beta lies"),
    ],
)
def test_what_it_cannot_take_is_told(model: NBSVM, X: object, y: object, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        model.fit(X, y)
