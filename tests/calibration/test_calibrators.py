"""Calibrators: they find what was done to probabilities, and say what they cannot mend."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import log_softmax, softmax
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.svm import LinearSVC

from sitrepbench.calibration import Isotonic, Platt, Temperature
from sitrepbench.calibration.values import label_values
from sitrepbench.errors import ConfigError, ModelError
from sitrepbench.models import KeywordRules

Array = npt.NDArray[np.float64]
EVERY = [Temperature(), Platt(), Isotonic()]


def drawn(n: int = 4000, scale: float = 1.0) -> tuple[Array, npt.NDArray[np.int64]]:
    """True logits times ``scale``, and labels."""
    rng = np.random.default_rng(0)
    logits = 1.5 * rng.standard_normal((n, 3)) + np.array([1.0, 0.0, -1.0])
    gold = (softmax(logits, axis=1).cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return scale * logits, gold


@pytest.mark.parametrize("scale", [0.25, 1.0, 3.0])
@pytest.mark.parametrize("probable", [True, False], ids=["probabilities", "decision values"])
def test_the_temperature_that_was_applied_is_found(scale: float, probable: bool) -> None:
    values, gold = drawn(scale=scale)
    fitted = Temperature().fit(log_softmax(values, axis=1) if probable else values, gold)
    assert fitted.told["temperature"] == pytest.approx(scale, rel=0.1)


@pytest.mark.parametrize("calibrator", EVERY, ids=lambda made: type(made).__name__)
def test_calibrated_probabilities_lose_less_on_other_rows(
    calibrator: Temperature | Platt | Isotonic,
) -> None:
    values, gold = drawn(n=8000, scale=3.0)
    fitted = calibrator.fit(log_softmax(values[:4000], axis=1), gold[:4000])
    before = softmax(values[4000:], axis=1)
    after = fitted.apply(log_softmax(values[4000:], axis=1))
    np.testing.assert_allclose(after.sum(axis=1), 1.0)
    truth = np.eye(3)[gold[4000:]]
    assert ((after - truth) ** 2).sum() < 0.95 * ((before - truth) ** 2).sum()


@pytest.mark.parametrize("calibrator", EVERY, ids=lambda made: type(made).__name__)
def test_a_label_that_a_model_has_not_met_gets_nothing(
    calibrator: Temperature | Platt | Isotonic,
) -> None:
    values, gold = drawn()
    values[:200, 2] = -np.inf  # one inner fold's model
    fitted = calibrator.fit(values, gold)
    asked = values[500:520].copy()
    asked[:, 1] = -np.inf
    found = fitted.apply(asked)
    assert (found[:, 1] == 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1.0)


def test_platts_curve_is_a_logistic_regression_on_his_targets() -> None:
    values, gold = drawn(n=300)
    found = Platt().fit(values, gold).apply(values)
    mended = np.empty_like(values)
    for label in range(3):
        truth = gold == label
        n_right = truth.sum()
        target = np.where(truth, (n_right + 1) / (n_right + 2), 1 / (300 - n_right + 2))
        rows = np.tile(values[:, [label]], (2, 1))
        model = LogisticRegression(C=1e10, tol=1e-10, max_iter=1000)
        model.fit(rows, [1] * 300 + [0] * 300, np.concatenate([target, 1 - target]))
        mended[:, label] = model.predict_proba(values[:, [label]])[:, 1]
    np.testing.assert_allclose(found, mended / mended.sum(axis=1, keepdims=True), atol=1e-4)


def test_isotonic_is_scikit_learns_shared_out() -> None:
    values, gold = drawn(n=300)
    mended = np.stack(
        [
            IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
            .fit(values[:, k], gold == k)
            .predict(values[:, k])
            for k in range(3)
        ],
        axis=1,
    )
    found = Isotonic().fit(values, gold).apply(values)
    np.testing.assert_allclose(found, mended / mended.sum(axis=1, keepdims=True))


def test_where_no_curve_believes_anything_nothing_is_known() -> None:
    values = np.array([[1.0, 0.0], [2.0, 1.0], [3.0, 2.0]])
    found = Isotonic().fit(values, np.array([2, 2, 2])).apply(values)
    np.testing.assert_allclose(found, 0.5)


def test_a_temperature_needs_one_label_that_was_met() -> None:
    with pytest.raises(ModelError, match="inner fold's model"):
        Temperature().fit(np.array([[0.0, -np.inf]]), np.array([1]))


@pytest.mark.parametrize("calibrator", [Temperature, Platt, Isotonic])
def test_one_fold_is_refused(calibrator: type[Temperature]) -> None:
    with pytest.raises(ConfigError, match="expected 2 or more"):
        calibrator(n_folds=1)


X = np.array([[0.0, 2.0], [1.0, 2.0], [3.0, 1.0], [4.0, 0.0]])


def test_values_stand_at_the_datasets_labels() -> None:
    model = MultinomialNB().fit(X, ["b", "b", "d", "d"])
    values = label_values(model, X, n_rows=4, labels=("a", "b", "c", "d"))
    assert np.isneginf(values[:, [0, 2]]).all()
    np.testing.assert_allclose(np.exp(values[:, [1, 3]]), model.predict_proba(X))


def test_two_labels_share_one_decision_value() -> None:
    model = LinearSVC().fit(X, ["b", "b", "d", "d"])
    values = label_values(model, X, n_rows=4, labels=("b", "d"))
    np.testing.assert_allclose(values[:, 1] - values[:, 0], model.decision_function(X))


def test_what_a_model_does_not_say_cannot_be_calibrated() -> None:
    with pytest.raises(ModelError, match="KeywordRules has neither .* use calibrator=none"):
        label_values(KeywordRules(), X, n_rows=4, labels=("b", "d"))


class Odd:
    """Decision values of a shape or kind of their own."""

    classes_ = np.array(["a", "b", "c"])

    def __init__(self, given: Array) -> None:
        self.given = given

    def decision_function(self, X: Array) -> Array:
        return self.given


@pytest.mark.parametrize(
    ("given", "said"),
    [(np.zeros((4, 6)), r"shape \(4, 6\), expected \(4, 3\)"), (np.full((4, 3), np.nan), "NaN")],
)
def test_odd_values_are_told(given: Array, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        label_values(Odd(given), X, n_rows=4, labels=("a", "b", "c"))
