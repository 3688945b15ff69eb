"""Models of several parts, each with features of its own: voting and stacking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.utils.metaestimators import _BaseComposition
from sklearn.utils.validation import check_is_fitted

from sitrepbench.errors import ModelError
from sitrepbench.features.contents import ContentOfParts
from sitrepbench.models.folds import DocumentFolds
from sitrepbench.models.pipeline import build_pipeline

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.object_]


def part(model: Any, features: Any = None) -> Pipeline:
    """Return a part of an ensemble: a model with the features that it reads, if it reads any."""
    return build_pipeline(features, model)


def voting(parts: Mapping[str, Any], *, weights: Mapping[str, float] | None = None) -> Voting:
    """Return `Voting` of named parts.

    Parameters
    ----------
    parts : mapping of str to Pipeline
        As `part` makes them.
    weights : mapping of str to float, or None
        How much a part counts; those that are not named count 1.

    Raises
    ------
    ModelError
        When a weight is given to no part.
    """
    given = dict(weights or {})
    unknown = sorted(set(given) - set(parts))
    if unknown:
        raise ModelError(f"weights for {', '.join(unknown)}, but the parts are {', '.join(parts)}")
    return Voting(list(parts.items()), weights=[given.get(name, 1.0) for name in parts])


def stacking(
    parts: Mapping[str, Any],
    *,
    C: float = 1.0,
    class_weight: str | None = "balanced",
    n_folds: int = 5,
) -> Stacking:
    """Return `Stacking` of named parts under a logistic regression.

    Parameters
    ----------
    parts : mapping of str to Pipeline
        As `part` makes them.
    C, class_weight
        Of the logistic regression.
    n_folds : int
        Inner folds.
    """
    final = LogisticRegression(C=C, class_weight=class_weight, max_iter=1000)
    return Stacking(list(parts.items()), final=final, n_folds=n_folds)


class _OfParts(ContentOfParts, ClassifierMixin, _BaseComposition):  # type: ignore[misc]
    """What voting and stacking share: named parts, reachable by ``get_params``."""

    reads_frame = True
    parts: Sequence[tuple[str, Pipeline]]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters, with those of the parts as ``<part>__<parameter>``."""
        found: dict[str, Any] = self._get_params("parts", deep=deep)
        return found

    def set_params(self, **params: Any) -> Self:
        """Set parameters; names as in `get_params`."""
        self._set_params("parts", **params)
        return self

    def _begin(self, y: Sequence[str]) -> Labels:
        labels = np.asarray(y, dtype=object)
        self._validate_names([name for name, _ in self.parts])
        if len(self.parts) < 2:
            raise ModelError(
                f"{type(self).__name__} is made of two parts or more, found {len(self.parts)}"
            )
        self.classes_ = np.unique(labels)
        if len(self.classes_) < 2:
            raise ModelError(
                f"{type(self).__name__} tells labels apart, but all {len(labels)} training "
                f"sentences are {self.classes_[0]!r}; train on sentences of two labels at least"
            )
        return labels


