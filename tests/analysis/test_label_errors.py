"""Confident learning: against the paper, against planted errors."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

sys.path.insert(0, str(Path(__file__).parent))

from made_up_errors import made_dataset, made_predictions

from sitrepbench.analysis.judged import judge
from sitrepbench.analysis.label_errors import (
    confident_joint,
    estimated_joint,
    find_suspects,
    normalised_margin,
    rank_suspects,
)
from sitrepbench.data import load_shipped
from sitrepbench.features import word_tfidf


def test_the_papers_figure() -> None:
    """Northcutt, Jiang & Chuang (2021), figure 1: counts, and the joint that they come to."""
    counts = np.array([[100.0, 40, 20], [56, 60, 0], [32, 12, 80]])
    joint = estimated_joint(counts, np.array([160, 116, 124]))
    expected = [[0.25, 0.10, 0.05], [0.14, 0.15, 0.00], [0.08, 0.03, 0.20]]
    np.testing.assert_allclose(joint, expected, atol=1e-12)


def test_the_joint_is_scaled_to_the_given_labels() -> None:
    joint = estimated_joint(np.array([[3.0, 1.0], [0.0, 0.0]]), np.array([40, 10]))
    np.testing.assert_allclose(joint, [[0.6, 0.2], [0.0, 0.2]])


def test_a_hand_made_case() -> None:
    probabilities = np.array(
        [[0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0.2, 0.6, 0.2], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4],
         [0.1, 0.7, 0.2]]
    )  # fmt: skip
    given = np.array([0, 0, 1, 1, 0, 0])
    found = confident_joint(given, probabilities)
    # Label 0: mean of .7 .5 .3 .1; label 1: mean of .6 .8; nobody bears label 2.
    np.testing.assert_allclose(found.thresholds, [0.4, 0.7, np.inf])
    assert found.confident.tolist() == [0, 0, -1, 1, -1, 1]
    assert found.counts.tolist() == [[2, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert rank_suspects(given, probabilities).tolist() == [5]
    assert normalised_margin(given, probabilities)[5] == pytest.approx(-0.6)


def test_the_likeliest_label_is_no_suspect_though_another_reaches_its_threshold() -> None:
    probabilities = np.array([[0.6, 0.4], [0.95, 0.05], [0.95, 0.05], [0.7, 0.3], [0.7, 0.3]])
    given = np.array([0, 0, 0, 1, 1])
    found = confident_joint(given, probabilities)
    assert found.confident[0] == 1
    assert rank_suspects(given, probabilities).tolist() == []


@pytest.mark.parametrize("rate", [0.05, 0.15])
def test_planted_errors_are_found(rate: float) -> None:
    generator = np.random.default_rng(5)
    n, n_labels = 4000, 5
    true = generator.choice(n_labels, size=n, p=[0.22, 0.08, 0.15, 0.09, 0.46])
    scores = generator.normal(size=(n, n_labels))
    scores[np.arange(n), true] += 3.0
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    planted = generator.random(n) < rate
    given = np.where(planted, (true + generator.integers(1, n_labels, n)) % n_labels, true)
    ranked = rank_suspects(given, probabilities)
    top = ranked[: int(planted.sum())]
    assert planted[top].mean() > 0.6
    assert planted[ranked[:50]].mean() > 0.9
    counts = confident_joint(given, probabilities).counts
    share = 1 - np.trace(estimated_joint(counts, np.bincount(given, minlength=n_labels)))
    assert rate / 2 < share < 2 * rate + 0.03


@pytest.mark.slow
def test_errors_planted_in_the_corpus_are_found() -> None:
    """Five in a hundred labels of real-like text changed: most of the first suspects are those."""
    frame = load_shipped("sitrep").frame
    frame = frame[frame["split"].isin(["train", "dev"])].reset_index(drop=True)
    labels = sorted(frame["label"].unique())
    true = np.array([labels.index(name) for name in frame["label"]])
    generator = np.random.default_rng(0)
    planted = generator.random(len(true)) < 0.05
    given = np.where(planted, (true + generator.integers(1, len(labels), len(true))) % 5, true)
    model = make_pipeline(
        word_tfidf(), LogisticRegression(C=10, class_weight="balanced", max_iter=2000)
    )
    probabilities = cross_val_predict(
        model, frame[["text"]], given, groups=frame["document_id"], cv=GroupKFold(5),
        method="predict_proba",
    )  # fmt: skip
    ranked = rank_suspects(given, probabilities)
    precision = {n: float(planted[ranked[:n]].mean()) for n in (50, 100, int(planted.sum()))}
    print(f"precision among the first suspects: {precision}, of {len(ranked)}")
    print(
        f"share of planted errors among all suspects: {planted[ranked].sum() / planted.sum():.2f}"
    )
    assert precision[50] > 0.5
    assert planted[ranked].sum() / planted.sum() > 0.6


def test_suspects_of_a_part_are_told_with_their_sentences() -> None:
    dataset = made_dataset()
    wrong = np.zeros(len(dataset.frame), dtype=bool)
    wrong[[3, 40]] = True
    found = find_suspects(judge(made_predictions(dataset, wrong), dataset, part="dev"))
    assert found is not None
    assert set(found.table["sentence_id"]) == set(dataset.frame["sentence_id"][wrong])
    assert (found.table["margin"] < 0).all()
    first = found.table.iloc[0]
    assert first["text"] == dataset.frame.set_index("sentence_id")["text"][first["sentence_id"]]
    assert found.n_sentences == len(dataset.frame)
    assert 0 < found.estimated_share < 0.02


def test_without_probabilities_there_are_none() -> None:
    dataset = made_dataset(n_documents=4)
    table = made_predictions(dataset, np.zeros(48, dtype=bool), probabilities=False)
    assert find_suspects(judge(table, dataset, part="dev")) is None
