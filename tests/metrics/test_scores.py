"""Scores against scikit-learn, and properties that no table may break."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as reference

from sitrepbench.metrics import scores

N_LABELS = 4

confusions = arrays(
    np.float64, (N_LABELS, N_LABELS), elements=st.integers(0, 30).map(float)
).filter(lambda matrix: matrix.sum() > 0)

ALL_SCORES = (
    scores.accuracy,
    scores.balanced_accuracy,
    scores.matthews_corrcoef,
    scores.cohen_kappa,
    scores.f1_per_label,
    scores.precision_per_label,
    scores.recall_per_label,
)


def spread(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return gold and predicted labels that have this confusion matrix."""
    gold, predicted = np.indices(confusion.shape)
    times = confusion.astype(int).ravel()
    return np.repeat(gold.ravel(), times), np.repeat(predicted.ravel(), times)


@settings(max_examples=60, deadline=None)
@given(confusions)
def test_per_label_scores_are_those_of_scikit_learn(confusion: np.ndarray) -> None:
    gold, predicted = spread(confusion)
    precision, recall, f1, _ = reference.precision_recall_fscore_support(
        gold, predicted, labels=range(N_LABELS), zero_division=0
    )
    np.testing.assert_allclose(scores.precision_per_label(confusion), precision, atol=1e-12)
    np.testing.assert_allclose(scores.recall_per_label(confusion), recall, atol=1e-12)
    np.testing.assert_allclose(scores.f1_per_label(confusion), f1, atol=1e-12)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(confusions)
def test_scores_of_the_whole_are_those_of_scikit_learn(confusion: np.ndarray) -> None:
    gold, predicted = spread(confusion)
    supported = confusion.sum(axis=1) > 0
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # tables with a single label, or one that is never gold, on purpose
        macro = reference.f1_score(
            gold, predicted, labels=np.flatnonzero(supported), average="macro", zero_division=0
        )
        balanced = reference.balanced_accuracy_score(gold, predicted)
        mcc = reference.matthews_corrcoef(gold, predicted)
        kappa = reference.cohen_kappa_score(gold, predicted, labels=range(N_LABELS))
    assert scores.macro_f1(confusion, labels=supported) == pytest.approx(macro)
    assert scores.accuracy(confusion) == pytest.approx(reference.accuracy_score(gold, predicted))
    assert scores.balanced_accuracy(confusion) == pytest.approx(balanced)
    assert scores.matthews_corrcoef(confusion) == pytest.approx(mcc, abs=1e-12)
    expected = 0.0 if np.isnan(kappa) else kappa
    assert scores.cohen_kappa(confusion) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(arrays(np.float64, (2, 3, N_LABELS, N_LABELS), elements=st.integers(0, 9).map(float)))
def test_leading_axes_are_a_loop(confusion: np.ndarray) -> None:
    for score in ALL_SCORES:
        together = score(confusion)
        for repeat in range(2):
            for document in range(3):
                np.testing.assert_allclose(
                    together[repeat, document], score(confusion[repeat, document]), atol=1e-12
                )


@settings(max_examples=40, deadline=None)
@given(confusions, st.permutations(range(N_LABELS)), st.floats(0.1, 9))
def test_the_order_of_labels_and_the_unit_do_not_matter(
    confusion: np.ndarray, order: list[int], unit: float
) -> None:
    shuffled = unit * confusion[np.ix_(order, order)]
    for score in (
        scores.accuracy,
        scores.balanced_accuracy,
        scores.matthews_corrcoef,
        scores.cohen_kappa,
    ):
        assert score(shuffled) == pytest.approx(score(confusion), abs=1e-9)
    np.testing.assert_allclose(
        scores.f1_per_label(shuffled), scores.f1_per_label(confusion)[order], atol=1e-12
    )


def test_perfect_predictions_score_one() -> None:
    confusion = np.diag([5.0, 1.0, 0.0, 2.0])
    assert scores.macro_f1(confusion, labels=confusion.sum(axis=1) > 0) == 1
    assert scores.accuracy(confusion) == scores.balanced_accuracy(confusion) == 1
    assert scores.matthews_corrcoef(confusion) == pytest.approx(1)
    assert scores.cohen_kappa(confusion) == pytest.approx(1)


def test_a_label_that_is_asked_for_and_missing_counts_as_zero() -> None:
    confusion = np.diag([4.0, 0.0])
    assert scores.macro_f1(confusion, labels=np.array([True, True])) == 0.5


def test_macro_f1_of_no_label_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one label"):
        scores.macro_f1(np.eye(2), labels=np.array([False, False]))