class Voting(_OfParts):
    """The mean of the parts' probabilities; a part without any is sure of its label.

    Parameters
    ----------
    parts : list of (str, Pipeline)
        Names, and pipelines from a sentence table to labels.
    weights : list of float or None
        How much each part counts.
    """

    def __init__(
        self,
        parts: Sequence[tuple[str, Pipeline]],
        *,
        weights: Sequence[float] | None = None,
    ) -> None:
        self.parts = parts
        self.weights = weights

    def fit(self, X: pd.DataFrame, y: Sequence[str]) -> Self:
        """Fit every part on all training sentences."""
        labels = self._begin(y)
        weights = [1.0] * len(self.parts) if self.weights is None else list(self.weights)
        if len(weights) != len(self.parts) or min(weights) < 0 or not sum(weights) > 0:
            raise ModelError(
                f"weights are one number from 0 per part, not all 0; found {weights} for "
                f"{len(self.parts)} parts"
            )
        self.weights_ = np.array(weights) / sum(weights)
        self.fitted_ = [clone(part).fit(X, labels) for _, part in self.parts]
        return self

    def predict_proba(self, X: pd.DataFrame) -> Array:
        """Return the mean probabilities, shape (n_rows, n_classes)."""
        check_is_fitted(self, "fitted_")
        mean = np.zeros((len(X), len(self.classes_)))
        for weight, fitted in zip(self.weights_, self.fitted_, strict=True):
            mean += weight * _probabilities(fitted, X, self.classes_)
        # A part may be sure of a label that no training sentence has: then the others decide.
        total = mean.sum(axis=1, keepdims=True)
        uniform = np.full_like(mean, 1 / len(self.classes_))
        return np.asarray(np.divide(mean, total, out=uniform, where=total > 0))

    def predict(self, X: pd.DataFrame) -> Labels:
        """Return the likeliest label of every row, shape (n_rows,)."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)], dtype=object)


class Stacking(_OfParts):
    """A model that learns from what its parts say of documents held out (Wolpert 1992).

    Every part answers for every training sentence once, fitted on inner folds that have no
    sentence of its document; the final model learns labels from these answers: probabilities,
    decision values where there are none, else the label. Then the parts are fitted on all. Their
    features are fitted once, on all training sentences.

    Parameters
    ----------
    parts : list of (str, Pipeline)
        Names, and pipelines from a sentence table to labels.
    final : classifier
        Learns from the answers, shape (n_rows, n_parts * n_classes).
    n_folds : int
        Inner folds; fewer where there are fewer documents.
    """

    def __init__(
        self, parts: Sequence[tuple[str, Pipeline]], *, final: Any, n_folds: int = 5
    ) -> None:
        self.parts = parts
        self.final = final
        self.n_folds = n_folds

    def fit(self, X: pd.DataFrame, y: Sequence[str]) -> Self:
        """Fit the parts on inner folds, the final model on their answers, the parts on all."""
        labels = self._begin(y)
        folds = list(DocumentFolds(self.n_folds).split(X, labels))
        self.fitted_ = []
        answers = []
        for _, part in self.parts:
            fresh = clone(part)
            features, model = fresh[:-1], fresh.steps[-1][1]
            given = features.fit_transform(X, labels) if len(features) else X
            held_out = np.zeros((len(X), len(self.classes_)))
            for train, test in folds:
                fitted = clone(model).fit(_taken(given, train), labels[train])
                held_out[test] = _answers(fitted, _taken(given, test), self.classes_)
            answers.append(held_out)
            model.fit(given, labels)
            self.fitted_.append(fresh)
        self.final_ = clone(self.final).fit(np.hstack(answers), labels)
        return self

    def predict_proba(self, X: pd.DataFrame) -> Array:
        """Return the final model's probabilities, shape (n_rows, n_classes)."""
        return np.asarray(self.final_.predict_proba(self._answered(X)))

    def predict(self, X: pd.DataFrame) -> Labels:
        """Return the final model's label of every row, shape (n_rows,)."""
        return np.asarray(self.final_.predict(self._answered(X)), dtype=object)

    def _answered(self, X: pd.DataFrame) -> Array:
        check_is_fitted(self, "final_")
        return np.hstack([_answers(part, X, self.classes_) for part in self.fitted_])


def _taken(given: Any, rows: npt.NDArray[np.int64]) -> Any:
    return given.iloc[rows] if isinstance(given, pd.DataFrame) else given[rows]


def _probabilities(model: Any, X: Any, classes: Labels) -> Array:
    """Return probabilities for ``classes``; those of a model that has none are 1 and 0."""
    if hasattr(model, "predict_proba"):
        return _placed(np.asarray(model.predict_proba(X)), model.classes_, classes)
    predicted = np.asarray(model.predict(X), dtype=object)
    return np.asarray(predicted[:, None] == classes[None, :], dtype=np.float64)


def _answers(model: Any, X: Any, classes: Labels) -> Array:
    """Return a model's most telling answers for ``classes``, shape (n_rows, n_classes)."""
    if hasattr(model, "predict_proba") or not hasattr(model, "decision_function"):
        return _probabilities(model, X, classes)
    values = np.asarray(model.decision_function(X), dtype=np.float64)
    if values.ndim == 1:  # two labels: the value speaks for the second
        values = np.column_stack([-values, values])
    return _placed(values, model.classes_, classes)


def _placed(values: Array, known: Any, classes: Labels) -> Array:
    """Return columns in the order of ``classes``; what a part does not know is 0."""
    placed = np.zeros((len(values), len(classes)))
    columns = {label: column for column, label in enumerate(classes)}
    for label, column in zip(known, values.T, strict=True):
        if label in columns:
            placed[:, columns[label]] = column
    return placed
