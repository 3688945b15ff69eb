"""Summaries of a part against scikit-learn and against naive loops."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss, precision_recall_fscore_support

from sitrepbench.errors import DataError
from sitrepbench.metrics.summary import summarise
from sitrepbench.predictions import PredictionsTable

MakeTable = Callable[..., PredictionsTable]


def macro(frame: pd.DataFrame) -> float:
    """Macro-F1 over the labels with gold sentences, by scikit-learn."""
    return float(
        f1_score(
            frame["label"],
            frame["predicted"],
            labels=sorted(set(frame["label"])),
            average="macro",
            zero_division=0,
        )
    )


def test_headline_is_the_mean_of_the_pooled_repeats(make_table: MakeTable) -> None:
    table = make_table(n_repeats=3, probabilities=True)
    summary = summarise(table, "cv")
    repeats = [rows for _, rows in table.frame.groupby("repeat")]
    columns = list(table.probability_columns)
    assert summary.metrics["macro_f1"] == pytest.approx(np.mean([macro(r) for r in repeats]))
    assert summary.metrics["accuracy"] == pytest.approx(
        np.mean([accuracy_score(r["label"], r["predicted"]) for r in repeats])
    )
    assert summary.metrics["log_loss"] == pytest.approx(
        np.mean([log_loss(r["label"], r[columns], labels=list(table.labels)) for r in repeats])
    )
    assert (summary.n_sentences, summary.n_documents, summary.n_repeats) == (200, 20, 3)
    by_label = np.mean(
        [
            precision_recall_fscore_support(
                r["label"], r["predicted"], labels=table.labels, zero_division=0
            )
            for r in repeats
        ],
        axis=0,
    )
    columns = ["precision", "recall", "f1", "support"]
    np.testing.assert_allclose(summary.per_label[columns].to_numpy().T, by_label)
    assert summary.confusion.to_numpy().sum() == pytest.approx(200)
    assert summary.per_label["predicted"].sum() == pytest.approx(200)


def test_folds_are_scored_one_by_one(make_table: MakeTable) -> None:
    table = make_table(n_repeats=2)
    per_fold = summarise(table, "cv").per_fold
    assert len(per_fold) == 10
    for row in per_fold.to_dict("records"):
        frame = table.frame
        fold = frame[(frame["repeat"] == row["repeat"]) & (frame["fold"] == row["fold"])]
        assert row["n"] == len(fold)
        assert row["macro_f1"] == pytest.approx(macro(fold))
        assert row["accuracy"] == pytest.approx((fold["label"] == fold["predicted"]).mean())


def test_secondary_labels_can_only_help_accuracy(make_table: MakeTable) -> None:
    table = make_table(seed=4)
    frame = table.frame.copy()
    frame["secondary"] = frame["predicted"].where(frame["label"] != frame["predicted"], "")
    summary = summarise(PredictionsTable(frame, table.labels), "cv")
    assert summary.metrics["lenient_macro_f1"] == 1
    assert summary.metrics["macro_f1"] < 0.9
    low, high = summary.intervals["lenient_macro_f1"]
    assert 0.5 < low < 1 == high


def test_intervals_surround_their_scores(make_table: MakeTable) -> None:
    for seed in range(5):
        summary = summarise(make_table(n=60, n_documents=6, n_repeats=2, seed=seed), "cv")
        assert set(summary.intervals) == {
            "macro_f1",
            "accuracy",
            "lenient_macro_f1",
            *(f"f1/{label}" for label in "abcd"),
        }
        for name, (low, high) in summary.intervals.items():
            assert 0 <= low <= summary.metrics[name] <= high <= 1
            assert low < high


def test_a_label_without_gold_sentences_is_left_out_and_said(make_table: MakeTable) -> None:
    table = make_table(gold_use=("a", "b", "c"))
    summary = summarise(table, "cv")
    assert summary.metrics["macro_f1"] == pytest.approx(macro(table.frame))
    assert "f1/d" not in summary.metrics
    assert "f1/d" not in summary.intervals
    row = summary.per_label.set_index("label").loc["d"]
    assert row["support"] == 0 < row["predicted"]
    assert row[["precision", "recall", "f1", "f1_low", "f1_high"]].isna().all()
    assert any("labelled d: macro-F1 is over the other 3" in note for note in summary.notes)


def test_a_label_that_is_never_predicted_is_said(make_table: MakeTable) -> None:
    summary = summarise(make_table(predicted_use=("a", "b")), "cv")
    assert summary.metrics["f1/c"] == 0
    low, high = summary.intervals["f1/c"]
    assert low == 0 < high < 1
    assert "Never predicted: c, d." in summary.notes


def test_one_document_has_scores_but_no_interval(make_table: MakeTable) -> None:
    summary = summarise(make_table(n=30, n_documents=1, n_repeats=2), "cv")
    assert math.isfinite(summary.metrics["macro_f1"])
    assert all(math.isnan(end) for ends in summary.intervals.values() for end in ends)
    assert summary.per_label["f1_low"].isna().all()
    assert any("One document: no interval" in note for note in summary.notes)


def test_one_sentence_is_enough(make_table: MakeTable) -> None:
    summary = summarise(make_table(n=1, n_documents=1, seed=1), "cv")
    assert summary.n_sentences == 1
    assert summary.metrics["macro_f1"] in (0.0, 1.0)


def test_few_documents_are_said(make_table: MakeTable) -> None:
    few = summarise(make_table(n_documents=8), "cv").notes
    assert any(note.startswith("8 documents: the intervals are rough") for note in few)
    assert summarise(make_table(n=400, n_documents=40), "cv").notes == ()


def test_probability_scores_need_probabilities_in_every_row(make_table: MakeTable) -> None:
    table = make_table(probabilities=True)
    assert {"log_loss", "brier"} <= set(summarise(table, "cv").metrics)
    frame = table.frame.copy()
    frame.loc[3, "p_a"] = np.nan
    assert "log_loss" not in summarise(PredictionsTable(frame, table.labels), "cv").metrics


def test_worst_domain_is_the_lowest_of_those_large_enough(make_table: MakeTable) -> None:
    table = make_table(n=400, n_documents=20, domains=("Syria", "Iraq", "Chad", ""))
    frame = table.frame.copy()
    chad = frame.index[frame["domain"] == "Chad"]
    frame = frame.drop(chad[29:]).reset_index(drop=True)
    frame.loc[frame["domain"] == "Chad", "predicted"] = "a"
    summary = summarise(PredictionsTable(frame, table.labels), "cv")
    per_domain = summary.per_domain.set_index("domain")
    assert list(per_domain.index)[-1] == "Chad"
    assert np.isnan(per_domain.loc["Chad", "macro_f1"])
    scores = [macro(frame[frame["domain"] == name]) for name in ("Syria", "Iraq")]
    assert summary.metrics["worst_domain_macro_f1"] == pytest.approx(min(scores))
    assert per_domain.loc["Syria", "macro_f1"] == pytest.approx(scores[0])


def test_a_single_domain_has_no_worst(make_table: MakeTable) -> None:
    summary = summarise(make_table(domains=("Syria",)), "cv")
    assert "worst_domain_macro_f1" not in summary.metrics
    assert len(summary.per_domain) == 1
    assert summarise(make_table(), "cv").per_domain.empty


def test_an_absent_part_is_refused_with_the_parts_there_are(make_table: MakeTable) -> None:
    with pytest.raises(DataError, match=r"no predictions of part 'test'.*: cv"):
        summarise(make_table(), "test")
