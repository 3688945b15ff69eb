"""Calibrators: from how sure a model says it is to how sure it may be.

Each is fitted on values (logarithms of probabilities, or decision values, see
`sitrepbench.calibration.values`) of rows that the model had not seen, and their labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax, logsumexp
from sklearn.isotonic import IsotonicRegression

from sitrepbench.calibration.fitted import (
    ConstantCurve,
    Curve,
    Fitted,
    LogisticCurve,
    OneAgainstRest,
    Softened,
    StaircaseCurve,
    log_odds,
)
from sitrepbench.errors import ConfigError, ModelError

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

#: Temperatures that are looked among; at the ends a model's values say nothing, or all.
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 1e-3, 1e3


class Calibrator(Protocol):
    """How probabilities are mended."""

    n_folds: int

    def fit(self, values: Array, gold: Codes) -> Fitted:
        """Fit on values of shape (n, L) and labels as indices, shape (n,)."""


@dataclass(frozen=True)
class _Folded:
    """A calibrator that is fitted on inner folds."""

    n_folds: int = 5
    name: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if self.n_folds < 2:
            raise ConfigError(f"calibrator.n_folds={self.n_folds}: expected 2 or more")


@dataclass(frozen=True)
class Temperature(_Folded):
    """All values divided by one number, then softmax: as sure as the log loss is best.

    Which label is likeliest stays as it is. One number is fitted, so it needs the fewest rows.
    Source: Guo, Pleiss, Sun & Weinberger (2017), ICML, equation 9.

    Parameters
    ----------
    n_folds : int
        Inner folds, by documents.

    Examples
    --------
    Sure with odds of 9 to 1, and right four times in five, where odds of 4 to 1 are due: log 9 /
    log 4 is 1.58.

    >>> values = np.log(np.tile([0.9, 0.1], (10, 1)))
    >>> gold = np.array([0] * 8 + [1] * 2)
    >>> fitted = Temperature().fit(values, gold)
    >>> round(fitted.told["temperature"], 2)
    1.58
    >>> fitted.apply(values)[0].round(2).tolist()
    [0.8, 0.2]
    """

    def fit(self, values: Array, gold: Codes) -> Fitted:
        """Fit the temperature; see `Calibrator`."""
        rows = np.arange(len(gold))
        # A label that a fold's model had not met is beyond what a temperature can mend.
        usable = np.isfinite(values[rows, gold])
        if not usable.any():
            raise ModelError("no training row has a label that its inner fold's model had met")
        kept, wanted = values[usable], gold[usable]
        places = np.arange(len(wanted))

        def loss(log_temperature: float) -> float:
            log_p = log_softmax(kept * math.exp(-log_temperature), axis=1)
            return float(-log_p[places, wanted].mean())

        ends = (math.log(LOWEST_TEMPERATURE), math.log(HIGHEST_TEMPERATURE))
        found = minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": 1e-6})
        temperature = math.exp(float(found.x))
        return Fitted(Softened(temperature), {"temperature": temperature})


@dataclass(frozen=True)
class Platt(_Folded):
    """A logistic curve per label, one against the rest, then shared out to sum to one.

    Source: Platt (1999), Advances in Large Margin Classifiers, with his targets
    (n+ + 1) / (n+ + 2) and 1 / (n- + 2); fitted as by Lin, Lin & Weng (2007), Machine Learning 68.
    Probabilities are taken by their log odds.

    Parameters
    ----------
    n_folds : int
        Inner folds, by documents.
    """

    def fit(self, values: Array, gold: Codes) -> Fitted:
        """Fit the curves; see `Calibrator`."""
        return _one_against_rest(values, gold, _logistic)


@dataclass(frozen=True)
class Isotonic(_Folded):
    """A rising staircase per label, one against the rest, then shared out to sum to one.

    It follows any rising curve and needs the most rows: on few, its steps reach 0 and 1.
    Source: Zadrozny & Elkan (2002), KDD.

    Parameters
    ----------
    n_folds : int
        Inner folds, by documents.
    """

    def fit(self, values: Array, gold: Codes) -> Fitted:
        """Fit the curves; see `Calibrator`."""
        return _one_against_rest(values, gold, _staircase)


def _one_against_rest(
    values: Array, gold: Codes, fit_curve: Callable[[Array, npt.NDArray[np.bool_]], Curve]
) -> Fitted:
    # Asked of all training rows: a few decision values may look like probabilities by chance.
    probabilities = _are_probabilities(values)
    odds = log_odds(values) if probabilities else values
    curves: list[Curve] = []
    for label in range(values.shape[1]):
        met = np.isfinite(odds[:, label])
        truth = gold == label
        if met.any():
            curves.append(fit_curve(odds[met, label], truth[met]))
        else:
            curves.append(ConstantCurve(float(truth.mean())))
    return Fitted(OneAgainstRest(tuple(curves), probabilities))


def _are_probabilities(values: Array) -> bool:
    """Return whether values are logarithms of numbers that sum to one, row by row."""
    return bool(np.allclose(logsumexp(values, axis=1), 0.0, atol=1e-3))


def _logistic(values: Array, truth: npt.NDArray[np.bool_]) -> Curve:
    centre, scale = float(values.mean()), float(values.std()) or 1.0
    placed = (values - centre) / scale
    positive = int(truth.sum())
    target = np.where(truth, (positive + 1) / (positive + 2), 1 / (len(truth) - positive + 2))

    def loss(parameters: Array) -> tuple[float, Array]:
        z = parameters[0] * placed + parameters[1]
        off = expit(z) - target
        value = float((np.logaddexp(0.0, z) - target * z).mean())
        return value, np.array([(off * placed).mean(), off.mean()])

    slope, place = minimize(loss, np.array([1.0, 0.0]), jac=True, method="BFGS").x
    return LogisticCurve(float(slope), float(place), centre, scale)


def _staircase(values: Array, truth: npt.NDArray[np.bool_]) -> Curve:
    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    fitted.fit(values, truth.astype(np.float64))
    return StaircaseCurve(
        tuple(fitted.X_thresholds_.tolist()), tuple(fitted.y_thresholds_.tolist())
    )
