"""A linear-chain conditional random field over the sentences of a document."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from scipy.optimize import minimize
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from sitrepbench.errors import ModelError
from sitrepbench.features.contents import ContentOfParts
from sitrepbench.models.chains import Chains, backward, best_paths, forward, log_sum
from sitrepbench.models.pipeline import own_features

Array = npt.NDArray[np.float64]
#: Relative improvement at which L-BFGS stops: a few units in the last place.
_SMALLEST_STEP = 64 * np.finfo(float).eps


@dataclass(frozen=True)
class Weights:
    """The parameters of a chain; all but ``intercept`` are drawn towards zero.

    Parameters
    ----------
    coef : float ndarray, shape (n_features, n_labels)
        How much a feature speaks for a label.
    intercept : float ndarray, shape (n_labels,)
        How much speaks for a label anyway.
    transitions : float ndarray, shape (n_labels, n_labels)
        How much speaks for the step from a label (row) to the next sentence's (column).
    start, end : float ndarray, shape (n_labels,)
        How much speaks for beginning and ending a chain with a label.
    """

    coef: Array
    intercept: Array
    transitions: Array
    start: Array
    end: Array

    @classmethod
    def of(cls, flat: Array, n_features: int, n_labels: int) -> Weights:
        """Return views into one flat array."""
        k = n_labels
        ends = np.cumsum([n_features * k, k, k * k, k])
        coef, intercept, transitions, start, end = np.split(flat, ends)
        return cls(coef.reshape(n_features, k), intercept, transitions.reshape(k, k), start, end)

    def scores(self, X: Any, chains: Chains) -> Array:
        """Return the log factors of the places, packed as ``X`` is, shape (n_rows, n_labels)."""
        found = np.asarray(X @ self.coef) + self.intercept
        found[: chains.sizes[0]] += self.start
        found[chains.last] += self.end
        return found


class ChainCRF(ContentOfParts, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Linear-chain CRF (Lafferty, McCallum & Pereira 2001): labels of neighbours speak together.

    The probability of a chain's labels is proportional to the exponential of the sum of what each
    sentence's features say about its label, and what each pair of neighbouring labels, the first
    and the last one have for them. Fitting maximises ``C * log likelihood - |weights|^2 / 2``
    with L-BFGS; nothing is drawn at random. With transitions of zero it is multinomial logistic
    regression with the same ``C``.

    Chains are the documents of the table that is given, cut where a position is missing.

    Parameters
    ----------
    features : transformer
        From a sentence table to numbers.
    C : float
        How much the training data weigh against small weights.
    decode : {"marginals", "path"}
        Whether each sentence gets the label that is likeliest for it, or each chain the labels
        that are likeliest together (Viterbi). Probabilities are those of the sentences.
    max_iter : int
        The most steps of L-BFGS.
    tol : float
        Stop where no partial derivative of the mean loss per sentence is larger.

    Attributes
    ----------
    weights_ : Weights
        What was learned.
    n_iter_ : int
        The steps that it took.
    """

    reads_frame = True

    def __init__(
        self,
        features: Any = None,
        *,
        C: float = 1.0,
        decode: Literal["marginals", "path"] = "marginals",
        max_iter: int = 300,
        tol: float = 1e-4,
    ) -> None:
        self.features = features
        self.C = C
        self.decode = decode
        self.max_iter = max_iter
        self.tol = tol

    def fit(self, X: pd.DataFrame, y: Sequence[str]) -> Self:
        """Fit the features, then the chain.

        Raises
        ------
        ModelError
            Without features, with one label only, or with settings that make no sense.
        """
        self._check_settings()
        self.classes_, codes = np.unique(np.asarray(y, dtype=object), return_inverse=True)
        if len(self.classes_) < 2:
            raise ModelError(
                f"a CRF tells labels apart, but all {len(codes)} training sentences are "
                f"{self.classes_[0]!r}; train on sentences of two labels at least"
            )
        self.features_ = clone(own_features(self.features, self))
        chains = Chains.of(X)
        matrix = self.features_.fit_transform(X, y)
        if sparse.issparse(matrix):
            matrix = matrix.tocsr()
        problem = _Problem(
            matrix[chains.rows], codes[chains.rows], chains, len(self.classes_), float(self.C)
        )
        found = minimize(
            problem.loss,
            np.zeros(problem.n_weights),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": self.max_iter, "gtol": self.tol, "ftol": _SMALLEST_STEP},
        )
        if found.nit >= self.max_iter:
            warnings.warn(
                f"the CRF has not converged after {found.nit} steps; raise max_iter or tol",
                ConvergenceWarning,
            )
        self.weights_ = Weights.of(found.x, matrix.shape[1], len(self.classes_))
        self.n_iter_ = int(found.nit)
        return self

    def predict(self, X: pd.DataFrame) -> npt.NDArray[np.object_]:
        """Return the label of every row of a sentence table, shape (n_rows,)."""
        if self.decode == "marginals":
            codes = self.predict_proba(X).argmax(axis=1)
        else:
            codes = np.zeros(len(X), dtype=np.int64)
            if len(X):
                chains, scores = self._scores(X)
                codes[chains.rows] = best_paths(chains, scores, self.weights_.transitions)
        return np.asarray(self.classes_[codes], dtype=object)

    def predict_proba(self, X: pd.DataFrame) -> Array:
        """Return the marginal probabilities of every row's labels, shape (n_rows, n_classes)."""
        check_is_fitted(self, "weights_")
        probabilities = np.zeros((len(X), len(self.classes_)))
        if len(X):
            chains, scores = self._scores(X)
            transitions = self.weights_.transitions
            both = forward(chains, scores, transitions) + backward(chains, scores, transitions)
            # Every place sums to its chain's total, so each row can be normalised by itself.
            probabilities[chains.rows] = np.exp(both - log_sum(both, axis=1)[:, None])
        return probabilities

    def _scores(self, X: pd.DataFrame) -> tuple[Chains, Array]:
        check_is_fitted(self, "weights_")
        chains = Chains.of(X)
        matrix = self.features_.transform(X)
        if sparse.issparse(matrix):
            matrix = matrix.tocsr()
        return chains, self.weights_.scores(matrix[chains.rows], chains)

    def _check_settings(self) -> None:
        problems = []
        if not self.C > 0:
            problems.append(f"C is above 0, found {self.C}")
        if self.decode not in ("marginals", "path"):
            problems.append(f"decode is 'marginals' or 'path', found {self.decode!r}")
        if not self.max_iter > 0:
            problems.append(f"max_iter is above 0, found {self.max_iter}")
        if problems:
            raise ModelError("CRF: " + "; ".join(problems))


