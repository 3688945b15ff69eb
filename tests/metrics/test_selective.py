"""Selective prediction: worked by hand, by brute force, and what is too little is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest

from sitrepbench.errors import DataError
from sitrepbench.metrics.selective import (
    THRESHOLD_COLUMNS,
    area_under_risk,
    risk_coverage,
    sentences_needed,
    thresholds,
)
from sitrepbench.predictions import PredictionsTable

MakeTable = Callable[..., PredictionsTable]


def table_of(
    confidence: Sequence[float], right: Sequence[bool], *, repeats: int = 1
) -> PredictionsTable:
    """Everything is predicted a; what is wrong is b."""
    n = len(confidence)
    frame = pd.DataFrame(
        {
            "sentence_id": [f"s{i}" for i in range(n)],
            "document_id": [f"d{i % 5}" for i in range(n)],
            "domain": "",
            "part": "dev",
            "repeat": 0,
            "fold": 0,
            "label": np.where(right, "a", "b"),
            "secondary": "",
            "predicted": "a",
            "p_a": confidence,
            "p_b": 1 - np.asarray(confidence),
        }
    )
    frames = [frame.assign(repeat=number) for number in range(repeats)]
    return PredictionsTable(pd.concat(frames, ignore_index=True), ("a", "b"))


def test_a_curve_worked_by_hand() -> None:
    found = risk_coverage(table_of([0.9, 0.8, 0.7, 0.6], [True, False, True, True]))
    assert found is not None
    np.testing.assert_allclose(found.threshold, [0.9, 0.8, 0.7, 0.6])
    np.testing.assert_allclose(found.coverage, [0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(found.risk, [0, 1 / 2, 1 / 3, 1 / 4])
    assert found.aurc == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 4) / 4)
    assert found.aurc_best == pytest.approx(1 / 4 / 4)
    assert found.error == pytest.approx(1 / 4)


def test_ties_are_what_random_orders_give_on_average() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.choice([0.5, 0.6, 0.9], 40)
    wrong = (rng.random(40) < 0.4).astype(float)
    drawn = []
    for _ in range(4000):
        order = np.lexsort((rng.random(40), -confidence))
        drawn.append((wrong[order].cumsum() / np.arange(1, 41)).mean())
    error = np.std(drawn) / np.sqrt(len(drawn))
    assert area_under_risk(confidence, wrong) == pytest.approx(np.mean(drawn), abs=4 * error)
    assert area_under_risk(np.full(40, 0.5), wrong) == pytest.approx(wrong.mean())


def test_the_interval_is_near_that_of_leaving_documents_out(make_table: MakeTable) -> None:
    table = make_table(n=400, n_documents=40, probabilities=True)
    found = risk_coverage(table)
    assert found is not None
    left = []
    for document in sorted(table.frame["document_id"].unique()):
        rows = table.frame[table.frame["document_id"] != document].reset_index(drop=True)
        one = risk_coverage(PredictionsTable(rows, table.labels))
        assert one is not None
        left.append(one.aurc)
    from scipy.stats import t

    error = np.sqrt(39 / 40 * ((np.array(left) - np.mean(left)) ** 2).sum())
    sizes = table.frame["document_id"].value_counts().to_numpy()
    freedom = sizes.sum() ** 2 / (sizes**2).sum() - 1
    half = t.ppf(0.975, freedom) * error
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.05)


def test_repeats_are_averaged(make_table: MakeTable) -> None:
    table = make_table(n=100, n_repeats=2, probabilities=True)
    whole = risk_coverage(table)
    assert whole is not None
    each = []
    for repeat in (0, 1):
        rows = table.frame[table.frame["repeat"] == repeat].reset_index(drop=True)
        one = risk_coverage(PredictionsTable(rows, table.labels))
        assert one is not None
        each.append(one.aurc)
    assert whole.aurc == pytest.approx(np.mean(each))


def test_a_threshold_is_the_lowest_at_which_the_precision_is_reached() -> None:
    # Surest first: 30 right, 3 wrong, 7 right, 10 wrong.
    right = [True] * 30 + [False] * 3 + [True] * 7 + [False] * 10
    confidence = np.linspace(0.99, 0.5, 50)
    found = thresholds(table_of(list(confidence), right), 0.9).set_index("label")
    assert list(found.reset_index().columns) == list(THRESHOLD_COLUMNS)
    # 37 of 40 are right, 0.925; 37 of 41 are, 0.902; with 42 it is 0.881.
    assert found.loc["a", "threshold"] == pytest.approx(confidence[40])
    assert found.loc["a", "precision"] == pytest.approx(37 / 41)
    assert found.loc["a", "coverage"] == pytest.approx(41 / 50)
    assert found.loc["a", "recall"] == pytest.approx(1.0)
    assert found.loc["a", "n"] == 41
    assert found.loc["a", "documents"] == 5
    assert found.loc["a", "note"] == ""
    assert np.isnan(found.loc["b", "threshold"])
    assert found.loc["b", "note"] == "never predicted"


def test_a_precision_that_is_never_reached_is_told() -> None:
    (row, _) = thresholds(table_of([0.9, 0.8, 0.7], [False, True, True]), 0.9).to_dict("records")
    assert np.isnan(row["threshold"])
    assert row["n"] == 0
    assert row["note"] == "never reached; the highest precision is 0.667"


@pytest.mark.parametrize("repeats", [1, 4])
def test_too_few_sentences_are_told_however_often_they_are_scored(repeats: int) -> None:
    table = table_of(list(np.linspace(0.6, 0.9, 20)), [True] * 20, repeats=repeats)
    row = thresholds(table, 0.9).iloc[0]
    assert row["precision"] == 1.0
    assert row["note"].startswith("n too small: 20 sentences, and 29 are needed")
    assert sentences_needed(0.9) == 29
    assert 0.9**29 <= 0.05 < 0.9**28


def test_a_label_with_equal_confidence_is_kept_or_left_as_a_whole() -> None:
    row = thresholds(table_of([0.9] * 40 + [0.8] * 10, [True] * 45 + [False] * 5), 0.9).iloc[0]
    assert (row["threshold"], row["n"]) == (0.8, 50)
    row = thresholds(table_of([0.9] * 40 + [0.8] * 10, [True] * 42 + [False] * 8), 0.9).iloc[0]
    assert (row["threshold"], row["n"]) == (0.9, 40)


def test_without_probabilities_there_is_nothing(make_table: MakeTable) -> None:
    table = make_table()
    assert risk_coverage(table) is None
    assert thresholds(table).empty
    with pytest.raises(DataError, match="no rows"):
        risk_coverage(PredictionsTable(table.frame.iloc[:0], table.labels))


@pytest.mark.parametrize("precision", [0.0, 1.0, 90.0])
def test_a_precision_that_cannot_be_is_refused(make_table: MakeTable, precision: float) -> None:
    with pytest.raises(DataError, match="more than 0 and less than 1"):
        thresholds(make_table(probabilities=True), precision)


def test_one_document_has_no_interval(make_table: MakeTable) -> None:
    found = risk_coverage(make_table(n=20, n_documents=1, probabilities=True))
    assert found is not None
    assert np.isnan([found.low, found.high]).all()
