"""How far predicted probabilities can be believed: calibration errors, Brier terms, log loss.

A model is calibrated where, of the sentences that it gives a label with probability 0.7, seven in
ten bear it. Each label is looked at by itself (one against the rest) and the labels are averaged:
a rare label counts as much as a common one, as in the macro-F1.

The numbers are those of the literature, which are biased: the calibration errors of a perfectly
calibrated model are not zero on a finite part, since shares of a few sentences scatter. What is to
be expected of such a model stands beside them (`Calibration.if_calibrated`), and the intervals are
those of the true value: they take the bias out. How large the bias of a calibration error is
depends on the unknown truth: their intervals reach down by the largest that it can be, which is
that of a calibrated model, and up by the smallest; so they are rather too wide than too narrow.

Scores are computed for each repeat and averaged over the repeats. Intervals are by documents; see
`sitrepbench.stats.intervals` for what they are about. The bins stay where they are when a document
is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import erf, stdtrit

from sitrepbench.errors import DataError
from sitrepbench.metrics.probabilities import log_losses
from sitrepbench.predictions import REPEAT, PredictionsTable
from sitrepbench.stats.intervals import Jackknife, effective_number

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

#: How many bins a label's probabilities are sorted into, of equal width and of equal mass.
N_BINS = 10

CALIBRATION_METHOD = "document jackknife, bias taken out, Student t"

#: The scores of `Calibration`, in this order.
SCORES = (
    "classwise_ece",
    "adaptive_ece",
    "brier",
    "reliability",
    "resolution",
    "uncertainty",
    "within_bins",
    "log_loss",
)
#: Scores that cannot be negative; the term within bins can.
_NOT_NEGATIVE = np.array([name != "within_bins" for name in SCORES])
#: Documents that are left out at a time; bounds the memory.
_CHUNK = 1_000


@dataclass(frozen=True)
class Calibration:
    """How the probabilities of one part agree with what was found.

    Parameters
    ----------
    labels : tuple of str
        The label set, in order.
    classwise_ece : float
        Mean over the labels of the expected calibration error in 10 bins of equal width, 0 to 1.
    adaptive_ece : float
        The same with 10 bins of equal mass: each holds a tenth of the sentences, ties together.
    brier : float
        Brier score summed over the labels, 0 to 2. It equals ``reliability - resolution +
        uncertainty + within_bins``, exactly.
    reliability, resolution, uncertainty : float
        Murphy's terms in the bins of equal width, summed over the labels: how far the bins'
        probabilities are from their shares; how far the bins' shares are from the label's; and
        what the labels' shares alone would give.
    within_bins : float
        What probabilities that differ within a bin add to it; zero where they do not.
    log_loss : float
        Mean of ``-log(p of the gold label)``, nats.
    if_calibrated : dict
        ``classwise_ece`` and ``adaptive_ece`` as they would be on average if every probability
        were true and sentences were independent: the bias that a small part brings.
    intervals : dict
        The 95 % interval (low, high) of each of `SCORES`; NaN with a single document.
    per_label : DataFrame
        ``label, ece, adaptive_ece, brier, mean_probability, share``: by label; ``brier`` is the
        label's term of the sum, ``share`` that of its gold sentences.
    curves : DataFrame
        The reliability curves, all repeats together: ``label, bin, low, high, n, probability,
        share`` for each bin of equal width that is not empty.
    n_sentences, n_documents, n_repeats : int
        Of the part; a sentence counts once, however many repeats score it.
    """

    labels: tuple[str, ...]
    classwise_ece: float
    adaptive_ece: float
    brier: float
    reliability: float
    resolution: float
    uncertainty: float
    within_bins: float
    log_loss: float
    if_calibrated: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    per_label: pd.DataFrame
    curves: pd.DataFrame
    n_sentences: int
    n_documents: int
    n_repeats: int


@dataclass(frozen=True)
class _Sums:
    """What the scores need of each repeat and document.

    Parameters
    ----------
    wide : ndarray, shape (R, D, L, B, 5)
        By label and bin of equal width: rows, sum of p, of y, of p^2 and of p y.
    even : ndarray, shape (R, D, L, B)
        By label and bin of equal mass: sum of p - y.
    plain : ndarray, shape (R, D, 2)
        Rows, and the sum of the log losses.
    """

    wide: Array
    even: Array
    plain: Array


def calibration_of(table: PredictionsTable, *, level: float = 0.95) -> Calibration | None:
    """Return how the probabilities of one part agree with its gold labels.

    Parameters
    ----------
    table : PredictionsTable
        The rows of one part (`PredictionsTable.part`).
    level : float
        The wanted coverage of the intervals.

    Returns
    -------
    Calibration or None
        None where a row has no probabilities.

    Raises
    ------
    DataError
        When the table is empty.

    Notes
    -----
    Expected calibration error: Naeini, Cooper & Hauskrecht (2015), AAAI; by label: Kull et al.
    (2019), NeurIPS 32; equal mass: Nixon et al. (2019), CVPR workshops. The Brier score's terms:
    Murphy (1973), Journal of Applied Meteorology 12, 595-600, with the terms within bins of
    Stephenson, Coelho & Jolliffe (2008), Weather and Forecasting 23, 752-757. What a calibrated
    model would show: Broecker & Smith (2007), Weather and Forecasting 22, 651-661.
    """
    if table.frame.empty:
        raise DataError("calibration needs predictions, and this table has no rows")
    if not table.has_probabilities:
        return None
    frame = table.frame
    given = frame[list(table.probability_columns)].to_numpy(dtype=np.float64)
    probabilities = np.clip(given, 0.0, 1.0)
    gold = table.codes("label")
    truth = (gold[:, np.newaxis] == np.arange(len(table.labels))).astype(np.float64)
    document, documents = pd.factorize(frame["document_id"])
    repeat, repeats = pd.factorize(frame[REPEAT])
    groups = repeat * len(documents) + document
    wide, even = _equal_width(probabilities), _equal_mass(probabilities)
    shape = (len(repeats), len(documents))
    sums = _Sums(
        _by_bin(
            groups,
            wide,
            shape,
            (None, probabilities, truth, probabilities**2, probabilities * truth),
        ),
        _by_bin(groups, even, shape, (probabilities - truth,))[..., 0],
        _by_group(groups, shape, (np.ones(len(gold)), log_losses(given, gold))),
    )
    totals = _Sums(sums.wide.sum(axis=1), sums.even.sum(axis=1), sums.plain.sum(axis=1))
    result = _jackknife(sums, totals)
    scores = {name: float(value) for name, value in zip(SCORES, result.estimate, strict=True)}
    low, high = _interval(result, sums, level)
    variances = (probabilities * (1 - probabilities),)
    expected = {
        "classwise_ece": _if_calibrated(_by_bin(repeat, wide, (len(repeats), 1), variances)),
        "adaptive_ece": _if_calibrated(_by_bin(repeat, even, (len(repeats), 1), variances)),
    }
    rows = sums.plain[..., 0].sum(axis=1)
    return Calibration(
        labels=table.labels,
        **scores,
        if_calibrated={name: float((v / rows).mean()) for name, v in expected.items()},
        intervals={
            name: (float(low[index]), float(high[index])) for index, name in enumerate(SCORES)
        },
        per_label=_per_label(totals, table.labels),
        curves=_curves(totals.wide.sum(axis=0), table.labels),
        n_sentences=int(frame["sentence_id"].nunique()),
        n_documents=len(documents),
        n_repeats=len(repeats),
    )


def _equal_width(probabilities: Array) -> Codes:
    """Return each probability's bin; a bin holds its upper end, as in scikit-learn."""
    inner = np.linspace(0.0, 1.0, N_BINS + 1)[1:-1]
    return np.asarray(np.searchsorted(inner, probabilities), dtype=np.int64)


