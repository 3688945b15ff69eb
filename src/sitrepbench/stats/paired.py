"""Differences of two models' scores on the same documents.

Both models meet the same documents, hard ones and easy ones, so the difference varies less from
sample to sample than either score does. Leaving out one document at a time from both gives the
difference's own jackknife replicates (Efron & Tibshirani 1993, An Introduction to the Bootstrap,
chapter 11), and its interval is estimate -+ t se with a quantile of Student's t. As for the
intervals of a score (`sitrepbench.stats.intervals`), the degrees of freedom are the effective
number of documents minus one. A test checks by simulation how often the interval holds the truth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

from sitrepbench.errors import DataError
from sitrepbench.metrics.confusion import DocumentConfusions
from sitrepbench.metrics.scores import f1_per_label
from sitrepbench.stats.intervals import (
    Jackknife,
    Statistic,
    bootstrap_distribution,
    jackknife,
    label_effective_documents,
)

Array = npt.NDArray[np.float64]

PAIRED_METHOD = "document jackknife of the difference, Student t"

#: Rounding leaves a trace of a spread where all replicates are the same number.
_ALIKE = 1e-12


@dataclass(frozen=True)
class PairedDifference:
    """The score of one model minus that of another, on the same documents.

    Parameters
    ----------
    estimate : float
        Positive where the first is better.
    low, high : float
        The ends of the interval; NaN with fewer than two documents.
    standard_error : float
        Of the difference, by the jackknife over documents; NaN with fewer than two.
    degrees_of_freedom : float
        Effective documents minus one, at least 1; need not be whole.
    p_value : float
        Two-sided, of the hypothesis that the models score the same over all such documents: below
        ``1 - level`` exactly where the interval leaves out zero. 1 for equal predictions.
    """

    estimate: float
    low: float
    high: float
    standard_error: float
    degrees_of_freedom: float
    p_value: float


def paired_difference(
    one: DocumentConfusions,
    other: DocumentConfusions,
    statistic: Statistic,
    *,
    level: float = 0.95,
) -> PairedDifference:
    """Return how much better ``one`` scores than ``other``, with its interval by documents.

    Parameters
    ----------
    one, other : DocumentConfusions
        Of the same documents with the same gold labels. Their repeats may differ in number: a
        score is the mean over the repeats.
    statistic : callable
        From confusion counts of shape (..., L, L) to scores of shape (...).
    level : float
        The wanted coverage.

    Raises
    ------
    DataError
        When documents, labels or gold counts differ.

    Examples
    --------
    Three documents of ten sentences; one model has 9, 8 and 4 right, the other 7, 7 and 1:

    >>> import numpy as np
    >>> def confusions(right):
    ...     counts = np.zeros((1, 3, 2, 2))
    ...     counts[0, :, 0, 0], counts[0, :, 0, 1] = right, 10 - np.array(right)
    ...     return DocumentConfusions(("a", "b", "c"), ("", "", ""), ("x", "y"), counts, counts)
    >>> share = lambda c: c[..., 0, 0] / c.sum(axis=(-2, -1))
    >>> found = paired_difference(confusions([9, 8, 4]), confusions([7, 7, 1]), share)
    >>> round(found.estimate, 3), round(found.standard_error, 4)
    (0.2, 0.0577)
    >>> found.low < 0.2 < found.high
    True
    """
    require_same_documents(one, other)
    effective = np.asarray(min(mean_effective_documents(one), mean_effective_documents(other)))
    (found,) = _differences(one, other, statistic, effective=effective, level=level)
    return found


def label_differences(
    one: DocumentConfusions, other: DocumentConfusions, *, level: float = 0.95
) -> dict[str, PairedDifference]:
    """Return how much better ``one`` does each label: the difference of its F1, by documents.

    Labels without a gold sentence are left out. The intervals hold label by label, not all at
    once: over several labels adjust the p-values (`sitrepbench.stats.multiple.holm`).

    Parameters
    ----------
    one, other : DocumentConfusions
        Of the same documents with the same gold labels.
    level : float
        The wanted coverage of each interval.

    Raises
    ------
    DataError
        When documents, labels or gold counts differ.
    """
    require_same_documents(one, other)
    effective = np.minimum(
        label_effective_documents(one.counts), label_effective_documents(other.counts)
    )
    found = _differences(one, other, f1_per_label, effective=effective, level=level)
    return {
        label: difference
        for label, difference, there in zip(one.labels, found, one.supported, strict=True)
        if there
    }


def difference_distribution(
    one: DocumentConfusions,
    other: DocumentConfusions,
    statistic: Statistic,
    *,
    n_resamples: int = 2000,
    seed: int = 0,
) -> Array:
    """Return the difference in resamples of the documents, the same ones for both models.

    For the shape of the difference's distribution, and for how often the order holds. Its
    percentiles are too narrow an interval for few documents: that is `paired_difference`.

    Parameters
    ----------
    one, other : DocumentConfusions
        Of the same documents with the same gold labels.
    statistic : callable
        From confusion counts of shape (..., L, L) to scores of shape (...).
    n_resamples, seed : int
        As for `sitrepbench.stats.intervals.document_resamples`.

    Returns
    -------
    ndarray, shape (n_resamples,)

    Raises
    ------
    DataError
        When documents, labels or gold counts differ.
    """
    require_same_documents(one, other)
    first, second = (
        bootstrap_distribution(each.counts, statistic, n_resamples=n_resamples, seed=seed)
        for each in (one, other)
    )
    return np.asarray(first - second)


def two_sided_p(estimate: Array, standard_error: Array, degrees_of_freedom: Array) -> Array:
    """Return how likely Student's t is at least as far from 0 as estimate / standard error.

    Arrays of any shape. Where every document makes the same difference there is no spread to
    hold it against; that all lean the same way has a chance of 1/2 per document but one, which is
    the least that a test by documents can give. It is 1 for no difference, and NaN where the
    standard error is NaN.

    >>> import numpy as np
    >>> round(float(two_sided_p(np.array(2.262), np.array(1.0), np.array(9.0))), 3)
    0.05
    """
    alike = standard_error <= _ALIKE
    t = np.abs(estimate) / np.where(alike, 1.0, standard_error)
    without = np.where(np.abs(estimate) <= _ALIKE, 1.0, 0.5**degrees_of_freedom)
    return np.asarray(np.where(alike, without, 2 * stdtr(degrees_of_freedom, -t)))


def mean_effective_documents(confusions: DocumentConfusions) -> float:
    """Return the effective number of documents, mean over the labels that are there."""
    by_label = label_effective_documents(confusions.counts)
    return float(by_label[confusions.supported].mean()) if confusions.supported.any() else 0.0


def require_same_documents(one: DocumentConfusions, other: DocumentConfusions) -> None:
    """Refuse two models that were not scored on the same documents with the same gold labels.

    Raises
    ------
    DataError
        When documents, labels or gold counts differ.
    """
    if one.labels != other.labels:
        raise DataError(f"labels differ: {list(one.labels)} and {list(other.labels)}")
    if one.documents != other.documents:
        alone = sorted({*one.documents} ^ {*other.documents})
        raise DataError(
            f"a paired difference needs the same documents; {len(alone)} are in one of the two "
            f"only, the first is {alone[0]!r}"
        )
    gold, others = one.counts.sum(axis=-1).mean(axis=0), other.counts.sum(axis=-1).mean(axis=0)
    differ = ~np.isclose(gold, others).all(axis=-1)
    if differ.any():
        first = one.documents[int(np.argmax(differ))]
        raise DataError(
            f"a paired difference needs the same gold labels; {int(differ.sum())} document(s) "
            f"have others, the first is {first!r}"
        )


def _differences(
    one: DocumentConfusions,
    other: DocumentConfusions,
    statistic: Statistic,
    *,
    effective: Array,
    level: float,
) -> list[PairedDifference]:
    """Return the difference of each score, one for a statistic of shape (...)."""
    first = jackknife(one.counts, statistic, effective_documents=effective)
    second = jackknife(other.counts, statistic, effective_documents=effective)
    result = Jackknife(
        np.asarray(first.estimate - second.estimate),
        first.replicates - second.replicates,
        effective,
    )
    # NaN with one document; zero where no document makes a difference, as for equal predictions.
    error, freedom = result.standard_error, result.degrees_of_freedom
    # Where all documents make the same difference, nothing tells how far others would be from it.
    unknown = (error <= _ALIKE) & (np.abs(result.estimate) > _ALIKE)
    half = np.where(unknown, np.nan, stdtrit(freedom, 0.5 + level / 2) * error)
    p_values = two_sided_p(result.estimate, error, freedom)
    columns = np.broadcast_arrays(
        result.estimate, result.estimate - half, result.estimate + half, error, freedom, p_values
    )
    return [
        PairedDifference(*(float(value) for value in row))
        for row in zip(*(np.atleast_1d(column) for column in columns), strict=True)
    ]
