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
from scipy.special import stdtrit

from sitrepbench.errors import DataError
from sitrepbench.metrics.confusion import DocumentConfusions
from sitrepbench.stats.intervals import Jackknife, Statistic, jackknife, label_effective_documents

Array = npt.NDArray[np.float64]

PAIRED_METHOD = "document jackknife of the difference, Student t"


@dataclass(frozen=True)
class PairedDifference:
    """The score of one model minus that of another, on the same documents.

    Parameters
    ----------
    estimate : float
        Positive where the first is better.
    low, high : float
        The ends of the interval; NaN with fewer than two documents.
    """

    estimate: float
    low: float
    high: float


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
    >>> round(found.estimate, 3)
    0.2
    >>> found.low < 0.2 < found.high
    True
    """
    _check_alike(one, other)
    effective = np.asarray(min(_effective(one), _effective(other)))
    first = jackknife(one.counts, statistic, effective_documents=effective)
    second = jackknife(other.counts, statistic, effective_documents=effective)
    result = Jackknife(
        np.asarray(first.estimate - second.estimate),
        first.replicates - second.replicates,
        effective,
    )
    estimate = float(result.estimate)
    # NaN with one document; zero where no document makes a difference, as for equal predictions.
    half = float(stdtrit(result.degrees_of_freedom, 0.5 + level / 2) * result.standard_error)
    return PairedDifference(estimate, estimate - half, estimate + half)


def _effective(confusions: DocumentConfusions) -> float:
    """Return the effective number of documents, mean over the labels that are there."""
    by_label = label_effective_documents(confusions.counts)
    return float(by_label[confusions.supported].mean()) if confusions.supported.any() else 0.0


def _check_alike(one: DocumentConfusions, other: DocumentConfusions) -> None:
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
