"""Chance and majority stand where theory puts them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from sitrepbench.models import MajorityClass, StratifiedChance

SHARES = {"a": 0.5, "b": 0.3, "c": 0.15, "d": 0.05}


def sentences(n: int) -> tuple[pd.DataFrame, np.ndarray]:
    y = np.repeat(list(SHARES), [round(n * share) for share in SHARES.values()]).astype(object)
    return pd.DataFrame({"sentence_id": [f"s{k}" for k in range(len(y))]}), y


def test_chance_scores_the_shares() -> None:
    """Precision, recall and F1 of a label are its share; macro-F1 is one over the labels.

    With n = 6,000 the standard error of a label's recall is below 0.013.
    """
    X, y = sentences(6_000)
    scores = []
    for seed in range(5):
        predicted = StratifiedChance(seed).fit(X, y).predict(X)
        for score in (precision_score, recall_score, f1_score):
            found = score(y, predicted, average=None, labels=list(SHARES))
            np.testing.assert_allclose(found, list(SHARES.values()), atol=0.05)
        scores.append(f1_score(y, predicted, average="macro"))
    assert np.mean(scores) == pytest.approx(1 / len(SHARES), abs=0.01)
    assert len(set(scores)) == 5


def test_chance_knows_its_probabilities() -> None:
    X, y = sentences(1000)
    model = StratifiedChance(0).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), [list(SHARES.values())] * 1000)


def test_chance_draws_by_sentence_not_by_row() -> None:
    X, y = sentences(200)
    model = StratifiedChance(3).fit(X, y)
    whole = model.predict(X)
    assert list(model.predict(X.iloc[::-1])) == list(whole[::-1])
    assert list(model.predict(X.iloc[50:60])) == list(whole[50:60])
    assert list(StratifiedChance().fit(X, y).predict(X)) == list(
        StratifiedChance(0).fit(X, y).predict(X)
    )


def test_majority_scores_what_the_formula_says() -> None:
    """Its F1 is 2p / (1 + p) for the majority of share p and 0 for the others."""
    X, y = sentences(1000)
    predicted = MajorityClass().fit(X, y).predict(X)
    expected = (2 * 0.5 / 1.5) / 4
    assert f1_score(y, predicted, average="macro", zero_division=0) == pytest.approx(expected)
