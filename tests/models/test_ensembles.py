"""Calibration, voting and stacking: what they compute, on which documents."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import ComplementNB, MultinomialNB
from sklearn.svm import LinearSVC

from sitrepbench.errors import ModelError
from sitrepbench.features import HandMadeCues, lsa, word_tfidf
from sitrepbench.models import (
    Calibrated,
    DocumentFolds,
    KeywordRules,
    Stacking,
    part,
    stacking,
    voting,
)
from sitrepbench.models.example import example_sentences
from sitrepbench.models.pipeline import build_pipeline, unset_seeds

FRAME, Y = example_sentences()
TRAIN, TEST, Y_TRAIN = FRAME[:180], FRAME[180:].reset_index(drop=True), Y[:180]


class Spy(ClassifierMixin, BaseEstimator):
    """Reads the sentence table and notes which documents it was fitted on and asked about."""

    reads_frame = True
    seen: list[tuple[str, set[str]]] = []

    def fit(self, X: pd.DataFrame, y: Any) -> Spy:
        self.classes_ = np.unique(y)
        self.fitted_on_ = set(X["document_id"])
        Spy.seen.append(("fit", self.fitted_on_))
        return self

    def predict(self, X: pd.DataFrame) -> Any:
        Spy.seen.append(("predict", set(X["document_id"])))
        assert set(X["document_id"]) == set(TEST["document_id"]) or not self.fitted_on_ & set(
            X["document_id"]
        ), "asked about a document that it was fitted on"
        return np.full(len(X), self.classes_[0], dtype=object)


def test_calibration_is_sklearns_on_document_folds() -> None:
    ours = Calibrated(word_tfidf(), LinearSVC(random_state=0), n_folds=3).fit(TRAIN, Y_TRAIN)
    features = word_tfidf()
    rows = features.fit_transform(TRAIN)
    folds = list(DocumentFolds(3).split(TRAIN, Y_TRAIN))
    reference = CalibratedClassifierCV(LinearSVC(random_state=0), cv=folds).fit(rows, Y_TRAIN)
    expected = reference.predict_proba(features.transform(TEST))
    np.testing.assert_array_equal(ours.predict_proba(TEST), expected)
    assert list(ours.predict(TEST)) == list(ours.classes_[expected.argmax(axis=1)])


def test_calibration_works_where_a_label_is_rare() -> None:
    labels = Y_TRAIN.copy()
    labels[labels == "denial"] = "background"
    labels[4] = "denial"
    found = Calibrated(word_tfidf(), LinearSVC(random_state=0)).fit(TRAIN, labels)
    np.testing.assert_allclose(found.predict_proba(TEST).sum(axis=1), 1.0)


def test_a_vote_is_the_weighted_mean() -> None:
    parts = {
        "bayes": part(MultinomialNB(), word_tfidf()),
        "logistic": part(LogisticRegression(), word_tfidf()),
        "rules": part(KeywordRules()),
    }
    model = voting(parts, weights={"rules": 0.5}).fit(TRAIN, Y_TRAIN)
    given = [clone(parts[name]).fit(TRAIN, Y_TRAIN) for name in ("bayes", "logistic")]
    rules = KeywordRules().predict(TEST)[:, None] == model.classes_[None, :]
    expected = (sum(one.predict_proba(TEST) for one in given) + 0.5 * rules) / 2.5
    np.testing.assert_allclose(model.predict_proba(TEST), expected)
    assert list(model.predict(TEST)) == list(model.classes_[expected.argmax(axis=1)])


def test_a_vote_for_a_label_that_was_never_seen_counts_for_nothing() -> None:
    kept = Y_TRAIN != "background"
    parts = {"one": part(KeywordRules()), "two": part(KeywordRules())}
    model = voting(parts).fit(TRAIN[kept], Y_TRAIN[kept])
    probabilities = model.predict_proba(TEST)
    unknown = KeywordRules().predict(TEST) == "background"
    assert unknown.any()
    np.testing.assert_allclose(probabilities[unknown], 1 / 4)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)


def test_stacking_learns_from_documents_held_out() -> None:
    Spy.seen = []
    parts = {"spy": part(Spy()), "bayes": part(MultinomialNB(), word_tfidf())}
    stacking(parts, n_folds=4).fit(TRAIN, Y_TRAIN).predict(TEST)
    asked = [documents for what, documents in Spy.seen if what == "predict"]
    assert len(asked) == 5  # four folds, and the test rows
    assert set.union(*asked[:4]) == set(TRAIN["document_id"])
    fits = [documents for what, documents in Spy.seen if what == "fit"]
    assert fits[-1] == set(TRAIN["document_id"])


def test_stacking_is_what_one_would_write_out() -> None:
    parts = {"svm": part(LinearSVC(random_state=0), word_tfidf()), "rules": part(KeywordRules())}
    model = stacking(parts, C=0.5, class_weight=None, n_folds=3).fit(TRAIN, Y_TRAIN)
    features = word_tfidf()
    rows = features.fit_transform(TRAIN)
    values = np.zeros((len(TRAIN), 5))
    for train, test in DocumentFolds(3).split(TRAIN, Y_TRAIN):
        machine = LinearSVC(random_state=0).fit(rows[train], Y_TRAIN[train])
        values[test] = machine.decision_function(rows[test])
    rules = KeywordRules().predict(TRAIN)[:, None] == model.classes_[None, :]
    final = LogisticRegression(C=0.5, max_iter=1000).fit(np.hstack([values, rules]), Y_TRAIN)
    machine = LinearSVC(random_state=0).fit(rows, Y_TRAIN)
    told = KeywordRules().predict(TEST)[:, None] == model.classes_[None, :]
    answers = np.hstack([machine.decision_function(features.transform(TEST)), told])
    np.testing.assert_allclose(model.predict_proba(TEST), final.predict_proba(answers))
    assert list(model.predict(TEST)) == list(final.predict(answers))


def test_stacking_of_two_labels() -> None:
    y = np.where(Y_TRAIN == "denial", "yes", "no").astype(object)
    parts = {
        "svm": part(LinearSVC(random_state=0), word_tfidf()),
        "bayes": part(ComplementNB(), word_tfidf()),
    }
    model = stacking(parts).fit(TRAIN, y)
    assert model.predict_proba(TEST).shape == (len(TEST), 2)
    assert set(model.predict(TEST)) == {"no", "yes"}


def test_seeds_and_settings_of_parts_can_be_reached() -> None:
    parts = {
        "svm": part(LinearSVC(), word_tfidf()),
        "latent": part(LogisticRegression(), lsa(5)),
    }
    pipeline = build_pipeline(None, stacking(parts))
    assert unset_seeds(pipeline) == [
        "model__latent__features__svd__random_state",
        "model__svm__model__random_state",
    ]
    changed = clone(pipeline).set_params(model__svm__model__C=7, model__final__C=0.2)
    assert isinstance(changed["model"], Stacking)
    assert dict(changed["model"].parts)["svm"]["model"].C == 7
    assert parts["svm"]["model"].C == 1.0
    assert changed["model"].final.C == 0.2


def test_files_that_parts_read_count_by_content() -> None:
    with_rules = voting({"a": part(KeywordRules()), "b": part(ComplementNB(), word_tfidf())})
    without = voting({"a": part(MultinomialNB(), word_tfidf()), "b": part(ComplementNB(), lsa(5))})
    assert len(with_rules.content_digest()) == 64
    assert not hasattr(without, "content_digest")
    assert hasattr(Calibrated(HandMadeCues(), LinearSVC()), "content_digest")


@pytest.mark.parametrize(
    ("model", "labels", "told"),
    [
        (Calibrated(word_tfidf(), LinearSVC()), ["x"] * 6, "all 6 training sentences are 'x'"),
        (Calibrated(None, LinearSVC()), list("xyxyxy"), "Calibrated needs features"),
        (
            voting({"a": part(KeywordRules()), "b": part(KeywordRules())}),
            ["x"] * 6,
            "Voting tells labels apart, but all 6 training sentences are 'x'",
        ),
        (stacking({"a": part(KeywordRules())}), list("xyxyxy"), "two parts or more, found 1"),
        (
            voting(
                {"a": part(KeywordRules()), "b": part(KeywordRules())}, weights={"a": 0, "b": 0}
            ),
            list("xyxyxy"),
            r"not all 0; found \[0, 0\]",
        ),
    ],
)
def test_what_cannot_be_done_is_told(model: Any, labels: list[str], told: str) -> None:
    with pytest.raises(ModelError, match=told):
        model.fit(FRAME[:6], labels)


def test_a_weight_for_no_part_is_told() -> None:
    with pytest.raises(ModelError, match="weights for c, but the parts are a"):
        voting({"a": part(KeywordRules())}, weights={"c": 1})
    with pytest.raises(ModelError, match="LinearSVC needs features"):
        part(LinearSVC())