def _equal_mass(probabilities: Array) -> Codes:
    """Return each probability's bin among its label's; equal ones are never parted."""
    inner = np.quantile(probabilities, np.linspace(0.0, 1.0, N_BINS + 1)[1:-1], axis=0)
    columns = [
        np.searchsorted(inner[:, label], probabilities[:, label])
        for label in range(probabilities.shape[1])
    ]
    return np.asarray(np.stack(columns, axis=1), dtype=np.int64)


def _by_bin(
    groups: Codes, bins: Codes, shape: tuple[int, int], values: tuple[Array | None, ...]
) -> Array:
    """Sum values of shape (n, L), None for ones, into (R, D, L, B, number of values)."""
    n_labels = bins.shape[1]
    cells = ((groups[:, np.newaxis] * n_labels + np.arange(n_labels)) * N_BINS + bins).ravel()
    size = shape[0] * shape[1] * n_labels * N_BINS
    sums = [
        np.bincount(cells, None if value is None else value.ravel(), minlength=size)
        for value in values
    ]
    stacked = np.stack(sums, axis=-1).astype(np.float64)
    return np.asarray(stacked.reshape(*shape, n_labels, N_BINS, len(values)))


def _by_group(groups: Codes, shape: tuple[int, int], values: tuple[Array, ...]) -> Array:
    """Sum values of shape (n,) into (R, D, number of values)."""
    sums = [np.bincount(groups, value, minlength=shape[0] * shape[1]) for value in values]
    return np.asarray(np.stack(sums, axis=-1).reshape(*shape, len(values)))


