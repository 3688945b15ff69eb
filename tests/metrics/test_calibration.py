"""Calibration: against scikit-learn, by hand, by brute force and by simulation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from sitrepbench.errors import DataError
from sitrepbench.metrics.calibration import N_BINS, SCORES, Calibration, calibration_of
from sitrepbench.metrics.selective import risk_coverage
from sitrepbench.predictions import PredictionsTable

MakeTable = Callable[..., PredictionsTable]
Array = npt.NDArray[np.float64]
LABELS = ("a", "b", "c")


def table_of(
    probabilities: Array, gold: npt.NDArray[np.int64], document: npt.NDArray[np.int64]
) -> PredictionsTable:
    labels = tuple("abcde"[: probabilities.shape[1]])
    names = np.array(labels)
    frame = pd.DataFrame(
        {
            "sentence_id": [f"s{i}" for i in range(len(gold))],
            "document_id": [f"d{i}" for i in document],
            "domain": "",
            "part": "dev",
            "repeat": 0,
            "fold": 0,
            "label": names[gold],
            "secondary": "",
            "predicted": names[probabilities.argmax(axis=1)],
        }
    )
    for index, label in enumerate(labels):
        frame[f"p_{label}"] = probabilities[:, index]
    return PredictionsTable(frame, labels)


def measured(table: PredictionsTable) -> Calibration:
    found = calibration_of(table)
    assert found is not None
    return found


def parts_of(table: PredictionsTable) -> tuple[Array, npt.NDArray[np.int64]]:
    return table.frame[list(table.probability_columns)].to_numpy(), table.codes("label")


def ece_of(truth: Array, given: Array, strategy: str) -> float:
    """The sum over scikit-learn's bins, weighted by their sizes, which it does not return."""
    shares, means = calibration_curve(truth, given, n_bins=N_BINS, strategy=strategy)
    if strategy == "uniform":
        edges = np.linspace(0, 1, N_BINS + 1)
    else:
        edges = np.percentile(given, np.linspace(0, 1, N_BINS + 1) * 100)
    sizes = np.bincount(np.searchsorted(edges[1:-1], given), minlength=N_BINS)
    return float((np.abs(shares - means) * sizes[sizes > 0]).sum() / len(given))


def test_errors_are_those_of_scikit_learns_bins(make_table: MakeTable) -> None:
    table = make_table(n=500, probabilities=True)
    given, gold = parts_of(table)
    found = measured(table)
    for name, strategy in (("classwise_ece", "uniform"), ("adaptive_ece", "quantile")):
        each = [ece_of((gold == k).astype(float), given[:, k], strategy) for k in range(4)]
        assert getattr(found, name) == pytest.approx(np.mean(each))
    column = [ece_of((gold == k).astype(float), given[:, k], "uniform") for k in range(4)]
    np.testing.assert_allclose(found.per_label["ece"], column)
    shares, means = calibration_curve(gold == 1, given[:, 1], n_bins=N_BINS)
    curve = found.curves[found.curves["label"] == "b"]
    np.testing.assert_allclose(curve["share"], shares)
    np.testing.assert_allclose(curve["probability"], means)
    assert curve["n"].sum() == 500


def test_brier_and_log_loss_are_scikit_learns(make_table: MakeTable) -> None:
    table = make_table(n=300, probabilities=True)
    given, gold = parts_of(table)
    found = measured(table)
    each = [brier_score_loss(gold == k, given[:, k]) for k in range(4)]
    assert found.brier == pytest.approx(sum(each))
    np.testing.assert_allclose(found.per_label["brier"], each)
    assert found.log_loss == pytest.approx(log_loss(gold, given, labels=range(4)))


def test_the_brier_score_is_the_sum_of_its_terms(make_table: MakeTable) -> None:
    found = measured(make_table(n=400, n_repeats=3, probabilities=True))
    terms = found.reliability - found.resolution + found.uncertainty + found.within_bins
    assert terms == pytest.approx(found.brier, abs=1e-12)
    assert abs(found.within_bins) > 1e-4


