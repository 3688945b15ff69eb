"""Approximate randomisation by document.

If two models do equally well, then on any document either's predictions might as well have been
the other's. Swapping them, document by document, gives the differences that chance alone makes
(Fisher 1935, The Design of Experiments, section 21; Noreen 1989, Computer-Intensive Methods for
Testing Hypotheses; for F1: Yeh 2000, COLING, 947-953). Documents are swapped as wholes, since the
errors in one go together.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from sitrepbench.errors import DataError
from sitrepbench.metrics.confusion import DocumentConfusions
from sitrepbench.stats.intervals import Statistic
from sitrepbench.stats.paired import require_same_documents

Array = npt.NDArray[np.float64]

#: How many permutations are held at once; a bound on memory, not on their number.
_CHUNK = 1000
#: Differences this close are the same number but for rounding.
_ROUNDING = 1e-12


def randomisation_test(
    one: DocumentConfusions,
    other: DocumentConfusions,
    statistic: Statistic,
    *,
    n_permutations: int = 9999,
    seed: int = 0,
) -> float:
    """Return how often chance makes a difference at least as large, either way.

    Parameters
    ----------
    one, other : DocumentConfusions
        Of the same documents with the same gold labels. A document swaps in all repeats at once;
        where one model has fewer repeats they are used over and over.
    statistic : callable
        From confusion counts of shape (..., L, L) to scores of shape (...).
    n_permutations : int
        The p-value is (1 + those at least as large) / (1 + n_permutations), never zero (Phipson &
        Smyth 2010, Statistical Applications in Genetics and Molecular Biology 9, article 39).
    seed : int
        Of the swaps.

    Raises
    ------
    DataError
        When documents, labels or gold counts differ, or without permutations.

    Examples
    --------
    Eight documents of ten sentences; one model has one or two more right in each. Of the 256 ways
    to swap, only two make a difference as large:

    >>> import numpy as np
    >>> def confusions(right):
    ...     counts = np.zeros((1, 8, 2, 2))
    ...     counts[0, :, 0, 0], counts[0, :, 0, 1] = right, 10 - np.array(right)
    ...     return DocumentConfusions(tuple("abcdefgh"), ("",) * 8, ("x", "y"), counts, counts)
    >>> share = lambda c: c[..., 0, 0] / c.sum(axis=(-2, -1))
    >>> one, other = confusions([9, 8, 7, 9, 6, 8, 9, 7]), confusions([8, 7, 5, 8, 4, 7, 8, 6])
    >>> abs(randomisation_test(one, other, share) - 2 / 256) < 0.003
    True
    """
    require_same_documents(one, other)
    if n_permutations < 1:
        raise DataError(f"n_permutations must be 1 or more, not {n_permutations}")
    first, second = _same_repeats(one.counts, other.counts)
    totals, others = first.sum(axis=1), second.sum(axis=1)
    observed = abs(float((statistic(totals) - statistic(others)).mean()))
    n_documents = first.shape[1]
    moved = (second - first).swapaxes(0, 1).reshape(n_documents, -1)
    # Documents with the same counts from both have nothing to swap.
    moved = moved[moved.any(axis=1)]
    generator = np.random.default_rng(seed)
    at_least = 0
    for start in range(0, n_permutations, _CHUNK):
        size = min(_CHUNK, n_permutations - start)
        swaps = generator.integers(0, 2, (size, len(moved)), dtype=np.int8)
        change = (swaps.astype(np.float64) @ moved).reshape(size, *totals.shape)
        found = (statistic(totals + change) - statistic(others - change)).mean(axis=-1)
        at_least += int((np.abs(found) >= observed - _ROUNDING).sum())
    return (1 + at_least) / (1 + n_permutations)


def _same_repeats(one: Array, other: Array) -> tuple[Array, Array]:
    """Repeat the repeats of both until there are as many."""
    wanted = math.lcm(len(one), len(other))
    return tuple(np.tile(each, (wanted // len(each), 1, 1, 1)) for each in (one, other))  # type: ignore[return-value]
