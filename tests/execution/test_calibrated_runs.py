"""A run with a calibrator: the labels stay, the probabilities come from training rows only."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.svm import LinearSVC

from sitrepbench.calibration import Isotonic, Platt, Temperature
from sitrepbench.data.dataset import Dataset
from sitrepbench.errors import ModelError
from sitrepbench.execution import execute
from sitrepbench.features import word_tfidf
from sitrepbench.models import KeywordRules, MajorityClass
from sitrepbench.models.pipeline import build_pipeline
from sitrepbench.protocols import GroupedCV

EVERY = [Temperature(n_folds=3), Platt(n_folds=3), Isotonic(n_folds=3)]
NAMES = ["temperature", "platt", "isotonic"]


@pytest.mark.slow
@pytest.mark.parametrize("calibrator", EVERY, ids=NAMES)
@pytest.mark.parametrize("model", [LinearSVC(random_state=0), MultinomialNB()], ids=["svm", "nb"])
def test_labels_stay_and_every_row_gets_probabilities(
    dataset: Dataset, model: Any, calibrator: Any
) -> None:
    plan = GroupedCV(n_folds=3).plan(dataset)
    pipeline = build_pipeline(word_tfidf(min_df=1), model)
    plain = execute(plan, pipeline).predictions
    mended = execute(plan, pipeline, calibrator=calibrator).predictions
    assert mended.digest() == plain.digest()
    assert mended.has_probabilities
    found = mended.frame[list(mended.probability_columns)].to_numpy()
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert not np.allclose(found, plain.frame[list(plain.probability_columns)].to_numpy())


def test_a_temperature_leaves_the_likeliest_label_and_is_told(dataset: Dataset) -> None:
    plan = GroupedCV(n_folds=3).plan(dataset)
    pipeline = build_pipeline(word_tfidf(min_df=1), LogisticRegression())
    result = execute(plan, pipeline, calibrator=Temperature(n_folds=3))
    table = result.predictions
    best = table.frame[list(table.probability_columns)].to_numpy().argmax(axis=1)
    assert (best == table.codes("predicted")).all()
    (note,) = [note for note in result.notes if note.startswith("calibrator")]
    assert note.startswith("calibrator: temperature 0.")
    assert note.endswith(", 3 cells")


class Spy(ClassifierMixin, BaseEstimator):
    """Keeps the documents and texts that it is fitted on, and asked about for decision values."""

    reads_frame = True
    fitted: list[pd.DataFrame] = []
    asked: list[pd.DataFrame] = []

    def fit(self, X: pd.DataFrame, y: Any) -> Spy:
        self.classes_ = np.unique(y)
        self.own_ = X
        Spy.fitted.append(X)
        return self

    def predict(self, X: pd.DataFrame) -> Any:
        return np.full(len(X), self.classes_[0], dtype=object)

    def decision_function(self, X: pd.DataFrame) -> Any:
        assert not set(self.own_["document_id"]) & set(X["document_id"])
        Spy.asked.append(X)
        return np.tile(np.arange(float(len(self.classes_))), (len(X), 1))


def test_calibrators_see_documents_of_the_training_rows_only(dataset: Dataset) -> None:
    Spy.fitted, Spy.asked = [], []
    plan = GroupedCV(n_folds=3).plan(dataset)
    execute(plan, build_pipeline(None, Spy()), calibrator=Temperature(n_folds=2))
    assert (len(Spy.fitted), len(Spy.asked)) == (9, 9)
    for number, cell in enumerate(plan.cells):
        outer, *inner = Spy.fitted[3 * number : 3 * number + 3]
        *held_out, test = Spy.asked[3 * number : 3 * number + 3]
        train = set(dataset.frame["sentence_id"].iloc[cell.train])
        assert set(outer["sentence_id"]) == train
        assert set(test["sentence_id"]) == set(dataset.frame["sentence_id"].iloc[cell.test])
        # Every training row is asked about once, by a model that has not seen its document.
        assert sorted(pd.concat(held_out)["sentence_id"]) == sorted(train)
        assert all(set(rows["sentence_id"]) < train for rows in inner)


def test_a_calibrated_run_is_the_same_each_time(dataset: Dataset) -> None:
    plan = GroupedCV(n_folds=3).plan(dataset)
    pipeline = build_pipeline(word_tfidf(min_df=1), MultinomialNB())
    one = execute(plan, pipeline, calibrator=Platt(n_folds=3)).predictions.frame
    again = execute(plan, pipeline, calibrator=Platt(n_folds=3)).predictions.frame
    pd.testing.assert_frame_equal(one, again)


def test_a_model_that_says_labels_only_is_refused(dataset: Dataset) -> None:
    plan = GroupedCV(n_folds=3).plan(dataset)
    with pytest.raises(ModelError, match=r"cv, repeat 0, fold 0: KeywordRules has neither"):
        execute(plan, build_pipeline(None, KeywordRules()), calibrator=Temperature())


def test_a_model_that_is_equally_sure_of_everything_is_no_problem(dataset: Dataset) -> None:
    plan = GroupedCV(n_folds=3).plan(dataset)
    for calibrator in EVERY:
        table = execute(
            plan, build_pipeline(None, MajorityClass()), calibrator=calibrator
        ).predictions
        assert table.has_probabilities
