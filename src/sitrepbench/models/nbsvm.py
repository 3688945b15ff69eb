"""NB-SVM: a support vector machine on naive Bayes log-count ratios."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.svm import LinearSVC
from sklearn.utils.validation import check_is_fitted, validate_data

from sitrepbench.errors import ModelError

Array = npt.NDArray[np.float64]


def log_count_ratio(X: sparse.csr_matrix, positive: npt.NDArray[np.bool_], alpha: float) -> Array:
    """Return the log-count ratio of every feature (Wang & Manning 2012, section 2).

    With ``p = alpha + sum of the positive rows`` and ``q`` the same of the others, it is
    ``log((p / sum(p)) / (q / sum(q)))``.

    Parameters
    ----------
    X : sparse matrix, shape (n_rows, n_features)
        Counts or indicators.
    positive : bool ndarray, shape (n_rows,)
        Which rows are positive.
    alpha : float
        What is added to every count.

    Examples
    --------
    >>> X = sparse.csr_matrix([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    >>> log_count_ratio(X, np.array([True, True, False]), 1.0).round(4).tolist()
    [0.5878, -0.5108]
    """
    p = alpha + np.asarray(X[positive].sum(axis=0)).ravel()
    q = alpha + np.asarray(X[~positive].sum(axis=0)).ravel()
    return np.asarray(np.log(p / p.sum()) - np.log(q / q.sum()))


class NBSVM(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """NB-SVM (Wang & Manning, ACL 2012), one label against the rest.

    Every feature counts as there or not there and is multiplied by its log-count ratio; a linear
    support vector machine with squared hinge loss learns weights ``w`` and an intercept ``b`` for
    these products; and the weights are drawn towards naive Bayes, ``(1 - beta) * mean(abs(w)) +
    beta * w``. The label with the largest decision value wins.

    The paper has two labels, as frequent as each other, so that ``b`` is small and it does not
    say what becomes of it. Here it is drawn along, to ``beta * b``: beside weights that are
    smaller than those it was learned with, the whole of it would call nearly everything by the
    most frequent label.

    Parameters
    ----------
    C : float
        The price of errors.
    alpha : float
        Added to every count before ratios are taken.
    beta : float
        From 0, naive Bayes alone, to 1, the support vector machine alone.
    class_weight : str or None
        ``balanced`` weighs errors by how rare a label is.
    max_iter : int
        The most rounds of the machine's solver.

    Attributes
    ----------
    coef_ : float ndarray, shape (n_classes, n_features)
        Ratios times interpolated weights, to be applied to indicators.
    intercept_ : float ndarray, shape (n_classes,)
        ``beta`` times the machines' own.
    """

    def __init__(
        self,
        C: float = 1.0,
        *,
        alpha: float = 1.0,
        beta: float = 0.25,
        class_weight: str | None = None,
        max_iter: int = 10_000,
    ) -> None:
        self.C = C
        self.alpha = alpha
        self.beta = beta
        self.class_weight = class_weight
        self.max_iter = max_iter

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        return tags

    def fit(self, X: Any, y: Sequence[str]) -> Self:
        """Fit one machine per label.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_rows, n_features)
            Not negative; a value above zero means that the feature is there.
        y : sequence of str, shape (n_rows,)
            Labels.

        Raises
        ------
        ModelError
            When a value is negative, a setting makes no sense, or there is one label only.
        """
        self._check_settings()
        present = self._present(X, reset=True)
        labels = np.asarray(y, dtype=object)
        self.classes_ = np.unique(labels)
        if len(self.classes_) < 2:
            raise ModelError(
                f"NB-SVM tells labels apart, but all {len(labels)} training sentences are "
                f"{self.classes_[0]!r}; train on sentences of two labels at least"
            )
        fitted = [self._fit_label(present, labels == label) for label in self.classes_]
        self.coef_ = np.vstack([weights for weights, _ in fitted])
        self.intercept_ = np.array([intercept for _, intercept in fitted])
        return self

    def decision_function(self, X: Any) -> Array:
        """Return the decision values, shape (n_rows, n_classes)."""
        check_is_fitted(self, "coef_")
        return np.asarray(self._present(X) @ self.coef_.T + self.intercept_)

    def predict(self, X: Any) -> npt.NDArray[np.object_]:
        """Return the label of every row, shape (n_rows,)."""
        best = self.decision_function(X).argmax(axis=1)
        return np.asarray(self.classes_[best], dtype=object)

    def _fit_label(
        self, present: sparse.csr_matrix, positive: npt.NDArray[np.bool_]
    ) -> tuple[Array, float]:
        ratio = log_count_ratio(present, positive, self.alpha)
        scaled = sparse.csr_matrix(
            (ratio[present.indices], present.indices, present.indptr), shape=present.shape
        )
        # The solver visits the rows in a random order: always the same one, so that no seed counts.
        # In the primal nothing is random, but it takes ten to a hundred times as long.
        machine = LinearSVC(
            C=self.C,
            dual=True,
            class_weight=self.class_weight,
            max_iter=self.max_iter,
            random_state=0,
        )
        machine.fit(scaled, positive)
        weights = machine.coef_[0]
        interpolated = (1 - self.beta) * np.abs(weights).mean() + self.beta * weights
        return ratio * interpolated, self.beta * float(machine.intercept_[0])

    def _present(self, X: Any, *, reset: bool = False) -> sparse.csr_matrix:
        X = validate_data(self, X, accept_sparse="csr", dtype=np.float64, reset=reset)
        present = sparse.csr_matrix(X, copy=True)
        if present.nnz and present.data.min() < 0:
            raise ModelError(
                "NB-SVM takes features that are there or not, but some are negative "
                f"({present.data.min():.3g}); choose features=word_count, word or hashing"
            )
        present.eliminate_zeros()
        present.data[:] = 1.0
        return present

    def _check_settings(self) -> None:
        problems = []
        if not self.C > 0:
            problems.append(f"C is above 0, found {self.C}")
        if not self.alpha > 0:
            problems.append(f"alpha is above 0, found {self.alpha}")
        if not 0 <= self.beta <= 1:
            problems.append(f"beta lies from 0 to 1, found {self.beta}")
        if problems:
            raise ModelError("NB-SVM: " + "; ".join(problems))
