"""Selective prediction: what a model gets right if it may leave the unsure sentences to people.

A sentence's confidence is the probability of the label that the model predicted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import stdtrit

from sitrepbench.errors import DataError
from sitrepbench.predictions import PREDICTED, REPEAT, PredictionsTable
from sitrepbench.stats.intervals import effective_number

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

THRESHOLD_COLUMNS = (
    "label",
    "threshold",
    "precision",
    "coverage",
    "recall",
    "n",
    "documents",
    "note",
)


@dataclass(frozen=True)
class RiskCoverage:
    """Errors among the sentences that a model is surest of.

    Parameters
    ----------
    threshold : float ndarray, shape (k,)
        The distinct confidences, highest first, all repeats together.
    coverage : float ndarray, shape (k,)
        The share of the sentences with at least that confidence; ends at 1.
    risk : float ndarray, shape (k,)
        The share of them that is wrong; ends at 1 - accuracy.
    aurc : float
        Area under the curve: the mean risk over all coverages, 0 to 1, mean over the repeats.
    low, high : float
        Its 95 % interval by documents; NaN with a single document.
    aurc_best : float
        The area if all wrong sentences were the least sure ones: the errors are the same, their
        order is perfect.
    error : float
        1 - accuracy: the area that a confidence without any meaning has on average.
    """

    threshold: Array
    coverage: Array
    risk: Array
    aurc: float
    low: float
    high: float
    aurc_best: float
    error: float


def risk_coverage(table: PredictionsTable, *, level: float = 0.95) -> RiskCoverage | None:
    """Return the risk-coverage curve of one part and the area under it.

    Parameters
    ----------
    table : PredictionsTable
        The rows of one part.
    level : float
        The wanted coverage of the interval.

    Returns
    -------
    RiskCoverage or None
        None where a row has no probabilities.

    Raises
    ------
    DataError
        When the table is empty.

    Notes
    -----
    The area is that of Geifman & El-Yaniv (2017), NeurIPS 30: the mean over i of the risk of the
    i surest sentences. Sentences of equal confidence are taken in random order, on average. The
    interval's standard error is the infinitesimal jackknife's over documents (Jaeckel 1972; Efron
    & Tibshirani 1993, chapter 22), with Student's t.
    """
    if table.frame.empty:
        raise DataError("a risk-coverage curve needs predictions, and this table has no rows")
    if not table.has_probabilities:
        return None
    predicted = table.codes(PREDICTED)
    confidence = _confidence(table)
    wrong = (table.codes("label") != predicted).astype(np.float64)
    repeat, repeats = pd.factorize(table.frame[REPEAT])
    document, documents = pd.factorize(table.frame["document_id"])
    areas, best, errors = [], [], []
    influence = np.zeros(len(documents))
    for number in range(len(repeats)):
        rows = repeat == number
        area, each = _area(confidence[rows], wrong[rows])
        areas.append(area)
        best.append(_area(-wrong[rows], wrong[rows])[0])
        errors.append(float(wrong[rows].mean()))
        influence += np.bincount(document[rows], each, minlength=len(documents)) / len(repeats)
    aurc = float(np.mean(areas))
    half = _half_width(influence, np.bincount(document).astype(np.float64), level)
    threshold, coverage, risk = _curve(confidence, wrong)
    return RiskCoverage(
        threshold,
        coverage,
        risk,
        aurc,
        max(0.0, aurc - half) if math.isfinite(half) else half,
        min(1.0, aurc + half) if math.isfinite(half) else half,
        float(np.mean(best)),
        float(np.mean(errors)),
    )


def area_under_risk(confidence: Array, wrong: npt.ArrayLike) -> float:
    """Return the mean risk of the i surest answers, over all i.

    Parameters
    ----------
    confidence : float ndarray, shape (n,)
    wrong : array of 0 and 1, shape (n,)
        Whether each answer is wrong.

    Examples
    --------
    Four answers, the second surest wrong: risks 0, 1/2, 1/3 and 1/4.

    >>> import numpy as np
    >>> round(area_under_risk(np.array([0.9, 0.8, 0.7, 0.6]), [0, 1, 0, 0]), 4)
    0.2708
    """
    return _area(confidence, np.asarray(wrong, dtype=np.float64))[0]


def _area(confidence: Array, wrong: Array) -> tuple[float, Array]:
    """Return the area and how much each row moves it, shape (n,)."""
    n = len(wrong)
    order = np.argsort(-confidence, kind="stable")
    _, group = np.unique(-confidence[order], return_inverse=True)
    sizes = np.bincount(group)
    # Rows of one confidence share their errors: what random orders give on average.
    shared = (np.bincount(group, wrong[order]) / sizes)[group]
    position = np.arange(1, n + 1)
    risk = np.cumsum(shared) / position
    area = float(risk.mean())

    def from_here(values: Array) -> Array:
        return np.cumsum(values[::-1])[::-1]

    own = (np.bincount(group, risk - from_here(risk / position)) / sizes)[group]
    weight = (np.bincount(group, from_here(1 / position)) / sizes)[group]
    moved = np.empty(n)
    moved[order] = (own + wrong[order] * weight - area) / n
    return area, moved


def _half_width(influence: Array, weights: Array, level: float) -> float:
    n_documents = len(influence)
    if n_documents < 2:
        return float("nan")
    variance = n_documents / (n_documents - 1) * float((influence**2).sum())
    freedom = max(float(effective_number(weights)) - 1, 1.0)
    return float(stdtrit(freedom, 0.5 + level / 2)) * math.sqrt(variance)


def _confidence(table: PredictionsTable) -> Array:
    columns = table.frame[list(table.probability_columns)].to_numpy(dtype=np.float64)
    return np.asarray(columns[np.arange(len(columns)), table.codes(PREDICTED)])


def _curve(confidence: Array, wrong: Array) -> tuple[Array, Array, Array]:
    order = np.argsort(-confidence, kind="stable")
    ordered = confidence[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    kept = last + 1.0
    return ordered[last], kept / len(ordered), np.cumsum(wrong[order])[last] / kept


def sentences_needed(precision: float) -> int:
    """Return how many sentences, all right, a precision can be told from at least.

    With fewer, even a model of that very precision has them all right more than one time in
    twenty: the smallest n with precision^n <= 0.05. Sentences of one document are alike, so this
    is the least that can be asked for.

    Examples
    --------
    >>> sentences_needed(0.9), sentences_needed(0.95)
    (29, 59)
    """
    return math.ceil(math.log(0.05) / math.log(precision))


def thresholds(table: PredictionsTable, precision: float = 0.9) -> pd.DataFrame:
    """Return, for each label, from which probability on its predictions have a wanted precision.

    Of the sentences that a label is predicted for, those with at least ``threshold`` have at
    least the precision on this part, and no lower threshold among their probabilities does. A
    threshold fits the part that it was chosen on better than others: choose it on development
    data, and look at what it gives elsewhere.

    Parameters
    ----------
    table : PredictionsTable
        The rows of one part, of all repeats.
    precision : float
        More than 0 and less than 1.

    Returns
    -------
    DataFrame
        ``label, threshold, precision, coverage, recall, n, documents, note``, one row per label.
        ``coverage`` is the share of the label's predictions that is kept, ``recall`` the share of
        its gold sentences that is found among them, ``n`` the predictions that are kept (all
        repeats together) and ``documents`` those that they lie in. The threshold is NaN, with
        the reason in ``note``, where the precision is never reached; ``note`` also says where n
        is too small for the precision to be believed. Without rows where a model has no
        probabilities.

    Raises
    ------
    DataError
        When ``precision`` is not between 0 and 1.
    """
    if not 0 < precision < 1:
        raise DataError(f"precision={precision}: expected a number more than 0 and less than 1")
    if table.frame.empty or not table.has_probabilities:
        return pd.DataFrame(columns=list(THRESHOLD_COLUMNS))
    gold, predicted = table.codes("label"), table.codes(PREDICTED)
    confidence = _confidence(table)
    document, _ = pd.factorize(table.frame["document_id"])
    n_repeats = int(table.frame[REPEAT].nunique())
    rows = []
    for code, label in enumerate(table.labels):
        chosen = predicted == code
        found = _threshold(confidence[chosen], gold[chosen] != code, precision)
        support = int((gold == code).sum())
        rows.append((label, *_told(found, document[chosen], support, precision, n_repeats)))
    return pd.DataFrame(rows, columns=list(THRESHOLD_COLUMNS))


@dataclass(frozen=True)
class _Threshold:
    """Where a label's predictions are cut: value, precision there, which rows, and the best."""

    value: float
    precision: float
    kept: npt.NDArray[np.bool_]
    highest: float