def _ratio(top: Array, bottom: Array) -> Array:
    """Divide; 0 where a bin, or what is left of a repeat, is empty."""
    full = np.broadcast_to(bottom, np.broadcast_shapes(np.shape(top), np.shape(bottom)))
    return np.asarray(np.divide(top, full, out=np.zeros(full.shape), where=full > 0))


def _label_scores(sums: _Sums) -> Array:
    """Return each label's terms, shape (..., L, 7): `SCORES` without the log loss."""
    n, p, y, p2, py = np.moveaxis(sums.wide, -1, 0)
    total = sums.plain[..., 0, np.newaxis]
    share = _ratio(y.sum(axis=-1), total)
    mean_p, mean_y = _ratio(p, n), _ratio(y, n)
    variance = p2 - mean_p * p
    covariance = py - mean_p * y
    terms = (
        np.abs(p - y).sum(axis=-1),
        np.abs(sums.even).sum(axis=-1),
        (p2 - 2 * py + y).sum(axis=-1),
        (n * (mean_p - mean_y) ** 2).sum(axis=-1),
        (n * (mean_y - share[..., np.newaxis]) ** 2).sum(axis=-1),
        total * share * (1 - share),
        (variance - 2 * covariance).sum(axis=-1),
    )
    return np.stack([_ratio(term, total) for term in terms], axis=-1)


def _scores(sums: _Sums) -> Array:
    """Return `SCORES`, shape (..., 8): errors as means over the labels, Brier terms as sums."""
    by_label = _label_scores(sums)
    loss = _ratio(sums.plain[..., 1], sums.plain[..., 0])
    return np.concatenate(
        [
            by_label[..., :2].mean(axis=-2),
            by_label[..., 2:].sum(axis=-2),
            loss[..., np.newaxis],
        ],
        axis=-1,
    )


def _jackknife(sums: _Sums, totals: _Sums) -> Jackknife:
    """Score all documents, and all but each one, averaged over the repeats."""
    n_documents = sums.plain.shape[1]
    replicates = []
    for start in range(0, n_documents, _CHUNK):
        some = slice(start, start + _CHUNK)
        left = _Sums(
            totals.wide[:, np.newaxis] - sums.wide[:, some],
            totals.even[:, np.newaxis] - sums.even[:, some],
            totals.plain[:, np.newaxis] - sums.plain[:, some],
        )
        replicates.append(_scores(left).mean(axis=0))
    documents = effective_number(sums.plain[..., 0].sum(axis=0))
    return Jackknife(_scores(totals).mean(axis=0), np.concatenate(replicates), documents)


