"""Ranks with intervals, and groups of models that cannot be told apart.

A rank is a statement about all pairs at once. Every pair of models is tested by the paired
difference of `sitrepbench.stats.paired`, Holm makes the tests hold together, and a model's rank
lies between 1 + the models significantly better and k - the models significantly worse (Mogstad,
Romano, Shaikh & Wilhelm 2024, Review of Economic Studies 91, 476-518). With the wanted
probability *all* intervals hold the true ranks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sitrepbench.errors import DataError
from sitrepbench.metrics.confusion import DocumentConfusions
from sitrepbench.stats.intervals import Jackknife, Statistic, jackknife
from sitrepbench.stats.multiple import holm
from sitrepbench.stats.paired import mean_effective_documents, require_same_documents, two_sided_p

Array = npt.NDArray[np.float64]
Ranks = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Ranking:
    """k models in the order they were given, with what can be said of their ranks.

    Parameters
    ----------
    scores : ndarray, shape (k,)
        Mean over the repeats.
    differences : ndarray, shape (k, k)
        The row's score minus the column's.
    p_values : ndarray, shape (k, k)
        Two-sided, of each pair, Holm-adjusted over all pairs; 1 on the diagonal, NaN with one
        document.
    best_rank, worst_rank : int ndarray, shape (k,)
        The ends of the rank intervals; 1 is the best rank.
    groups : tuple of tuple of int
        The models that cannot be told apart: maximal runs, in order of the scores (best first),
        within which no pair differs. A model can be in several, and each is in one at least.
    """

    scores: Array
    differences: Array
    p_values: Array
    best_rank: Ranks
    worst_rank: Ranks
    groups: tuple[tuple[int, ...], ...]


def rank_models(
    models: Sequence[DocumentConfusions], statistic: Statistic, *, level: float = 0.95
) -> Ranking:
    """Rank models by a score, with intervals that hold for all of them at once.

    Parameters
    ----------
    models : sequence of DocumentConfusions
        Of the same documents with the same gold labels; their repeats may differ in number.
    statistic : callable
        From confusion counts of shape (..., L, L) to scores of shape (...).
    level : float
        How likely all rank intervals together hold the true ranks, at least.

    Raises
    ------
    DataError
        Without models, or when documents, labels or gold counts differ.

    Examples
    --------
    Two models that are nearly the same and one that is far behind, on twelve documents:

    >>> import numpy as np
    >>> def confusions(right):
    ...     counts = np.zeros((1, 12, 2, 2))
    ...     counts[0, :, 0, 0], counts[0, :, 0, 1] = right, 10 - np.array(right)
    ...     names = tuple("abcdefghijkl")
    ...     return DocumentConfusions(names, ("",) * 12, ("x", "y"), counts, counts)
    >>> share = lambda c: c[..., 0, 0] / c.sum(axis=(-2, -1))
    >>> models = [[3, 4] * 6, [8, 9] * 6, [9, 9, 8, 8] * 3]
    >>> found = rank_models([confusions(right) for right in models], share)
    >>> found.best_rank.tolist(), found.worst_rank.tolist()
    ([3, 1, 1], [3, 2, 2])
    >>> found.groups
    ((1, 2), (0,))
    """
    if not models:
        raise DataError("there is nothing to rank: no models were given")
    for other in models[1:]:
        require_same_documents(models[0], other)
    results = [
        jackknife(
            model.counts, statistic, effective_documents=np.asarray(mean_effective_documents(model))
        )
        for model in models
    ]
    scores = np.array([float(result.estimate) for result in results])
    p_values = _adjusted(_pair_p_values(results))
    differences = scores[:, np.newaxis] - scores
    # Comparing with NaN is false: what cannot be tested does not differ.
    differ = p_values <= 1 - level
    better = (differ & (differences < 0)).sum(axis=1)
    worse = (differ & (differences > 0)).sum(axis=1)
    return Ranking(
        scores, differences, p_values, 1 + better, len(models) - worse, _groups(scores, differ)
    )


def _pair_p_values(results: Sequence[Jackknife]) -> Array:
    """Return the p-value of every pair, shape (k, k), as `paired_difference` has it."""
    estimates = np.array([result.estimate for result in results])
    effective = np.array([result.effective_documents for result in results])
    replicates = np.stack([result.replicates for result in results])
    p_values = np.ones((len(results), len(results)))
    # Row by row: all pairs at once would take k times the memory. Differences are formed before
    # they are squared, so that equal models differ by nothing and not by a trace of rounding.
    for row in range(len(results)):
        pairs = Jackknife(
            estimates[row] - estimates,
            (replicates[row] - replicates).T,
            np.minimum(effective[row], effective),
        )
        p_values[row] = two_sided_p(pairs.estimate, pairs.standard_error, pairs.degrees_of_freedom)
    return p_values


def _adjusted(p_values: Array) -> Array:
    """Adjust the pairs above the diagonal for their number, and put them on both sides."""
    above = np.triu_indices(len(p_values), k=1)
    adjusted = np.ones_like(p_values)
    adjusted[above] = holm(p_values[above])
    return np.asarray(np.where(np.tri(len(p_values), dtype=bool), adjusted.T, adjusted))


def _groups(scores: Array, differ: npt.NDArray[np.bool_]) -> tuple[tuple[int, ...], ...]:
    """Return the maximal runs, in order of the scores, within which no pair differs."""
    order = np.argsort(-scores, kind="stable")
    differ = differ[np.ix_(order, order)]
    groups: list[tuple[int, ...]] = []
    reached = 0
    for start in range(len(order)):
        end = start + 1
        while end < len(order) and not differ[start:end, end].any():
            end += 1
        if end > reached:
            groups.append(tuple(int(index) for index in order[start:end]))
            reached = end
    return tuple(groups)