def _threshold(
    confidence: Array, wrong: npt.NDArray[np.bool_], precision: float
) -> _Threshold | None:
    if not len(confidence):
        return None
    value, _, risk = _curve(confidence, wrong.astype(np.float64))
    highest = float(1 - risk.min())
    reached = np.flatnonzero(1 - risk >= precision - 1e-12)
    if not len(reached):
        return _Threshold(math.nan, math.nan, np.zeros(len(confidence), dtype=bool), highest)
    lowest = reached[-1]
    return _Threshold(
        float(value[lowest]), float(1 - risk[lowest]), confidence >= value[lowest], highest
    )


def _told(
    found: _Threshold | None, document: Codes, support: int, precision: float, n_repeats: int
) -> tuple[float, float, float, float, int, int, str]:
    nothing = (math.nan, math.nan, 0.0, 0.0, 0, 0)
    if found is None:
        return (*nothing, "never predicted")
    n = int(found.kept.sum())
    if not n:
        return (*nothing, f"never reached; the highest precision is {found.highest:.3f}")
    needed = sentences_needed(precision)
    # The same sentence scored again in another repeat is no further evidence.
    sentences = n / n_repeats
    note = (
        f"n too small: {sentences:.3g} sentences, and {needed} are needed at least to believe "
        f"{precision:g}"
        if sentences < needed
        else ""
    )
    right = found.precision * n
    return (
        found.value,
        found.precision,
        n / len(found.kept),
        right / support if support else 0.0,
        n,
        len(np.unique(document[found.kept])),
        note,
    )
