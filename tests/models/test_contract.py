"""What `check_model` finds wrong with models that break the contract, one by one."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from sitrepbench.data.duplicates import document_groups
from sitrepbench.errors import DataError, ModelError
from sitrepbench.features import word_tfidf
from sitrepbench.models import MajorityClass
from sitrepbench.models.contract import check_model
from sitrepbench.models.example import example_sentences


class Frequencies(ClassifierMixin, BaseEstimator):
    """A model that keeps to the contract: the others below break it in one way each."""

    reads_frame = True

    def fit(self, X: pd.DataFrame, y: Any) -> Any:
        self.classes_, counts = np.unique(y, return_counts=True)
        self.frequencies_ = counts / counts.sum()
        return self

    def predict_proba(self, X: pd.DataFrame) -> Any:
        by_length = (X["text"].str.len() % len(self.classes_)).to_numpy()
        found = np.tile(self.frequencies_ / 2, (len(X), 1))
        found[np.arange(len(X)), by_length] += 0.5
        return found

    def predict(self, X: pd.DataFrame) -> Any:
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class ChangesArguments(Frequencies):
    def __init__(self, words: str = "a b") -> None:
        self.words = words.split()


class FitsWhatItWasGiven(Frequencies):
    def __init__(self, inner: Any = None) -> None:
        self.inner = inner

    def fit(self, X: pd.DataFrame, y: Any) -> Any:
        self.inner.fit(X, y)
        return super().fit(X, y)


class ForgetsDefault(Frequencies):
    def __init__(self, C: float = 1.0) -> None:
        self.C = C

    def fit(self, X: pd.DataFrame, y: Any) -> Any:
        self.C = len(y)
        return super().fit(X, y)


class Fails(Frequencies):
    def fit(self, X: pd.DataFrame, y: Any) -> Any:
        raise KeyError("surprise")


class Invents(Frequencies):
    def predict(self, X: pd.DataFrame) -> Any:
        return np.full(len(X), "nonsense", dtype=object)


class GivesOneRow(Frequencies):
    def predict(self, X: pd.DataFrame) -> Any:
        return super().predict(X)[:1]


class GivesScores(Frequencies):
    def predict_proba(self, X: pd.DataFrame) -> Any:
        return super().predict_proba(X) * 3


class SwapsColumns(Frequencies):
    def predict_proba(self, X: pd.DataFrame) -> Any:
        return super().predict_proba(X)[:, [1, 0, 2, 3, 4]]

    def predict(self, X: pd.DataFrame) -> Any:
        return self.classes_[super().predict_proba(X).argmax(axis=1)]


class PredictsAnything(Frequencies):
    def predict(self, X: pd.DataFrame) -> Any:
        return self.classes_[(X["text"].str.len() % 3).to_numpy()]


class DrawsAnew(Frequencies):
    def fit(self, X: pd.DataFrame, y: Any) -> Any:
        self.shift_ = next(DRAWS)
        return super().fit(X, y)

    def predict(self, X: pd.DataFrame) -> Any:
        return np.roll(self.classes_, self.shift_)[super().predict_proba(X).argmax(axis=1)]


DRAWS = iter(range(1000))


class CountsRows(Frequencies):
    def predict_proba(self, X: pd.DataFrame) -> Any:
        return np.eye(5)[np.arange(len(X)) % 5][:, : len(self.classes_)]


class Peeks(Frequencies):
    """Standardises by the rows that it is asked about."""

    def predict_proba(self, X: pd.DataFrame) -> Any:
        lengths = X["text"].str.len().to_numpy()
        high = lengths > np.mean(lengths)
        return np.eye(len(self.classes_))[high.astype(int)]


class WritesFit(Frequencies):
    def fit(self, X: pd.DataFrame, y: Any) -> Any:
        X["text"] = X["text"].str.lower()
        return super().fit(X, y)


class WritesPredict(Frequencies):
    def predict(self, X: pd.DataFrame) -> Any:
        found = super().predict(X)
        X["text"] = X["text"].str.lower()
        return found


class KeepsLambda(Frequencies):
    def fit(self, X: pd.DataFrame, y: Any) -> Any:
        self.rule_ = lambda text: text
        return super().fit(X, y)


class KnowsFiveLabels(Frequencies):
    def predict_proba(self, X: pd.DataFrame) -> Any:
        if len(self.classes_) != 5:
            raise ValueError("five labels, please")
        return super().predict_proba(X)


class Remembers(Frequencies):
    """Predicts a label from before."""

    def predict(self, X: pd.DataFrame) -> Any:
        return np.full(len(X), "background", dtype=object)


SEEN: dict[str, str] = {}


class SharesWhatItSaw(Frequencies):
    """Knows what any of its kind was fitted on."""

    def fit(self, X: pd.DataFrame, y: Any) -> Any:
        SEEN.update(zip(X["text"], y, strict=True))
        return super().fit(X, y)

    def predict(self, X: pd.DataFrame) -> Any:
        found = super().predict(X)
        return np.array([SEEN.get(t, f) for t, f in zip(X["text"], found, strict=True)], object)


class Exits(Frequencies):
    def fit(self, X: pd.DataFrame, y: Any) -> Any:
        raise SystemExit(0)


class ExitsInPredict(Frequencies):
    def predict(self, X: pd.DataFrame) -> Any:
        raise SystemExit("no licence")


class TakesManyRows(Frequencies):
    def predict_proba(self, X: pd.DataFrame) -> Any:
        if len(X) < self.least:
            raise ValueError("too few rows")
        return super().predict_proba(X)

    least = 2


class TakesDocuments(TakesManyRows):
    least = 8


class WantsNumbers(Frequencies):
    def fit(self, X: pd.DataFrame, y: Any) -> Any:
        return super().fit(X, np.asarray(y).astype(float))


class HashesTexts(Frequencies):
    def predict_proba(self, X: pd.DataFrame) -> Any:
        n_classes = len(self.classes_)
        return np.eye(n_classes)[[hash(text) % n_classes for text in X["text"]]]


def test_a_sound_model_gives_no_findings() -> None:
    assert check_model(Frequencies()) == []
    assert check_model(MultinomialNB(), word_tfidf()) == []
    # A pipeline of the user's fits its own steps; that is its business.
    assert check_model(make_pipeline(MaxAbsScaler(), MultinomialNB()), word_tfidf()) == []


@pytest.mark.parametrize(
    ("model", "check", "found"),
    [
        (ChangesArguments(), "clones", "clone fails"),
        (FitsWhatItWasGiven(MajorityClass()), "unchanged_parameters", "fit changes inner"),
        (ForgetsDefault(), "unchanged_parameters", "fit changes C"),
        (Fails(), "fits", "KeyError: 'surprise'"),
        (Invents(), "answers", "label(s) that the dataset does not have: nonsense"),
        (GivesOneRow(), "answers", "shape (1,) for 78 sentences"),
        (GivesScores(), "answers", "rows that are no probabilities"),
        (SwapsColumns(), "label_order", "casualty_report stands where background is meant"),
        (DrawsAnew(), "deterministic", "two fits on the same rows differ in 78 of 78 labels"),
        (CountsRows(), "row_order", "in another order of the rows"),
        (Peeks(), "no_peeking", "labels change when other documents are predicted with them"),
        (WritesFit(), "input_unchanged", "fit changes the sentences"),
        (WritesPredict(), "input_unchanged", "predict changes the sentences"),
        (KeepsLambda(), "pickles", "cannot be pickled"),
        (KnowsFiveLabels(), "missing_label", "ValueError: five labels, please"),
        (SharesWhatItSaw(), "no_memory", "labels of a fitted model change when another one"),
        (Exits(), "fits", "fit fails: SystemExit: 0"),
        (ExitsInPredict(), "answers", "SystemExit: no licence"),
        (TakesManyRows(), "few_rows", "predict fails on one sentence: ValueError: too few rows"),
        (TakesDocuments(), "few_rows", "predict fails on one document: ValueError: too few rows"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseEstimator) else None,
)
def test_what_breaks_the_contract_is_found(model: Any, check: str, found: str) -> None:
    findings = [item for item in check_model(model) if item.severity == "error"]
    assert check in {item.check for item in findings}, findings
    one = next(item for item in findings if item.check == check)
    assert found in one.found
    assert one.expected
    assert one.advice.endswith(".")
    assert str(one) == f"{check}: {one.found}. Expected: {one.expected}. {one.advice}"


def test_a_model_that_takes_numbers_is_told_that_labels_are_texts() -> None:
    (finding,) = check_model(WantsNumbers())
    assert "could not convert string to float" in finding.found
    assert finding.advice.startswith("Labels are texts: encode them as numbers in fit")
    (other,) = check_model(Fails())
    assert "reads_frame" in other.advice


@pytest.mark.slow
def test_another_process_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    # The class has to have a name under which another process finds it.
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    module = importlib.import_module("test_contract")
    assert check_model(module.Frequencies(), another_process=True) == []
    (finding,) = check_model(module.HashesTexts(), another_process=True)
    assert (finding.check, finding.severity) == ("processes", "error")
    assert "fitted in another process, it differs in" in finding.found
    assert check_model(HashesTexts()) == []


def test_what_another_process_cannot_load_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HashesTexts, "__module__", "__main__")
    findings = check_model(HashesTexts(), another_process=True)
    (note,) = [item for item in findings if item.check == "processes"]
    assert note.severity == "note"
    assert note.found.startswith("not checked: its class is defined in __main__")


def test_what_a_reader_should_know_is_a_note() -> None:
    (note,) = check_model(PredictsAnything())
    assert (note.check, note.severity) == ("label_order", "note")
    assert "the predicted label is not the likeliest one" in note.found
    notes = check_model(Remembers())
    assert {item.severity for item in notes} == {"note"}
    assert "missing_label" in {item.check for item in notes}


def test_features_that_do_not_fit_the_model_are_told() -> None:
    (finding,) = check_model(MultinomialNB(), word_tfidf(min_df=10_000))
    assert finding.check == "fits"
    assert "max_df corresponds to < documents than min_df" in finding.found


def test_ones_own_sentences() -> None:
    frame, y = example_sentences(9)
    assert check_model(Frequencies(), sentences=frame, labels=list(y)) == []
    with pytest.raises(DataError, match="54 sentences, but 3 labels"):
        check_model(Frequencies(), sentences=frame, labels=["a", "b", "c"])
    few, labels = example_sentences(5)
    with pytest.raises(DataError, match="found 5 and 5"):
        check_model(Frequencies(), sentences=few, labels=list(labels))
    with pytest.raises(DataError, match="both"):
        check_model(Frequencies(), sentences=frame)


def test_what_is_no_model_is_told() -> None:
    with pytest.raises(ModelError, match="int has no fit and predict"):
        check_model(3)
    with pytest.raises(ModelError, match="MultinomialNB needs features"):
        check_model(MultinomialNB())


def test_the_example_has_what_checks_rely_on() -> None:
    frame, y = example_sentences()
    assert len(set(y)) == 5
    steps = frame.groupby("document_id")["position"].diff().dropna()
    assert set(steps) == {1, 2}
    assert frame["sentence_id"].is_unique
    assert len(set(document_groups(frame.assign(cluster="")))) == 40
    again, labels = example_sentences()
    assert again.equals(frame)
    assert list(labels) == list(y)