def test_a_forecast_worked_by_hand() -> None:
    # Ten sentences are given a with 0.8, and 6 bear it; ten with 0.2, and 1 bears it.
    given = np.repeat([[0.8, 0.2], [0.2, 0.8]], 10, axis=0)
    gold = np.array([0] * 6 + [1] * 4 + [0] * 1 + [1] * 9)
    found = measured(table_of(given, gold, np.arange(20) % 4))
    # Both labels mirror each other, so errors are those of one, and Brier terms twice those.
    assert found.classwise_ece == pytest.approx(0.5 * 0.2 + 0.5 * 0.1)
    assert found.adaptive_ece == pytest.approx(0.15)
    assert found.reliability == pytest.approx(2 * (0.5 * 0.2**2 + 0.5 * 0.1**2))
    assert found.uncertainty == pytest.approx(2 * 0.35 * 0.65)
    assert found.resolution == pytest.approx(2 * (0.5 * 0.25**2 + 0.5 * 0.25**2))
    assert found.within_bins == pytest.approx(0.0)
    assert found.brier == pytest.approx(2 * (6 * 0.04 + 4 * 0.64 + 0.64 + 9 * 0.04) / 20)


def test_equal_probabilities_are_never_parted() -> None:
    given = np.tile([0.3, 0.7], (50, 1))
    gold = (np.arange(50) >= 15).astype(np.int64)
    found = measured(table_of(given, gold, np.arange(50) % 10))
    assert found.adaptive_ece == pytest.approx(0.0, abs=1e-12)
    assert found.classwise_ece == pytest.approx(0.0, abs=1e-12)


def test_repeats_are_averaged_not_pooled(make_table: MakeTable) -> None:
    table = make_table(n=200, n_repeats=2, probabilities=True)
    found = measured(table)
    each = []
    for repeat in (0, 1):
        rows = table.frame[table.frame["repeat"] == repeat].reset_index(drop=True)
        each.append(measured(PredictionsTable(rows, table.labels)))
    for name in ("classwise_ece", "brier", "reliability", "resolution", "log_loss"):
        assert getattr(found, name) == pytest.approx(np.mean([getattr(one, name) for one in each]))
    assert (found.n_sentences, found.n_repeats) == (200, 2)
    assert found.curves["n"].sum() == 2 * 200 * 4


def test_a_jackknife_interval_is_that_of_leaving_documents_out(make_table: MakeTable) -> None:
    table = make_table(n=120, n_documents=8, probabilities=True)
    left = []
    for document in sorted(table.frame["document_id"].unique()):
        rows = table.frame[table.frame["document_id"] != document].reset_index(drop=True)
        left.append(measured(PredictionsTable(rows, table.labels)).brier)
    found = measured(table)
    bias = 7 * (np.mean(left) - found.brier)
    low, high = found.intervals["brier"]
    assert (low + high) / 2 == pytest.approx(found.brier - bias)
    error = np.sqrt(7 / 8 * ((np.array(left) - np.mean(left)) ** 2).sum())
    sizes = table.frame["document_id"].value_counts().to_numpy()
    from scipy.stats import t

    freedom = sizes.sum() ** 2 / (sizes**2).sum() - 1
    assert (high - low) / 2 == pytest.approx(t.ppf(0.975, freedom) * error)


def test_one_document_has_no_interval_and_nothing_fails(make_table: MakeTable) -> None:
    found = measured(make_table(n=30, n_documents=1, probabilities=True))
    assert np.isnan(found.intervals["classwise_ece"]).all()
    assert np.isfinite(found.classwise_ece)


def test_without_probabilities_there_is_nothing_and_without_rows_an_error(
    make_table: MakeTable,
) -> None:
    table = make_table()
    assert calibration_of(table) is None
    empty = PredictionsTable(table.frame.iloc[:0], table.labels)
    with pytest.raises(DataError, match="no rows"):
        calibration_of(empty)


