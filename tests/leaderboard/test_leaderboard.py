"""A leaderboard's numbers against their sources, and what it refuses."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from ranked_entries import PARTS, run, submission, table
from sklearn.metrics import f1_score

from sitrepbench.comparison.entries import Entry
from sitrepbench.comparison.leaderboard import Leaderboard, Ledger, build_leaderboard
from sitrepbench.comparison.scoring import score_part
from sitrepbench.errors import DataError, ProtocolError, SitrepBenchError, StoreError
from sitrepbench.labels import LABELS
from sitrepbench.metrics.calibration import calibration_of
from sitrepbench.metrics.confusion import document_confusions
from sitrepbench.metrics.scores import macro_f1
from sitrepbench.metrics.summary import summarise
from sitrepbench.predictions import PredictionsTable
from sitrepbench.stats.ranks import rank_models
from sitrepbench.store.looks import Look


def board_of(*entries: Entry, **more: Any) -> Leaderboard:
    return build_leaderboard(list(entries), study="made", part="dev", **more)


def test_rows_are_ordered_by_score_with_the_intervals_of_the_summary() -> None:
    board = board_of(run("weak", 0.7), run("good", 0.2, seed=1), run("fair", 0.4, seed=2))
    assert [row.name for row in board.rows] == ["good", "fair", "weak"]
    for row, (wrong, seed) in zip(board.rows, ((0.2, 1), (0.4, 2), (0.7, 0)), strict=True):
        predictions = table(wrong, seed=seed)
        summary = summarise(predictions, "dev")
        assert (row.scores.low, row.scores.high) == summary.intervals["macro_f1"]
        expected = f1_score(predictions.frame["label"], predictions.frame["predicted"],
                            average="macro")  # fmt: skip
        assert row.scores.macro_f1 == pytest.approx(expected)
        assert row.scores.worst_domain_macro_f1 == summary.metrics["worst_domain_macro_f1"]
        assert row.scores.per_label["denial"] == summary.metrics["f1/denial"]


@pytest.mark.parametrize("domains", ["none", "one", "mixed documents", "rare labels"])
def test_scores_are_those_of_the_summary_whatever_the_domains(domains: str) -> None:
    predictions = table(0.4, repeats=3, documents=20)
    frame = predictions.frame.copy()
    at = frame["sentence_id"].str[1:].astype(int)
    if domains == "none":
        frame["domain"] = ""
    elif domains == "one":
        frame["domain"] = "north"
    elif domains == "mixed documents":
        frame["domain"] = np.where(at % 3 == 0, "north", np.where(at % 3 == 1, "south", ""))
    else:
        frame["label"] = np.where(at < 150, LABELS[0], LABELS[1])
    predictions = PredictionsTable(frame, predictions.labels)
    found = score_part(predictions, document_confusions(predictions))
    summary = summarise(predictions, "dev")
    worst = summary.metrics.get("worst_domain_macro_f1", math.nan)
    assert found.worst_domain_macro_f1 == pytest.approx(worst, nan_ok=True)
    assert found.macro_f1 == pytest.approx(summary.metrics["macro_f1"])
    assert (found.low, found.high) == pytest.approx(summary.intervals["macro_f1"])
    for label in LABELS:
        f1 = summary.metrics.get(f"f1/{label}", math.nan)
        ends = summary.intervals.get(f"f1/{label}", (math.nan, math.nan))
        assert found.per_label[label] == pytest.approx(f1, nan_ok=True)
        assert found.per_label_intervals[label] == pytest.approx(ends, nan_ok=True)


def test_ranks_and_groups_are_those_of_the_ranking() -> None:
    entries = [run(f"m{at}", wrong, seed=at) for at, wrong in enumerate((0.5, 0.1, 0.12, 0.8))]
    board = board_of(*entries)
    models = [document_confusions(entry.predictions) for entry in entries]
    ranking = rank_models(models, partial(macro_f1, labels=models[0].supported))
    for at, entry in enumerate(entries):
        row = next(row for row in board.rows if row.name == entry.name)
        assert (row.best_rank, row.worst_rank) == (ranking.best_rank[at], ranking.worst_rank[at])
        assert {ranking.groups[number] for number in row.groups} == {
            group for group in ranking.groups if at in group
        }
    assert [row.letters for row in board.rows] == ["a", "a", "b", "c"]
    assert [row.rank for row in board.rows] == ["1-2", "1-2", "3", "4"]
    assert (board.n_differ, board.n_pairs) == (5, 6)


def test_runs_of_several_seeds_are_one_row_of_their_mean() -> None:
    board = board_of(
        run("forest", 0.3, key="k1", seed=1, fit=1.0),
        run("forest", 0.3, key="k2", seed=2, fit=3.0),
        run("forest", 0.3, key="k2", seed=2, fit=3.0),  # the same run under another seed
        run("rules", 0.5),
    )
    row = board.rows[0]
    scores = [summarise(table(0.3, seed=seed), "dev").metrics["macro_f1"] for seed in (1, 2)]
    assert row.scores.macro_f1 == pytest.approx(np.mean(scores))
    assert (row.n_runs, row.n_repeats, row.keys) == (2, 2, ("k1", "k2"))
    assert row.costs.fit == 2.0
    assert any("means over seeds" in note for note in board.notes)


def test_calibration_is_blank_without_probabilities() -> None:
    board = board_of(run("sure", 0.2, made={"probabilities": True}), run("mute", 0.4, seed=3))
    sure, mute = board.rows
    found = calibration_of(table(0.2, probabilities=True))
    assert found is not None
    assert sure.classwise_ece == found.classwise_ece
    assert 0 < sure.aurc < 0.5
    assert math.isnan(mute.classwise_ece)
    assert math.isnan(mute.aurc)


def test_the_cheapest_is_the_least_costly_that_no_row_is_better_than() -> None:
    board = board_of(
        run("dear", 0.10, fit=90.0),
        run("cheap", 0.11, seed=1, fit=2.0),
        run("bad", 0.80, seed=2, fit=0.1),
        submission("handed in", 0.09),
    )
    assert board.cheapest is not None
    assert board.cheapest.name == "cheap"
    assert [row.is_tied_with_best for row in board.rows] == [True, True, True, False]


def test_the_best_of_many_equals_is_too_good() -> None:
    board = board_of(*(run(f"m{at}", 0.5, seed=at) for at in range(8)))
    assert board.optimism is not None
    assert board.optimism.best == 0
    assert board.optimism.apparent == pytest.approx(board.rows[0].scores.macro_f1)
    assert 0.005 < board.optimism.optimism < 0.1


def test_a_single_row_has_no_rivals() -> None:
    board = board_of(run("alone", 0.3))
    assert board.optimism is None
    assert board.n_pairs == 0
    assert board.rows[0].rank == "1"


def test_looks_are_counted_by_kind_and_by_row() -> None:
    def look(key: str, **more: Any) -> Look:
        digest = str(more.pop("digest", "dd"))
        return Look("made", digest, "test", key, "because", "me", "2026-11-20", **more)

    looks = (look("good"), look("good", study="made"), look("elsewhere", study="made"),
             look("file:12", study=""), look("other data", digest="ee"))  # fmt: skip
    board = board_of(
        run("good", 0.2),
        submission("theirs", 0.5),
        ledger=Ledger(looks, "made", "dd"),
        submission_keys={"theirs": "file:12"},
    )
    assert board.looks.text() == "4 (2 declared by a study, 2 by hand)"
    assert [row.looks.total for row in board.rows] == [2, 1]


@pytest.mark.parametrize(
    ("field", "value", "error", "told"),
    [
        ("data", {"training": "bb" * 32, "scored": "bb" * 32}, DataError, "2 dataset digests"),
        ("config", {"protocol": {"score": ["test"]}}, ProtocolError, "2 protocols"),
        ("sources", {"models/nbsvm.py": "bbbb"}, StoreError, "models/nbsvm.py differs"),
        ("versions", {"numpy": "1.9"}, StoreError, "library numpy differs: 2.0: a | 1.9: b"),
    ],
)
def test_runs_that_are_not_alike_are_refused_by_name(
    field: str, value: Any, error: type[SitrepBenchError], told: str
) -> None:
    with pytest.raises(error) as caught:
        board_of(run("a", 0.1), run("b", 0.2, seed=1, **{field: value}))
    assert told in str(caught.value)
    assert "b" in str(caught.value)


def test_a_library_that_only_some_runs_use_does_not_part_them() -> None:
    more = {**PARTS["versions"], "optuna": "4.0"}
    board = board_of(run("a", 0.1), run("b", 0.2, seed=1, versions=more))
    assert len(board.rows) == 2


def test_all_problems_are_told_at_once() -> None:
    other = {"training": "bb" * 32, "scored": "bb" * 32}
    with pytest.raises(DataError, match=r"(?s)2 dataset digests.*numpy differs"):
        board_of(run("a", 0.1), run("b", 0.2, data=other, versions={"numpy": "1.9"}))


def test_missing_cells_are_named() -> None:
    whole = run("whole", 0.2, made={"repeats": 2})
    frame = whole.predictions.frame
    kept = frame[(frame["repeat"] == 0) | (frame["document_id"] > "d009")]
    cut = replace(run("cut", 0.2), predictions=PredictionsTable(kept, whole.predictions.labels))
    with pytest.raises(DataError, match=r"cut: repeat 1 of dev has 240 of 320 sentences.*'d000'"):
        board_of(whole, cut)


def test_other_gold_labels_are_refused() -> None:
    odd = run("odd", 0.2)
    frame = odd.predictions.frame.copy()
    frame["label"] = frame["label"].to_numpy()[::-1]
    other = replace(odd, predictions=PredictionsTable(frame, odd.predictions.labels))
    with pytest.raises(DataError, match="odd: other gold labels"):
        board_of(run("even", 0.3), other)


def test_a_part_that_not_all_have_is_refused() -> None:
    with pytest.raises(DataError, match=r"(?s)no predictions of part 'test'.*a: has dev"):
        build_leaderboard([run("a", 0.1)], study="made", part="test")


def test_a_submission_under_a_models_name_is_refused() -> None:
    with pytest.raises(DataError, match="two entries are called 'nbsvm'"):
        board_of(run("nbsvm", 0.2), submission("nbsvm", 0.1))