def _interval(result: Jackknife, sums: _Sums, level: float) -> tuple[Array, Array]:
    """Return the interval around the estimate without its bias, shape (8,) each.

    The bias of a smooth score is the jackknife's (Quenouille 1956, Biometrika 43, 353-360). A
    calibration error has a kink where a gap is zero, at which that estimate is worthless.
    """
    n_documents = len(result.replicates)
    bias = (n_documents - 1) * (result.replicates.mean(axis=0) - result.estimate)
    most, least = bias.copy(), bias.copy()
    wide = sums.wide[..., 1] - sums.wide[..., 2]
    for index, gaps in enumerate((wide, sums.even)):
        most[index], least[index] = _bias_of_gaps(gaps, sums.plain[..., 0])
    half = stdtrit(result.degrees_of_freedom, 0.5 + level / 2) * result.standard_error
    low, high = result.estimate - most - half, result.estimate - least + half
    floor = np.where(_NOT_NEGATIVE, 0.0, -np.inf)
    return np.maximum(low, floor), np.maximum(high, floor)


def _bias_of_gaps(gaps: Array, rows: Array) -> tuple[float, float]:
    """Return by how much a calibration error is too large: at most, and with gaps as found.

    A gap g that scatters with standard deviation s, by documents, has the mean size of a folded
    normal variable: s sqrt(2 / pi) exp(-g^2 / 2 s^2) + g erf(g / s sqrt(2)). That exceeds g most
    where g is zero.

    Parameters
    ----------
    gaps : ndarray, shape (R, D, L, B)
        Sums of p - y.
    rows : ndarray, shape (R, D)
    """
    n_documents = gaps.shape[1]
    if n_documents < 2:
        return float("nan"), float("nan")
    total = rows.sum(axis=1)[:, np.newaxis, np.newaxis]
    gap = gaps.sum(axis=1) / total
    each = gaps - gap[:, np.newaxis] * rows[..., np.newaxis, np.newaxis]
    spread = np.sqrt(n_documents / (n_documents - 1) * (each**2).sum(axis=1)) / total
    size = np.abs(gap)
    z = _ratio(size, spread)
    # Without any spread there is no bias: erf of a gap of many deviations is one.
    folded = spread * np.sqrt(2 / np.pi) * np.exp(-(z**2) / 2) + size * erf(z / np.sqrt(2))
    found = np.where(spread > 0, folded - size, 0.0)
    n_averaged = gaps.shape[0] * gaps.shape[2]
    return float(spread.sum() * np.sqrt(2 / np.pi)) / n_averaged, float(found.sum()) / n_averaged


def _if_calibrated(variances: Array) -> Array:
    """Return the rows times the error that true probabilities would show, by repeat, shape (R,).

    A bin's gap is a sum of p - y with variance sum p (1 - p): its size is on average
    sqrt(2 / pi) standard deviations, if it is about normal.
    """
    sizes = np.sqrt(2 / np.pi * variances[:, 0, ..., 0])
    return np.asarray(sizes.sum(axis=-1).mean(axis=-1))


def _per_label(totals: _Sums, labels: tuple[str, ...]) -> pd.DataFrame:
    scores = _label_scores(totals).mean(axis=0)
    rows = totals.plain[..., 0, np.newaxis]
    return pd.DataFrame(
        {
            "label": list(labels),
            "ece": scores[:, 0],
            "adaptive_ece": scores[:, 1],
            "brier": scores[:, 2],
            "mean_probability": (totals.wide[..., 1].sum(axis=-1) / rows).mean(axis=0),
            "share": (totals.wide[..., 2].sum(axis=-1) / rows).mean(axis=0),
        }
    )


def _curves(wide: Array, labels: tuple[str, ...]) -> pd.DataFrame:
    n = wide[..., 0]
    label, place = np.nonzero(n > 0)
    filled = wide[label, place]
    return pd.DataFrame(
        {
            "label": np.array(labels, dtype=object)[label],
            "bin": place,
            "low": place / N_BINS,
            "high": (place + 1) / N_BINS,
            "n": filled[:, 0].astype(np.int64),
            "probability": filled[:, 1] / filled[:, 0],
            "share": filled[:, 2] / filled[:, 0],
        }
    )
