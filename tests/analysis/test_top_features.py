"""Features that speak for a label, of real estimators."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.naive_bayes import BernoulliNB, ComplementNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC, LinearSVC

from sitrepbench.analysis.refit import read_features
from sitrepbench.analysis.top_features import label_weights, top_features
from sitrepbench.features import hashing, word_tfidf
from sitrepbench.models import NBSVM, MajorityClass
from sitrepbench.models.pipeline import build_pipeline

NAMES = ["word__fire", "word__truce", "word__bus", "word__the"]
LABELS = np.array(["casualty", "talks", "move"] * 8)
ROWS = np.zeros((24, 4))
ROWS[np.arange(24), np.arange(24) % 3] = 2.0
ROWS[:, 3] = 1.0
OWN = {"casualty": "fire", "talks": "truce", "move": "bus"}


@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(),
        LinearSVC(random_state=0),
        RidgeClassifier(),
        SGDClassifier(random_state=0),
        MultinomialNB(),
        ComplementNB(),
        BernoulliNB(),
        NBSVM(),
    ],
    ids=lambda model: type(model).__name__,
)
def test_each_labels_own_word_comes_first(model: Any) -> None:
    table = top_features(model.fit(ROWS, LABELS), NAMES, n_features=2)
    assert table is not None
    first = table[table["rank"] == 1]
    assert dict(zip(first["label"], first["feature"], strict=True)) == OWN
    assert (table["weight"] > 0).all()


@pytest.mark.parametrize("model", [LogisticRegression(), LinearSVC(random_state=0), BernoulliNB()])
def test_two_labels_speak_against_each_other(model: Any) -> None:
    two = LABELS != "move"
    weights = label_weights(model.fit(ROWS[two], LABELS[two]))
    assert weights is not None
    np.testing.assert_allclose(weights[0], -weights[1])
    assert weights[0][0] > 0 > weights[0][1], "classes are sorted: casualty comes first"


def test_bernoulli_weights_are_what_a_features_presence_adds() -> None:
    model = BernoulliNB().fit(ROWS[:, :3], LABELS)
    weights = label_weights(model)
    absent, present = np.zeros((1, 3)), np.array([[1.0, 0, 0]])
    gained = (model.predict_joint_log_proba(present) - model.predict_joint_log_proba(absent))[0]
    others = (gained.sum() - gained) / 2
    assert weights is not None
    np.testing.assert_allclose(weights[:, 0], gained - others)


@pytest.mark.parametrize("model", [KNeighborsClassifier(3), SVC(kernel="linear")])
def test_other_models_have_none(model: Any) -> None:
    assert top_features(model.fit(ROWS, LABELS), NAMES, n_features=2) is None


def test_why_nothing_can_be_shown_is_said_in_a_line() -> None:
    texts = ["fire and dead", "truce talks", "bus leaves"] * 8
    frame = pd.DataFrame({"text": texts})

    def told(pipeline: Pipeline) -> str:
        found = read_features(pipeline.fit(frame, LABELS), where="rows", n_features=3)
        assert found.table is None
        return found.told

    assert "no names" in told(build_pipeline(hashing(), LogisticRegression()))
    assert "no weight per feature" in told(build_pipeline(word_tfidf(), KNeighborsClassifier(3)))
    assert "reads the sentences itself" in told(build_pipeline(None, MajorityClass()))
