"""One run: nothing leaks, everything is counted, and a model that misbehaves is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import f1_score
from sklearn.naive_bayes import ComplementNB
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from sitrepbench.data.dataset import Dataset
from sitrepbench.errors import ModelError
from sitrepbench.execution import execute
from sitrepbench.features import char_tfidf, lsa, word_char_tfidf, word_tfidf
from sitrepbench.metrics.summary import summarise
from sitrepbench.models import KeywordRules, MajorityClass
from sitrepbench.models.pipeline import build_pipeline, unset_seeds
from sitrepbench.protocols import GroupedCV, Score


def test_a_run_equals_the_loop_a_user_would_write(dataset: Dataset) -> None:
    plan = GroupedCV(n_folds=3).plan(dataset)
    result = execute(plan, build_pipeline(word_tfidf(min_df=1), ComplementNB()))
    texts, labels = dataset.frame["text"].to_numpy(), dataset.frame["label"].to_numpy()
    expected = np.empty(len(texts), dtype=object)
    for cell in plan.cells:
        own = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), ComplementNB())
        expected[cell.test] = own.fit(texts[cell.train], labels[cell.train]).predict(
            texts[cell.test]
        )
    found = result.predictions.frame.set_index("sentence_id")["predicted"]
    assert list(found[dataset.frame["sentence_id"]]) == list(expected)
    score = summarise(result.predictions, "cv").metrics["macro_f1"]
    assert score == pytest.approx(f1_score(labels, expected, average="macro"))


def test_timings_count_every_cell(dataset: Dataset) -> None:
    told: list[tuple[int, int]] = []
    plan = GroupedCV(n_folds=3, n_repeats=2).plan(dataset)
    result = execute(
        plan,
        build_pipeline(word_tfidf(min_df=1), ComplementNB()),
        on_cell=lambda done, total: told.append((done, total)),
    )
    assert told == [(k, 6) for k in range(1, 7)]
    assert list(result.timings["n_test"] + result.timings["n_train"]) == [len(dataset.frame)] * 6
    assert (result.timings["fit_seconds"] > 0).all()
    assert result.peak_memory_mb > 10


def test_probabilities_are_there_or_empty(dataset: Dataset) -> None:
    plan = GroupedCV(n_folds=3).plan(dataset)
    with_them = execute(plan, build_pipeline(word_tfidf(min_df=1), ComplementNB())).predictions
    columns = list(with_them.probability_columns)
    np.testing.assert_allclose(with_them.frame[columns].sum(axis=1), 1.0)
    best = with_them.frame[columns].to_numpy().argmax(axis=1)
    assert (best == with_them.codes("predicted")).all()
    without = execute(plan, build_pipeline(word_tfidf(min_df=1), LinearSVC())).predictions
    assert without.frame[columns].isna().all(axis=None)


class Spy(ClassifierMixin, BaseEstimator):
    """Keeps what it is shown."""

    reads_frame = True
    shown: list[pd.DataFrame] = []

    def fit(self, X: pd.DataFrame, y: Any) -> Spy:
        self.classes_ = np.unique(y)
        Spy.shown.append(X)
        return self

    def predict(self, X: pd.DataFrame) -> Any:
        Spy.shown.append(X)
        return np.full(len(X), "background", dtype=object)


def test_a_model_never_sees_labels_or_test_rows(dataset: Dataset) -> None:
    Spy.shown = []
    plan = GroupedCV(n_folds=3).plan(dataset)
    execute(plan, build_pipeline(None, Spy()))
    for seen in Spy.shown:
        assert not {"label", "secondary", "split", "cluster"} & set(seen.columns)
    for fitted, asked in zip(Spy.shown[::2], Spy.shown[1::2], strict=True):
        assert not set(fitted["document_id"]) & set(asked["document_id"])


def test_features_are_fitted_on_training_rows_only(dataset: Dataset) -> None:
    # Every sentence bears a token that no other has: it must not be in the vocabulary.
    plan = GroupedCV(n_folds=3).plan(dataset)
    cell = plan.cells[0]
    fitted = build_pipeline(word_tfidf(min_df=1), ComplementNB())
    fitted.fit(dataset.frame.iloc[cell.train], dataset.frame["label"].iloc[cell.train])
    vocabulary = set(fitted[0].get_feature_names_out())
    held = {f"word__s{name[1:]}" for name in dataset.frame["document_id"].iloc[cell.test]}
    assert not held & vocabulary


@pytest.mark.parametrize("features", [word_tfidf, char_tfidf, word_char_tfidf, lsa])
def test_every_feature_set_works_and_is_deterministic(dataset: Dataset, features: Any) -> None:
    plan = GroupedCV(n_folds=3).plan(dataset)
    # The sentences have fewer dimensions than LSA has by default.
    made = lsa(20, char_ngrams=(2, 2)) if features is lsa else features()
    pipeline = build_pipeline(made, LinearSVC())
    once, again = execute(plan, pipeline, seed=3), execute(plan, pipeline, seed=3)
    assert once.predictions.digest() == again.predictions.digest()
    assert summarise(once.predictions, "cv").metrics["macro_f1"] > 0.6


def test_the_seed_reaches_every_model_that_draws(dataset: Dataset) -> None:
    plan = GroupedCV(n_folds=3).plan(dataset)
    drawing = build_pipeline(word_tfidf(min_df=1), SGDClassifier(max_iter=5, tol=None))
    assert unset_seeds(drawing) == ["model__random_state"]
    one = execute(plan, drawing, seed=1).predictions.frame["predicted"]
    two = execute(plan, drawing, seed=2).predictions.frame["predicted"]
    assert (one != two).any()
    fixed = build_pipeline(word_tfidf(min_df=1), SGDClassifier(random_state=7))
    assert unset_seeds(fixed) == []
    assert unset_seeds(build_pipeline(word_tfidf(), ComplementNB())) == []


def test_a_bare_vectoriser_reads_the_text_column(dataset: Dataset) -> None:
    plan = GroupedCV(n_folds=3).plan(dataset)
    bare = execute(plan, build_pipeline(TfidfVectorizer(), ComplementNB())).predictions
    assert len(bare.frame) == len(dataset.frame)
    assert summarise(bare, "cv").metrics["macro_f1"] > 0.5


def test_models_that_fit_nothing_are_scored_as_they_are(dataset: Dataset) -> None:
    plan = Score().plan(dataset)
    rules = execute(plan, build_pipeline(None, KeywordRules()))
    assert rules.predictions.parts == ("all",)
    with pytest.raises(ModelError, match="LinearSVC has to be fitted"):
        execute(plan, build_pipeline(word_tfidf(), LinearSVC()))
    with pytest.raises(ModelError, match="MajorityClass has to be fitted"):
        execute(plan, build_pipeline(None, MajorityClass()))


def test_a_model_without_features_is_told(dataset: Dataset) -> None:
    with pytest.raises(ModelError, match="LinearSVC needs features"):
        build_pipeline(None, LinearSVC())


def test_warnings_of_a_library_become_notes(dataset: Dataset) -> None:
    plan = GroupedCV(n_folds=3).plan(dataset)
    result = execute(plan, build_pipeline(word_tfidf(min_df=1), LogisticRegression(max_iter=1)))
    (note,) = result.notes
    assert note.startswith("ConvergenceWarning: lbfgs failed to converge")
    assert note.endswith("(3 times)")


class Rogue(ClassifierMixin, BaseEstimator):
    """Misbehaves in the named way."""

    def __init__(self, way: str = "") -> None:
        self.way = way

    def fit(self, X: Any, y: Any) -> Rogue:
        if self.way == "raises":
            raise RuntimeError("out of luck")
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        label = "nonsense" if self.way == "label" else "background"
        return np.full(X.shape[0] - (self.way == "short"), label, dtype=object)

    def predict_proba(self, X: Any) -> Any:
        given = np.full((X.shape[0], len(self.classes_)), 1 / len(self.classes_))
        if self.way == "nan":
            given[0, 0] = np.nan
        if self.way == "sum":
            given *= 2
        if self.way == "narrow":
            given = given[:, 1:]
        return given


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ("raises", r"Rogue failed \(cv, repeat 0, fold 0\): RuntimeError: out of luck"),
        ("label", "predicted label.* that the dataset does not have: nonsense"),
        ("short", "one label per sentence is expected"),
        ("nan", "NaN or infinite values for 1 of 50 sentences"),
        ("sum", "no probabilities: sums are off by up to 1"),
        ("narrow", r"predict_proba gave shape \(50, 4\), expected \(50, 5\)"),
    ],
)
def test_a_model_that_misbehaves_is_told(dataset: Dataset, way: str, message: str) -> None:
    plan = GroupedCV(n_folds=3).plan(dataset)
    with pytest.raises(ModelError, match=message):
        execute(plan, build_pipeline(word_tfidf(min_df=1), Rogue(way)))


class Failing(BaseEstimator):
    def fit(self, X: Any, y: Any = None) -> Failing:
        raise RuntimeError("no such column")

    def transform(self, X: Any) -> Any:
        return X


def test_features_that_fail_are_named_not_the_model(dataset: Dataset) -> None:
    plan = GroupedCV(n_folds=3).plan(dataset)
    message = r"features failed \(cv, repeat 0, fold 0\): RuntimeError: no such column"
    with pytest.raises(ModelError, match=message):
        execute(plan, build_pipeline(Failing(), LinearSVC()))