class _Problem:
    """What is minimised: the mean negative log likelihood per sentence and the penalty."""

    def __init__(
        self, X: Any, codes: npt.NDArray[np.int64], chains: Chains, n_labels: int, C: float
    ) -> None:
        self.X, self.codes, self.chains, self.C = X, codes, chains, C
        self.n_features, self.n_labels = X.shape[1], n_labels
        self.n_weights = n_labels * (self.n_features + n_labels + 3)
        self._transposed = X.T.tocsr() if sparse.issparse(X) else X.T
        self._before, self._after = chains.links
        self._last = chains.last
        self._chain = np.concatenate([np.arange(size) for size in chains.sizes])
        self._gold = np.zeros((len(codes), n_labels))
        self._gold[np.arange(len(codes)), codes] = 1.0
        self._gold_steps = np.zeros((n_labels, n_labels))
        np.add.at(self._gold_steps, (codes[self._before], codes[self._after]), 1.0)

    def loss(self, flat: Array) -> tuple[float, Array]:
        """Return the loss and its gradient at some weights."""
        weights = Weights.of(flat, self.n_features, self.n_labels)
        transitions = weights.transitions
        scores = weights.scores(self.X, self.chains)
        alpha = forward(self.chains, scores, transitions)
        beta = backward(self.chains, scores, transitions)
        totals = log_sum(alpha[self._last], axis=1)
        marginals = np.exp(alpha + beta - totals[self._chain][:, None])
        onward = (scores + beta - totals[self._chain][:, None])[self._after]
        steps = np.exp(alpha[self._before][:, :, None] + transitions + onward[:, None, :])
        gold_score = (scores * self._gold).sum() + (transitions * self._gold_steps).sum()
        over = marginals - self._gold
        gradient = np.zeros_like(flat)
        parts = Weights.of(gradient, self.n_features, self.n_labels)
        parts.coef[:] = self._transposed @ over
        parts.intercept[:] = over.sum(axis=0)
        parts.transitions[:] = steps.sum(axis=0) - self._gold_steps
        parts.start[:] = over[: self.chains.sizes[0]].sum(axis=0)
        parts.end[:] = over[self._last].sum(axis=0)
        return self._penalised(totals.sum() - gold_score, gradient, flat)

    def _penalised(self, loss: float, gradient: Array, flat: Array) -> tuple[float, Array]:
        n_rows = len(self.codes)
        drawn = flat.copy()
        Weights.of(drawn, self.n_features, self.n_labels).intercept[:] = 0.0
        scale = 1.0 / (self.C * n_rows)
        # Summed by numpy rather than BLAS: the same on any number of threads.
        penalty = 0.5 * scale * float(np.square(drawn).sum())
        return float(loss) / n_rows + penalty, gradient / n_rows + scale * drawn
