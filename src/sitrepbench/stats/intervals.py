"""Intervals of a score, by documents.

The estimand: the predictions are taken as they are (the fitted models, the folds), and the
documents as a sample from those that might have been collected. An interval says where the
score of these predictions would lie over all such documents. It does not say how another
training set would do, and sentences are never taken as independent of their document.

How: the standard error comes from the delete-one-document jackknife (Efron & Tibshirani 1993,
An Introduction to the Bootstrap, chapter 11). It is turned into an effective sample size
p (1 - p) / se^2 and put into the score interval of a proportion (Wilson 1927) with a quantile of
Student's t, as recommended for proportions from clustered samples (Franco, Little, Louis & Slud
2019, Journal of Survey Statistics and Methodology 7, 334-364). The degrees of freedom are the
*effective* number of documents minus one: few documents, or a few that carry most of a label,
tell less than their number says (Cameron & Miller 2015, Journal of Human Resources 50, 317-372;
Carter, Schnepel & Steigerwald 2017, Review of Economics and Statistics 99, 698-709).

It was chosen by simulation; ``benchmarks/coverage.py`` prints the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

Array = npt.NDArray[np.float64]

#: Maps confusion counts of shape (..., L, L) to scores of shape (...) or (..., k).
Statistic = Callable[[Array], Array]

INTERVAL_METHOD = "document jackknife, score interval with Student t"


@dataclass(frozen=True)
class Jackknife:
    """A score and its values with one document left out at a time.

    Two models on the same documents have replicates document by document, so a difference has
    an exact pairing: subtract the estimates and the replicates.

    Parameters
    ----------
    estimate : ndarray, shape () or (k,)
        The score of all documents, mean over the repeats.
    replicates : ndarray, shape (n_documents,) or (n_documents, k)
        The score without each document.
    effective_documents : ndarray, shape () or (k,)
        How many documents of equal weight the score rests on, 1 to n_documents.
    """

    estimate: Array
    replicates: Array
    effective_documents: Array

    @property
    def standard_error(self) -> Array:
        """The jackknife standard error, shape () or (k,); NaN with fewer than two documents."""
        n_documents = len(self.replicates)
        if n_documents < 2:
            return np.full(self.estimate.shape, np.nan)
        spread = ((self.replicates - self.replicates.mean(axis=0)) ** 2).sum(axis=0)
        return np.asarray(np.sqrt((n_documents - 1) / n_documents * spread))

    @property
    def degrees_of_freedom(self) -> Array:
        """Effective documents minus one, at least 1."""
        return np.asarray(np.maximum(self.effective_documents - 1, 1.0))


def effective_number(weights: Array) -> Array:
    """Return (sum w)^2 / sum w^2 over the documents, shape () or (k,); 0 where all are zero.

    Parameters
    ----------
    weights : ndarray, shape (n_documents,) or (n_documents, k)
        How much of a score each document carries, in any unit; not negative.

    Examples
    --------
    >>> import numpy as np
    >>> float(effective_number(np.array([5.0, 5.0, 5.0, 5.0])))
    4.0
    >>> round(float(effective_number(np.array([17.0, 1.0, 1.0, 1.0]))), 2)
    1.37
    """
    squares = (weights**2).sum(axis=0)
    total = weights.sum(axis=0)
    number = np.divide(total**2, squares, out=np.zeros(np.shape(total)), where=squares > 0)
    return np.asarray(number, dtype=np.float64)


def label_effective_documents(counts: Array) -> Array:
    """Return the effective number of documents behind each label's F1, shape (L,).

    A document weighs what it adds to the denominator of the F1: its gold and its predicted
    sentences of the label. A macro-F1 rests on the mean of these numbers over its labels; the
    simulation shows that documents counted over all labels together would promise too much.

    Parameters
    ----------
    counts : ndarray, shape (n_repeats, n_documents, L, L)
        Confusion counts.
    """
    return effective_number((counts.sum(axis=-1) + counts.sum(axis=-2)).sum(axis=0))


def jackknife(counts: Array, statistic: Statistic, *, effective_documents: Array) -> Jackknife:
    """Score all documents, and all but each one.

    Parameters
    ----------
    counts : ndarray, shape (n_repeats, n_documents, L, L)
        Confusion counts; the same documents in every repeat. A document leaves all repeats at
        once, and the score is the mean over the repeats.
    statistic : callable
        From counts of shape (..., L, L) to scores of shape (...) or (..., k).
    effective_documents : ndarray, shape () or (k,)
        How many documents of equal weight the score rests on; see `effective_number`.

    Examples
    --------
    Three documents with 9, 8 and 1 of 10 sentences right:

    >>> import numpy as np
    >>> right = np.array([9.0, 8.0, 1.0])
    >>> counts = np.zeros((1, 3, 2, 2))
    >>> counts[0, :, 0, 0], counts[0, :, 0, 1] = right, 10 - right
    >>> share = lambda c: c[..., 0, 0] / c.sum(axis=(-2, -1))
    >>> result = jackknife(counts, share, effective_documents=np.array(3.0))
    >>> round(float(result.estimate), 4), round(float(result.standard_error), 4)
    (0.6, 0.2517)
    """
    totals = counts.sum(axis=1)
    estimate = np.asarray(statistic(totals)).mean(axis=0)
    without_each = totals[:, np.newaxis] - counts
    replicates = np.asarray(statistic(without_each)).mean(axis=0)
    return Jackknife(np.asarray(estimate), replicates, np.asarray(effective_documents))


def proportion_interval(result: Jackknife, *, level: float = 0.95) -> tuple[Array, Array]:
    """Return the interval of a score that lies between 0 and 1, such as an F1 or an accuracy.

    With p the estimate, t the quantile of Student's t and n = p (1 - p) / se^2, the ends are
    (p + t^2/2n -+ t sqrt(p (1 - p)/n + t^2/4n^2)) / (1 + t^2/n). Where no document makes a
    difference (all right, all wrong, all alike) the standard error says nothing, and n is the
    effective number of documents.

    Parameters
    ----------
    result : Jackknife
        Of a score in [0, 1].
    level : float
        The wanted coverage.

    Returns
    -------
    low, high : ndarray, shape () or (k,)
        Within [0, 1] and around the estimate; NaN with fewer than two documents.

    Examples
    --------
    Twenty documents, all of them right: the interval is still not a point.

    >>> import numpy as np
    >>> perfect = Jackknife(np.array(1.0), np.ones(20), np.array(20.0))
    >>> low, high = proportion_interval(perfect)
    >>> round(float(low), 3), round(float(high), 3)
    (0.82, 1.0)
    """
    if len(result.replicates) < 2:
        nothing = np.full(result.estimate.shape, np.nan)
        return nothing, nothing.copy()
    p = result.estimate
    variance = result.standard_error**2
    # Rounding leaves a trace of a spread where all replicates are the same number.
    alike = variance <= 1e-24
    size = np.where(
        alike,
        np.maximum(result.effective_documents, 1.0),
        p * (1 - p) / np.where(alike, 1, variance),
    )
    # A spread around a score of exactly 0 or 1 (a label whose only right document can be left
    # out) gives size 0: nothing is known, and the interval is everything.
    size = np.maximum(size, 1e-9)
    t = stdtrit(result.degrees_of_freedom, 0.5 + level / 2)
    pull = t**2 / size
    centre = (p + pull / 2) / (1 + pull)
    half = np.sqrt(p * (1 - p) * pull + pull**2 / 4) / (1 + pull)
    return np.clip(centre - half, 0.0, p), np.clip(centre + half, p, 1.0)


def document_resamples(n_documents: int, *, n_resamples: int, seed: int) -> Array:
    """Return how often each resample draws each document, shape (n_resamples, n_documents).

    Every row sums to ``n_documents``. The same seed gives the same draws, so that two models
    meet the same resamples.
    """
    generator = np.random.default_rng(seed)
    even = np.full(n_documents, 1.0 / n_documents)
    return generator.multinomial(n_documents, even, size=n_resamples).astype(np.float64)


def bootstrap_distribution(
    counts: Array, statistic: Statistic, *, n_resamples: int, seed: int
) -> Array:
    """Score resamples of the documents, as one matrix product of draws and counts.

    For the shape of a score's distribution, ranks and differences. For an interval of 20 to 100
    documents use `proportion_interval`: percentiles of this distribution are too narrow.

    Parameters
    ----------
    counts : ndarray, shape (n_repeats, n_documents, L, L)
        Confusion counts; a document is drawn for all repeats at once.
    statistic : callable
        From counts of shape (..., L, L) to scores of shape (...) or (..., k).
    n_resamples, seed : int
        As for `document_resamples`.

    Returns
    -------
    ndarray, shape (n_resamples,) or (n_resamples, k)
        Means over the repeats.
    """
    draws = document_resamples(counts.shape[1], n_resamples=n_resamples, seed=seed)
    return weighted_scores(counts, statistic, weights=draws)


def weighted_scores(counts: Array, statistic: Statistic, *, weights: Array) -> Array:
    """Score the documents under many weightings at once: drawn often, once or left out.

    Parameters
    ----------
    counts : ndarray, shape (n_repeats, n_documents, L, L)
        Confusion counts.
    statistic : callable
        From counts of shape (..., L, L) to scores of shape (...) or (..., k).
    weights : ndarray, shape (n_weightings, n_documents)
        Not negative.

    Returns
    -------
    ndarray, shape (n_weightings,) or (n_weightings, k)
        Means over the repeats.
    """
    n_repeats, n_documents, n_labels, _ = counts.shape
    by_document = counts.swapaxes(0, 1).reshape(n_documents, -1)
    totals = (weights @ by_document).reshape(len(weights), n_repeats, n_labels, n_labels)
    return np.asarray(np.asarray(statistic(totals)).mean(axis=1))