def test_a_column_without_its_last_digit_is_no_error(make_table: MakeTable) -> None:
    table = make_table(n=50, probabilities=True)
    frame = table.frame.copy()
    frame.loc[0, ["p_a", "p_b", "p_c", "p_d"]] = [1.00001, -0.00001, 0.0, 0.0]
    assert 0 <= measured(PredictionsTable(frame, table.labels)).classwise_ece <= 1


def simulated(
    rng: np.random.Generator, n_documents: int, power: float
) -> tuple[Array, Array, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Draw what is true, what is said, labels and documents; errors are clustered by document.

    Documents lean towards labels in ways that no forecaster knows; the leanings average out, so
    what is true (and said with power 1) is calibrated.
    """
    lengths = 1 + rng.negative_binomial(2, 2 / 21, size=n_documents)
    document = np.repeat(np.arange(n_documents), lengths)
    shares = 3 * np.array([0.22, 0.08, 0.15, 0.09, 0.46])
    base = rng.dirichlet(shares, n_documents)[document] + 1e-3
    true = np.exp(np.log(base) + 1.5 * rng.standard_normal(base.shape))
    true /= true.sum(axis=1, keepdims=True)
    lean = 0.6 * rng.uniform(-1, 1, (n_documents, 5))[document]
    here = true * (1 + lean - (true * lean).sum(axis=1, keepdims=True))
    gold = (here.cumsum(axis=1) < rng.random((len(document), 1))).sum(axis=1).clip(0, 4)
    said = true**power
    return true, said / said.sum(axis=1, keepdims=True), gold, document


@pytest.mark.slow
def test_a_calibrated_forecaster_shows_the_bias_that_is_stated() -> None:
    rng = np.random.default_rng(0)
    found, expected = [], []
    for _ in range(40):
        _, said, gold, document = simulated(rng, 60, 1.0)
        one = measured(table_of(said, gold, document))
        found.append((one.classwise_ece, one.adaptive_ece))
        expected.append([one.if_calibrated[name] for name in ("classwise_ece", "adaptive_ece")])
    # Clustering makes it a little larger than independent sentences would.
    ratio = np.mean(found, axis=0) / np.mean(expected, axis=0)
    assert (ratio > 0.97).all()
    assert (ratio < 1.2).all()
    big = measured(table_of(*_without_truth(simulated(rng, 4000, 1.0))))
    assert big.classwise_ece < 0.006


def _without_truth(
    drawn: tuple[Array, Array, npt.NDArray[np.int64], npt.NDArray[np.int64]],
) -> tuple[Array, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    return drawn[1], drawn[2], drawn[3]


@pytest.mark.slow
@pytest.mark.parametrize("power", [1.0, 1.6])
def test_intervals_hold_the_truth(power: float) -> None:
    rng = np.random.default_rng(1)
    true, said, gold, document = simulated(rng, 10_000, power)
    whole = measured(table_of(said, gold, document))
    truth = {name: getattr(whole, name) for name in SCORES}
    bins = np.searchsorted(np.linspace(0, 1, N_BINS + 1)[1:-1], said)
    gaps = [
        np.abs(np.bincount(bins[:, k], (said - true)[:, k], N_BINS)).sum() / len(gold)
        for k in range(5)
    ]
    truth["classwise_ece"] = float(np.mean(gaps))
    area = risk_coverage(table_of(said, gold, document))
    assert area is not None
    truth["aurc"] = area.aurc
    hits = dict.fromkeys([*SCORES, "aurc"], 0)
    for _ in range(200):
        table = table_of(*_without_truth(simulated(rng, 50, power)))
        one, risk = measured(table), risk_coverage(table)
        assert risk is not None
        ends = {**one.intervals, "aurc": (risk.low, risk.high)}
        for name, (low, high) in ends.items():
            hits[name] += low <= truth[name] <= high
    # Three standard errors of 200 draws below 95 %.
    assert {name: n for name, n in hits.items() if n < 0.9 * 200} == {}
